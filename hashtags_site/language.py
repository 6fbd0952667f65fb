"""Which language a page is in: what the person chose, otherwise what the browser asks for.

What programs read is English. So are the pages of apps that are not translated yet: half a page in another
language is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

API, API_PAGES = "/api/", ("/api/", "/api/reference/")
VOTERS = ("/validation/vote/", "/validation/join/")  # translated, whatever else of their app is


class PageLanguage:
    """Middleware, before any that answers with words.

    A person's choice is in Django's cookie: people.profiles.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(API) and request.path not in API_PAGES:
            with translation.override("en"):
                return self.get_response(request)
        with translation.override(translation.get_language_from_request(request)):
            response = self.get_response(request)
        patch_vary_headers(response, ["Accept-Language"])
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if not is_translated(request):
            translation.activate("en")  # until the end of the request


def is_translated(request: HttpRequest) -> bool:
    assert request.resolver_match
    app = [*request.resolver_match.app_names, "hashtags_site"][0]
    return app in settings.TRANSLATED or request.path.startswith(VOTERS)
