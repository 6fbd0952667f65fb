"""Addresses of the sign-in. Their names are those that allauth looks for; ours are `login` and `logout`."""

from django.urls import path

from people.signin import openid, views

urlpatterns = [
    path("login/", views.sign_in, name="account_login"),
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="account_logout"),
    path("logout/", views.sign_out, name="logout"),
    path("login/second/", views.second_factor, name="mfa_authenticate"),
    path("login/passkey/", views.sign_in_by_passkey, name="mfa_login_webauthn"),
    path("login/with/<str:provider_id>/", openid.start, name="openid_connect_login"),
    path("login/with/<str:provider_id>/back/", openid.finish, name="openid_connect_callback"),
    path("login/reset/", views.ask_for_reset, name="account_reset_password"),
    path("login/reset/asked/", views.reset_asked, name="account_reset_password_done"),
    path("login/address/<str:key>/", views.confirm_address, name="account_confirm_email"),
    path("login/again/", views.again_by_password, name="account_reauthenticate"),
    path("login/again/code/", views.again_by_code, name="mfa_reauthenticate"),
    path("login/again/passkey/", views.again_by_passkey, name="mfa_reauthenticate_webauthn"),
    path("people/me/sign-in/", views.overview, name="mfa_index"),
    path("people/me/sign-in/app/", views.add_codes, name="mfa_activate_totp"),
    path("people/me/sign-in/app/remove/", views.remove_codes, name="mfa_deactivate_totp"),
    path("people/me/sign-in/passkeys/add/", views.add_passkey, name="mfa_add_webauthn"),
    path("people/me/sign-in/passkeys/<int:pk>/remove/", views.remove_passkey, name="mfa_remove_webauthn"),
    path("people/me/sign-in/codes/", views.recovery_codes, name="mfa_view_recovery_codes"),
    path("people/me/sign-in/codes/new/", views.new_recovery_codes, name="mfa_generate_recovery_codes"),
    path("people/me/sign-in/address/", views.address, name="account_email"),
]
