"""The answer to a request that met a storage that is full, read-only or away."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from formats.storage import StorageFailure
from hashtags_site.refusals import wants_json

RETRY_AFTER = 30  # seconds
FULL = "The site's storage is full. Nothing was changed. Its administrator must free some space."
AWAY = "The site's files cannot be reached at the moment. Nothing was changed. Please try again later."
log = logging.getLogger(__name__)


def storage_unavailable(request: HttpRequest, failure: StorageFailure) -> HttpResponse:
    """507 if the storage is full, otherwise 503; as JSON for programs. The log says what is wrong."""
    log.error("%s of %s: %s", failure.status, request.path, failure)
    words = FULL if failure.is_full else AWAY
    response: HttpResponse
    if wants_json(request):
        response = JsonResponse({"detail": words}, status=failure.status)
    else:
        response = render(request, "507.html", {"words": words}, status=failure.status)
    response["Retry-After"] = str(RETRY_AFTER)
    return response
