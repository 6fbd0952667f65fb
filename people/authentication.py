"""Who a program is, by its token, and whether the token may be used for this request: its scopes and rate.

Both are checked here because every address of the API asks here first, whatever else it checks.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle, SimpleRateThrottle

from people import tokens, usage
from people.models import Token
from people.scopes import ADDRESSES, OPEN


class TokenAuthentication(authentication.TokenAuthentication):
    """`Authorization: Token …`"""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """Raises AuthenticationFailed, PermissionDenied for a scope, Throttled for the token's own rate."""
        found = self.identify(request)
        if found is None:
            return None
        token, address = found[1], str(request.resolver_match.url_name)  # type: ignore[union-attr]
        if address in OPEN:
            return found
        _check_scope(token, address, request.method)
        if token.rate:
            _check_rate(token, request)
        usage.count(token, address)
        return found

    def identify(self, request: Request | HttpRequest) -> tuple[User, Token] | None:
        """Whose request it is; nothing is counted. Raises AuthenticationFailed."""
        return super().authenticate(request)  # type: ignore[arg-type]

    def authenticate_credentials(self, key: str) -> tuple[User, Token]:
        token = tokens.find(key)
        if token is None:
            raise AuthenticationFailed("Invalid token.")
        if token.state != "live":
            raise AuthenticationFailed(f"This token is {token.state}.")
        if not token.owner.is_active:
            raise AuthenticationFailed("The account of this token is deactivated.")
        return token.owner, token


def _check_scope(token: Token, address: str, method: str | None) -> None:
    need = ADDRESSES.get(address)
    if need is None:
        raise PermissionDenied("No token may be used at this address.")
    scope = need.scope_for(method)
    if scope not in token.scopes:
        raise PermissionDenied(f"This token lacks the scope “{scope}”.")


# --- rates ------------------------------------------------------------------------------------


class _OwnRate(SimpleRateThrottle):
    def __init__(self, token: Token) -> None:
        self.token, self.rate = token, token.rate
        super().__init__()

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"token:{self.token.pk}:requests"


def _check_rate(token: Token, request: Request) -> None:
    throttle = _OwnRate(token)
    if not throttle.allow_request(request, None):  # type: ignore[arg-type]
        raise Throttled(throttle.wait())


class TokenRate(ScopedRateThrottle):
    """The settings' rate of an address, for each token by itself. A token with a rate of its own has met it
    above."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Token) and request.auth.rate:
            return True
        return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: Any) -> str:
        if not isinstance(request.auth, Token):
            return str(super().get_cache_key(request, view))
        ident = f"token-{request.auth.pk}"
        return self.cache_format % {"scope": self.scope, "ident": ident}
