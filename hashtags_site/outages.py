"""Answers when the site cannot do what was asked.

413: too large a body. 503: a part of the site is away. 507: its storage is full.

503 and 507 mean: nothing was changed, the same request may be sent again after Retry-After seconds. Only a
form of many photos may have stored some of them; sent again, it finds these.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Callable

from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from formats.storage import StorageFailure, failure_of
from hashtags_site.front.channel import REFUSED_BODY
from hashtags_site.refusals import wants_json
from jobs.broker import BrokerAway
from trainer.engine.budget import DecodersBusy, patience

RETRY_AFTER = 10  # seconds
PATIENCE = 5.0  # seconds that a request waits for memory to open a photo
STORAGE_RETRY_AFTER = 30  # somebody has to mend it
# What SQLite says of itself when it is locked, full, read-only or broken, and not of a wrong statement.
SQLITE_CODES = (
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL),
)
log = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


def is_outage(error: BaseException | None) -> bool:
    """Whether a part of the site is away or busy, and the request itself is not to blame."""
    if isinstance(error, BrokerAway | DecodersBusy | InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    # PostgreSQL has operational errors for nothing else: locks, connections, resources.
    return code is None or code & 0xFF in SQLITE_CODES


class Outages:
    """Middleware, the last one: its pages know who asks, and have all headers of the others."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if most := request.META.get(REFUSED_BODY):
            return too_large(request, most)
        with patience(PATIENCE):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return unavailable(request, error) if is_outage(error) else None


def server_error(request: HttpRequest) -> HttpResponse:
    """The handler of errors that nothing else has handled, also of those from outside a view."""
    error = sys.exc_info()[1]
    if error and (failure := failure_of(error)):
        return storage_unavailable(request, failure)
    return unavailable(request, error) if error and is_outage(error) else defaults.server_error(request)


def unavailable(request: HttpRequest, error: BaseException) -> HttpResponse:
    log.warning("503 %s %s: %s", request.method, request.path, error.__cause__ or error)
    if isinstance(error, BrokerAway):
        words = _("A part of the site does not answer at the moment. Nothing was changed.")
    elif isinstance(error, DecodersBusy):
        words = _("Too many photos are being opened at the moment.")
    else:
        words = _("The database is busy or does not answer. Nothing was changed.")
    response = _answer(request, _("Please try again in a moment"), words, 503)
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def storage_unavailable(request: HttpRequest, failure: StorageFailure) -> HttpResponse:
    log.error("%s %s %s: %s", failure.status, request.method, request.path, failure)
    if failure.is_full:
        words = _("The site's storage is full. Nothing was changed. An administrator must free space.")
    else:
        words = _("The site's files cannot be reached at the moment. Nothing was changed.")
    response = _answer(request, _("Please try again in a moment"), words, failure.status)
    response["Retry-After"] = str(STORAGE_RETRY_AFTER)
    return response


def too_large(request: HttpRequest, most: int) -> HttpResponse:
    """`most` is what this sender may send here, in bytes."""
    words = _("This is too large: this address takes at most %(size)s MB from you.") % {
        "size": f"{most / 2**20:,.0f}"
    }
    return _answer(request, _("Too large"), words, 413)


def _answer(request: HttpRequest, title: str, words: str, status: int) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"detail": words}, status=status)
    context = {"title": title, "words": words}
    try:
        return render(request, "refusal.html", context, status=status)
    except (Error, BrokerAway):  # who asks is in the database
        return HttpResponse(render_to_string("refusal.html", context), status=status)
