"""Roles that must have a second factor set one up before they go on. Programs with tokens are not asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from people.signin import factors

# Where a second factor is set up, and the way out.
ALLOWED = {
    "logout",
    "account_logout",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_view_recovery_codes",
    "account_reauthenticate",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
    "people:password",
}


class RequireSecondFactor:
    """Middleware. Without REQUIRE_SECOND_FACTOR it does nothing; with it, a request has one query more."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Raises PermissionDenied for what is no page."""
        if not settings.REQUIRE_SECOND_FACTOR or not _is_by_session(request, view):
            return None
        user = request.user
        if not user.is_authenticated or request.resolver_match.view_name in ALLOWED:  # type: ignore[union-attr]
            return None
        if not factors.must_set_up(user):
            return None
        if request.method in ("GET", "HEAD") and "HX-Request" not in request.headers and not _is_api(request):
            return redirect("mfa_index")
        raise PermissionDenied


BALLOT = "/validation/vote/"


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/v1/")


def _is_by_session(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Pages that are open to everybody do not wait for the session. The API is, and takes sessions, too."""
    if _is_api(request):
        has_token = request.headers.get("Authorization", "").partition(" ")[0].lower() == "token"
        return not has_token and settings.SESSION_COOKIE_NAME in request.COOKIES
    if request.path.startswith(BALLOT):  # its addresses answer strangers in JSON, so Django lets everybody in
        return settings.SESSION_COOKIE_NAME in request.COOKIES
    return getattr(view, "login_required", True)
