"""Uploads that go on after an interruption, by the protocol tus 1.0: its core, and the extensions creation,
termination and checksum. See https://tus.io/protocols/resumable-upload and decision 0043.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse, UnreadablePostError
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from formats.json_text import UNSTORABLE
from formats.numbers import read_number
from formats.storage import StorageFailure
from formats.texts import text_of
from notices.words import shown
from people.request import Request
from validation.models import Upload
from validation.photos import uploads as acts

TUS = "1.0.0"
PIECE_TYPE = "application/offset+octet-stream"
CHECKSUMS = ("sha1", "sha256")
CHECKSUM_MISMATCH = 460  # tus defines it


@require_http_methods(["POST", "OPTIONS"])
@permission_required("validation.add_campaign", raise_exception=True)
def uploads(request: Request) -> HttpResponse:
    """Begin an upload, or find the one of the same file that was begun. OPTIONS: what this server can do."""
    if request.method == "OPTIONS":
        return _answer(HTTPStatus.OK, **_abilities())
    if request.headers.get("Tus-Resumable") != TUS:
        return _wrong_version()
    size = read_number(request.headers.get("Upload-Length"))
    try:
        facts = _metadata(request.headers.get("Upload-Metadata", ""))
    except ValueError:
        return _answer(HTTPStatus.BAD_REQUEST, "The header Upload-Metadata is broken.")
    name = facts.get("filename", "")
    if size is None or not name.strip():
        return _answer(HTTPStatus.BAD_REQUEST, "Upload-Length or the file's name (filename) is missing.")
    modified = read_number(facts.get("modified")) or 0
    try:
        upload = acts.begin(owner=request.user, name=name, size=size, modified=modified)
    except acts.CannotUpload as error:
        return _answer(error.status, str(error))
    place = {"Location": upload.get_absolute_url(), "Upload-Piece": str(upload.piece)}
    return _answer(HTTPStatus.CREATED, **place, **_progress(upload))


@require_http_methods(["GET", "HEAD", "PATCH", "DELETE"])
@never_cache
@permission_required("validation.add_campaign", raise_exception=True)
def upload(request: Request, pk: int) -> HttpResponse:
    """HEAD: how far one's upload is. PATCH: the next piece. DELETE: throw it away."""
    upload = get_object_or_404(Upload.objects.waiting().filter(owner=request.user), pk=pk)
    if request.method in ("GET", "HEAD"):
        return _answer(HTTPStatus.OK, **_progress(upload))
    if request.headers.get("Tus-Resumable") != TUS:
        return _wrong_version()
    if request.method == "DELETE":
        acts.throw_away(upload)
        return _answer(HTTPStatus.NO_CONTENT)
    return _take_piece(request, upload)


def _take_piece(request: Request, upload: Upload) -> HttpResponse:
    if request.content_type != PIECE_TYPE:
        return _answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The content type of a piece is {PIECE_TYPE}.")
    offset = read_number(request.headers.get("Upload-Offset"))
    if offset is None:
        return _answer(HTTPStatus.BAD_REQUEST, "The header Upload-Offset is missing, or is no number.")
    try:
        raw = request.read(upload.piece + 1)
    except UnreadablePostError:
        return _answer(HTTPStatus.BAD_REQUEST, "The piece ended before it was complete.")
    if (fault := _check_sum(request.headers.get("Upload-Checksum", ""), raw)) is not None:
        return fault
    try:
        acts.add_piece(upload=upload, offset=offset, raw=raw)
    except acts.WrongOffset as error:
        upload.refresh_from_db()
        return _answer(HTTPStatus.CONFLICT, str(error), **_progress(upload))
    except acts.CannotUpload as error:
        return _answer(error.status, str(error))
    except StorageFailure as error:
        words = _("The piece cannot be stored: %(error)s. What was stored before is kept; go on later.") % {
            "error": shown(text_of(error))
        }
        return _answer(error.status, words)
    return _answer(HTTPStatus.NO_CONTENT, **_progress(upload))


@require_POST
@permission_required("validation.add_campaign", raise_exception=True)
def throw_away(request: Request, pk: int) -> HttpResponse:
    """The same as DELETE, for a button."""
    upload = Upload.objects.waiting().filter(owner=request.user, pk=pk).first()
    if upload and acts.throw_away(upload):
        messages.success(request, _("What was uploaded of “%(upload)s” is deleted.") % {"upload": upload})
    else:
        messages.success(request, _("There is nothing left of this upload."))
    back = request.POST.get("back", "")
    return redirect(back if back.startswith(reverse("validation:new_campaign")) else "validation:new_intake")


def _answer(status: int, words: str = "", **headers: str) -> HttpResponse:
    response = HttpResponse(words, content_type="text/plain; charset=utf-8", status=status)
    for name, value in ({"Tus-Resumable": TUS, "Cache-Control": "no-store"} | headers).items():
        response[name] = value
    return response


def _wrong_version() -> HttpResponse:
    words = f"Only version {TUS} of the protocol tus is spoken here."
    return _answer(HTTPStatus.PRECONDITION_FAILED, words, **{"Tus-Version": TUS})


def _abilities() -> dict[str, str]:
    return {
        "Tus-Version": TUS,
        "Tus-Extension": "creation,termination,checksum",
        "Tus-Max-Size": str(settings.MAX_ARCHIVE_BYTES),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def _progress(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.size)}


def _metadata(header: str) -> dict[str, str]:
    """Keys and values of the header Upload-Metadata. Raises ValueError."""
    facts = {}
    for pair in header.split(","):
        key, _space, value = pair.strip().partition(" ")
        text = base64.b64decode(value, validate=True).decode()
        if UNSTORABLE.search(text):
            raise ValueError("It cannot be stored.")
        facts[key] = text
    return facts


def _check_sum(header: str, raw: bytes) -> HttpResponse | None:
    """An answer if the piece has another checksum than the header says; None if it has not, or no header."""
    if not header:
        return None
    name, _space, value = header.partition(" ")
    try:
        expected = base64.b64decode(value, validate=True)
    except binascii.Error:
        expected = b""
    if name not in CHECKSUMS or not expected:
        return _answer(HTTPStatus.BAD_REQUEST, "The header Upload-Checksum is broken.")
    if hashlib.new(name, raw, usedforsecurity=False).digest() != expected:
        return _answer(CHECKSUM_MISMATCH, _("The piece was changed on its way: send it again."))
    return None
