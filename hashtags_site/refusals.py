"""How the site says no: JSON to programs, with a page to people."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults

from hashtags_site.gate import UnreadableRequest

JSON = "application/json"
PAGES = ("/api/", "/api/reference/", "/api/schema/")  # that people open


def wants_json(request: HttpRequest) -> bool:
    """Whether a program asks: at an address of the API, or by its Accept header."""
    if request.path.startswith("/api/") and request.path not in PAGES:
        return True
    try:
        return request.get_preferred_type(["text/html", JSON]) == JSON
    except ValueError:  # a broken Accept header
        return False


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    words, field = "", ""
    if isinstance(exception, UnreadableRequest):
        words, field = str(exception), exception.field
    if wants_json(request):
        if field:
            return JsonResponse({field: [words]}, status=400)
        return JsonResponse({"detail": words or "The request cannot be read."}, status=400)
    # Without the request: signing in may be what cannot be read.
    return HttpResponse(render_to_string("400.html", {"words": words}), status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"detail": "This account may not do this."}, status=403)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"detail": "There is no such address."}, status=404)
    return defaults.page_not_found(request, exception)
