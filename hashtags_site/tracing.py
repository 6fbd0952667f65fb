"""A span for each request, if the settings say where spans go. It names nobody: no path, no account."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from formats import spans
from hashtags_site.metrics.requests import METHODS
from jobs import request_id


class Trace:
    """Middleware, behind the one that gives a request its id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        method = request.method if request.method in METHODS else "_OTHER"
        own_id = request_id.current()
        facts = {"http.request.method": method, "scenetag.request_id": own_id}
        with spans.request_span(own_id, method, facts) as span:
            response = self.get_response(request)
            match = request.resolver_match
            if match:  # the route, not the path: paths hold the tokens of guests
                span.update_name(f"{method} /{match.route}")
                span.set_attributes({"http.route": f"/{match.route}"})
            span.set_attributes(
                {"http.response.status_code": response.status_code, "scenetag.account": _account(request)}
            )
        return response


def _account(request: HttpRequest) -> str:
    """What kind of account asks, as far as somebody wanted to know: we ask no database for it."""
    if getattr(request, "auth", None):  # Django REST framework has found a token
        return "program"
    user = getattr(request, "_cached_user", None)
    if user is None or not user.is_authenticated:
        return "nobody"
    return "person" if user.has_usable_password() else "guest"
