"""What allauth asks a site to decide: who comes in, what is sent, how secrets are kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from people import letters, profiles, reset_links
from people.deeds import record
from people.installation import current
from people.request import client_address
from people.signin import addresses, factors


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People come by an invitation."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """Everybody who signs in comes here, by whatever way: with the second factor given."""
        response: HttpResponse = super().post_login(request, user, **kwargs)
        request.signed_in = user.pk  # type: ignore[attr-defined]  # for hashtags_site.guessing
        profiles.apply(profiles.profile_of(user), request, response)
        return response

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        return refusal(request, _("This account is deactivated. Ask an administrator."))

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Who has neither password nor second factor cannot show them again."""
        return bool(self.get_reauthentication_methods(context.request.user))

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        words = {
            "reauthenticate": _("With your password"),
            "mfa_reauthenticate": _("With a code"),
            "mfa_reauthenticate:webauthn": _("With a passkey"),
        }
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        return [method | {"description": words[method["id"]]} for method in methods]

    # --- e-mail

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Not at once: a mail server that is slow must not tell, by the time, whom it writes to."""
        user = context["user"]
        with profiles.language_of(user):
            message = self.render_mail(template_prefix, email, context | {"site_name": current().name})
        letters.write(user=user, to=email, subject=message.subject, body=message.body)

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        path = reset_links.make_link_for_mail(person=user)
        link = {"user": user, "link": settings.SITE_URL + path}
        self.send_mail("account/email/password_reset_key", email, link)

    def format_email_subject(self, subject: str) -> str:
        return f"[{current().name}] {subject}"

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return f"{settings.SITE_URL}{reverse('account_confirm_email', args=[emailconfirmation.key])}"

    def get_email_verification_redirect_url(self, email_address: Any) -> str:
        return reverse("mfa_index")


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": gettext_lazy("This is not right. A code works once, and for a minute only."),
    }

    def encrypt(self, text: str) -> str:
        return factors.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return factors.decrypt(encrypted_text)

    def get_totp_label(self, user: User) -> str:
        return user.get_username()

    def get_totp_issuer(self) -> str:
        return current().name

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return _("Passkey %(n)s") % {"n": number}

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": current().name}


class OpenIDAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[Any]:
        """Those of the settings; nobody enters any into the database, so it is not asked."""
        from allauth.socialaccount.adapter import _build_apps_from_settings

        found = _build_apps_from_settings(provider=provider, client_id=client_id)
        return [app for apps in found.values() for app in apps]

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Link it, the first time, to the person who has the same confirmed address."""
        if sociallogin.is_existing:
            return
        confirmed = [row.email for row in sociallogin.email_addresses if row.verified]
        if not confirmed:
            words = (
                _(
                    "%(provider)s does not say that it has confirmed your e-mail address."
                    " Confirm it there, or sign in with your password."
                )
            ) % {"provider": settings.OIDC_NAME}
            raise ImmediateHttpResponse(refusal(request, words))
        person = addresses.owner_of(confirmed[0])
        if person is None:
            words = (
                _(
                    "Nobody here has the address %(address)s. Ask an administrator for an invitation;"
                    " if you have an account, confirm this address in its profile,"
                    " or ask an administrator to enter it."
                )
            ) % {"address": confirmed[0]}
            raise ImmediateHttpResponse(refusal(request, words))
        if SocialAccount.objects.filter(user=person).exists():
            # The address may have gone to somebody else at the provider.
            words = _("%(provider)s says that you are not who used %(address)s before. Ask an administrator.")
            raise ImmediateHttpResponse(
                refusal(request, words % {"provider": settings.OIDC_NAME, "address": confirmed[0]})
            )
        sociallogin.connect(request, person)
        record(by=person, what="link sign-in", about=person)

    def on_authentication_error(self, request: HttpRequest, provider: Any, **kwargs: Any) -> None:
        raise ImmediateHttpResponse(
            refusal(
                request,
                _("%(provider)s did not sign you in. Try again, or use your password.")
                % {"provider": settings.OIDC_NAME},
            )
        )


def refusal(request: HttpRequest, words: str) -> HttpResponse:
    again = {"next": request.GET["next"]} if "next" in request.GET else {}
    context = {"words": words, "again": f"{reverse('login')}{'?' if again else ''}{urlencode(again)}"}
    return render(request, "account/refused.html", context, status=403)
