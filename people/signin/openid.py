"""Signing in at one OpenID Connect provider, which the settings name.

allauth trusts a token that comes straight from the provider, as the standard allows. Here its signature is
checked as well: a provider inside a network may be reached without TLS.
"""

from __future__ import annotations

from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from requests import RequestException


class Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> Any:
        """Raises OAuth2Error unless a signed token says who it is, and the userinfo means the same."""
        signed = kwargs["response"].get("id_token")
        if not signed:
            raise OAuth2Error("There is no id_token")
        facts = self._decode_id_token(app, signed)
        about = self._fetch_user_info(token.token)
        if about.get("sub") != facts["sub"]:
            raise OAuth2Error("The id_token and the userinfo are about two people")
        return self.get_provider().sociallogin_from_response(request, {"userinfo": about, "id_token": facts})

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        if self.openid_config["issuer"].rstrip("/") != settings.OIDC_ISSUER:
            raise OAuth2Error("The provider's configuration is of another issuer")
        facts: dict[str, Any] = jwtkit.verify_and_decode(
            credential=id_token,
            keys_url=self.openid_config["jwks_uri"],
            issuer=self.openid_config["issuer"],
            audience=app.client_id,
            lookup_kid=jwtkit.lookup_kid_jwk,
        )
        return facts


@login_not_required
@never_cache
@require_safe
def start(request: HttpRequest, provider_id: str) -> HttpResponse:
    """By a link, not a form: the security policy would refuse the redirect of a form to another site."""
    adapter = Adapter(request, provider_id)
    try:
        provider = adapter.get_provider()
    except SocialApp.DoesNotExist:
        raise Http404 from None
    try:
        response: HttpResponse = provider.redirect(
            request, process="login", next_url=get_next_redirect_url(request)
        )
    except (RequestException, ValueError, KeyError) as error:
        response = render_authentication_error(request, provider, exception=error)
    return response


@login_not_required
@never_cache
@require_safe
def finish(request: HttpRequest, provider_id: str) -> HttpResponse:
    adapter = Adapter(request, provider_id)
    try:
        response: HttpResponse = OAuth2CallbackView.adapter_view(adapter)(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    except (ValueError, KeyError) as error:  # what came is not what the standard says
        response = render_authentication_error(request, adapter.get_provider(), exception=error)
    except ImmediateHttpResponse as error:
        response = error.response
    return response
