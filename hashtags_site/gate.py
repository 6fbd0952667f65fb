"""What a request must be before a view sees it: text that a database can store, in an encoding that we read.

PostgreSQL stores no NUL, and UTF-8 has no lone surrogates. Both are refused here once, with 400, in paths,
parameters, cookies, headers and forms; `formats.json_text` refuses them in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponseBase, QueryDict, UnreadablePostError
from django.utils.translation import gettext as _

from formats.json_text import UNSTORABLE, BrokenText

ENCODINGS = ("", "utf-8", "utf8", "us-ascii")
LONGEST_QUERY = 2**15  # bytes; SQLite searches for texts of at most 50,000


class UnreadableRequest(BadRequest):
    """The message is for the person or program who sent the request. field: the parameter that is wrong, if
    it is one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Request(WSGIRequest):
    """Django's own cannot be made with a broken Content-Type, and gunicorn would answer 500."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.has_broken_content_type = False
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except ValueError:
            self.has_broken_content_type = True
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """An answer to HEAD is sent without its content: waitress would send it, and the next answer on the
        connection would be taken for its end."""
        response = super().__call__(environ, start_response)
        if environ["REQUEST_METHOD"] != "HEAD":
            return response
        response.close()
        return []


class RefuseUnreadable:
    """Middleware, after the one that asks people to sign in: no form of a stranger is read for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        _check_encoding(request)
        if len(request.META.get("QUERY_STRING", "")) > LONGEST_QUERY:
            raise UnreadableRequest(_("The address is too long."))
        headers = (str(value) for name, value in request.META.items() if name.startswith("HTTP_"))
        _check_text(chain([request.path], request.COOKIES.values(), headers))
        _check_fields(request.GET)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        # Views without Django's CSRF check read their bodies themselves: the API and TensorBoard.
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return
        try:
            _check_fields(request.POST)
        except UnreadablePostError as error:
            raise UnreadableRequest(_("The request ended before it was complete.")) from error


def _check_encoding(request: HttpRequest) -> None:
    charset = request.content_params.get("charset", "") if request.content_params else ""
    if getattr(request, "has_broken_content_type", False) or charset.lower() not in ENCODINGS:
        raise UnreadableRequest(_("The Content-Type is broken, or its charset is not UTF-8."))
    try:
        request.accepted_types  # noqa: B018
    except ValueError as error:
        raise UnreadableRequest(_("The Accept header is broken.")) from error


def _check_fields(fields: QueryDict) -> None:
    _check_text(fields)  # the names
    for name, values in fields.lists():
        _check_text(values, name)


def _check_text(texts: Iterable[str], field: str = "") -> None:
    if any(map(UNSTORABLE.search, texts)):
        raise UnreadableRequest(_(str(BrokenText())), field)
