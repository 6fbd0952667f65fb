"""Each request gets an id, is counted and timed, and with LOG_FORMAT=json is a line of the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Counter, Histogram

from jobs import request_id

HEADER = "X-Request-ID"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others are senders' inventions
REQUESTS = Counter("scenetag_requests", "Requests answered.", ["view", "method", "status"])
SECONDS = Histogram("scenetag_request_seconds", "Seconds from a whole request to its answer.", ["view"])
log = logging.getLogger("scenetag.requests")


class Watch:
    """Middleware, the first one: it sees the answers of all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        own_id = _id_of(request)
        with request_id.carried(own_id):
            response = self.get_response(request)
            seconds = time.perf_counter() - began
            match = request.resolver_match
            view = (match.view_name if match else "") or "none"
            method = request.method if request.method in METHODS else "other"
            REQUESTS.labels(view, method, response.status_code).inc()
            SECONDS.labels(view).observe(seconds)
            # The view, not the path: paths hold the tokens of guests.
            facts = {"view": view, "method": method, "status": response.status_code, "seconds": seconds}
            log.info("%s %s %s", method, view, response.status_code, extra={"facts": facts})
        response[HEADER] = own_id
        return response


def _id_of(request: HttpRequest) -> str:
    """The proxy's id if there is a proxy; otherwise anybody could choose what the log says."""
    sent = request.headers.get(HEADER, "")
    return sent if settings.PROXIES and request_id.FORM.fullmatch(sent) else request_id.new()
