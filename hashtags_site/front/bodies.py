"""How large the body of a request may be: by its address, and by what its sender may do there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import auth
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.urls import Resolver404, resolve
from rest_framework.exceptions import AuthenticationFailed

from hashtags_site import gate
from mapping.api.exchange import JSON_SLACK
from mapping.files.classlists import MAX_BYTES
from people.authentication import TokenAuthentication
from people.scopes import ADDRESSES

FORM_SLACK = 64 * 2**10  # bytes that a form's boundaries and small fields may add to its files
MOST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + FORM_SLACK  # bytes from anybody, at any address


class Upload(NamedTuple):
    """An address that takes files."""

    size: int  # bytes
    permission: str

    @property
    def most(self) -> int:
        return max(self.size + FORM_SLACK, MOST)


# By the name of the address. An address that is missing here takes MOST bytes.
UPLOADS = {
    "mapping:upload": Upload(MAX_BYTES, "mapping.change_mappingentry"),
    "mapping:upload_counts": Upload(MAX_BYTES, "mapping.change_hashtag"),
    "api_import": Upload(JSON_SLACK * MAX_BYTES, "mapping.change_mappingentry"),
    "trainer:new_photo_set": Upload(settings.MAX_ARCHIVE_BYTES, "trainer.add_photoset"),
    "trainer:import_model": Upload(settings.MAX_MODEL_BYTES, "trainer.add_trainedmodel"),
    "trainer:suggest": Upload(settings.MAX_PHOTO_BYTES, "trainer.suggest"),
    "serving:check": Upload(settings.MAX_PHOTO_BYTES, "trainer.suggest"),
    "api_check": Upload(settings.MAX_PHOTO_BYTES, "trainer.suggest"),
    "api_suggest": Upload(settings.MAX_REQUEST_BYTES, "trainer.suggest"),
    "api_suggest_stream": Upload(settings.MAX_STREAM_BYTES, "trainer.suggest"),
    "validation:new_intake": Upload(settings.MAX_ARCHIVE_BYTES, "validation.add_campaign"),
    "validation:new_campaign": Upload(settings.MAX_ARCHIVE_BYTES, "validation.add_campaign"),
    "validation:new_authors_campaign": Upload(settings.MAX_ARCHIVE_BYTES, "validation.add_campaign"),
    "validation:upload": Upload(settings.UPLOAD_PIECE_BYTES, "validation.add_campaign"),
}


def upload_at(path: str) -> Upload | None:
    """The upload that this address takes; None for every other address."""
    try:
        return UPLOADS.get(resolve(path).view_name)
    except Resolver404:
        return None


def may_send(environ: dict[str, Any], upload: Upload) -> bool:
    """Whether the sender, known by session or by token, has the permission. The body is not read for it."""
    request = gate.Request(environ)
    users = _users_of(request, resolve(request.path_info).url_name or "")
    return any(user.is_active and user.has_perm(upload.permission) for user in users)


def _users_of(request: gate.Request, address: str) -> Iterator[Any]:
    SessionMiddleware(lambda _: HttpResponse()).process_request(request)
    yield auth.get_user(request)
    try:
        found = TokenAuthentication().identify(request)
    except AuthenticationFailed:
        return
    need = ADDRESSES.get(address)
    if found and need and need.scope_for("POST") in found[1].scopes:
        yield found[0]
