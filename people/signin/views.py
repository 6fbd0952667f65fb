"""The pages of the sign-in: allauth's views with our pages, and the history of second factors.

allauth's other pages have no address here: nobody signs up, or connects accounts by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views as account
from allauth.account.models import EmailAddress
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from people import accounts
from people.deeds import record
from people.request import Request
from people.signin import addresses, factors

View = Callable[..., HttpResponseBase]


def _page(view: View) -> View:
    """Without the methods that class-based views answer by themselves."""
    return require_http_methods(["GET", "HEAD", "POST"])(view)


def _of_people(view: View) -> View:
    """Raises PermissionDenied for guests and programs."""

    @wraps(view)
    def checked(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not accounts.people().filter(pk=request.user.pk).exists():
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return _page(never_cache(checked))


# --- the way in -------------------------------------------------------------------------------


class SignIn(account.LoginView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        openid = settings.OIDC_NAME if settings.OIDC_ISSUER else ""
        return super().get_context_data(**kwargs) | {"openid": openid, "can_mail": addresses.can_send()}  # type: ignore[no-any-return]


class AskForReset(account.PasswordResetView):  # type: ignore[misc]
    """The answer is the same whether somebody has the address or not."""

    success_url = reverse_lazy("account_reset_password_done")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"can_mail": addresses.can_send()}  # type: ignore[no-any-return]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not addresses.can_send():
            return self.get(request)  # type: ignore[no-any-return]
        with transaction.atomic():
            return super().post(request, *args, **kwargs)  # type: ignore[no-any-return]


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """allauth's own view is open to strangers, too."""
    return account.LogoutView.as_view()(request)  # type: ignore[no-any-return]


sign_in = _page(SignIn.as_view())
ask_for_reset = _page(AskForReset.as_view())
reset_asked = require_http_methods(["GET", "HEAD"])(account.PasswordResetDoneView.as_view())
second_factor = _page(mfa.AuthenticateView.as_view())
sign_in_by_passkey = _page(webauthn.LoginWebAuthnView.as_view())
confirm_address = _page(never_cache(account.ConfirmEmailView.as_view()))

# --- once more, before something that matters -------------------------------------------------

again_by_password = _of_people(account.ReauthenticateView.as_view())
again_by_code = _of_people(mfa.ReauthenticateView.as_view())
again_by_passkey = _of_people(webauthn.ReauthenticateWebAuthnView.as_view())

# --- one's own account ------------------------------------------------------------------------


class Overview(mfa.IndexView):  # type: ignore[misc]
    template_name = "people/sign_in.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        more = {
            "address": addresses.address_of(user),
            "waiting": EmailAddress.objects.filter(user=user, verified=False).first(),
            "can_mail": addresses.can_send(),
            "linked": settings.OIDC_ISSUER and SocialAccount.objects.filter(user=user).exists(),
            "openid": settings.OIDC_NAME,
            "must": factors.must_set_up(user),
        }
        return super().get_context_data(**kwargs) | more  # type: ignore[no-any-return]


class AddCodes(totp.ActivateTOTPView):  # type: ignore[misc]
    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            record(by=self.request.user, what="add second factor", about="codes of an app")
            return super().form_valid(form)  # type: ignore[no-any-return]


class RemoveCodes(totp.DeactivateTOTPView):  # type: ignore[misc]
    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            record(by=self.request.user, what="remove second factor", about="codes of an app")
            response: HttpResponse = super().form_valid(form)
        messages.success(self.request, _("The codes of the app are removed."))
        return response


class AddPasskey(webauthn.AddWebAuthnView):  # type: ignore[misc]
    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            record(by=self.request.user, what="add second factor", about=f"“{form.cleaned_data['name']}”")
            return super().form_valid(form)  # type: ignore[no-any-return]


class RemovePasskey(webauthn.RemoveWebAuthnView):  # type: ignore[misc]
    success_url = reverse_lazy("mfa_index")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            record(by=self.request.user, what="remove second factor", about=f"“{self.get_object()}”")
            response: HttpResponse = super().form_valid(form)
        messages.success(self.request, _("The passkey is removed."))
        return response


class Address(account.EmailView):  # type: ignore[misc]
    success_url = reverse_lazy("mfa_index")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not addresses.can_send():
            raise PermissionDenied  # nobody could confirm it
        with transaction.atomic():
            return super().post(request, *args, **kwargs)  # type: ignore[no-any-return]

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        messages.info(self.request, _("Open the link in the e-mail: then the address counts."))
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"can_mail": addresses.can_send()}  # type: ignore[no-any-return]


class NewRecoveryCodes(codes.GenerateRecoveryCodesView):  # type: ignore[misc]
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Without a second factor there is nothing to recover."""
        if not factors.has_one(request.user):  # type: ignore[arg-type]
            return redirect("mfa_index")
        return super().dispatch(request, *args, **kwargs)  # type: ignore[no-any-return]


overview = _of_people(Overview.as_view())
add_codes = _of_people(AddCodes.as_view())
remove_codes = _of_people(RemoveCodes.as_view())
add_passkey = _of_people(AddPasskey.as_view())
remove_passkey = _of_people(RemovePasskey.as_view())
recovery_codes = _of_people(codes.ViewRecoveryCodesView.as_view())
new_recovery_codes = _of_people(NewRecoveryCodes.as_view())
address = _of_people(Address.as_view())
