"""Photos in requests: in a form's field, as often as wanted, or one as the whole body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request

FIELD = "photo"
Photo = UploadedFile[Any] | ContentFile[Any]


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self) -> None:
        super().__init__(f"The photo is larger than {settings.MAX_PHOTO_BYTES // 2**20} MB.")


class PhotoBody(BaseParser):
    """A request whose whole body is the photo: `curl --data-binary @x.jpg -H "Content-Type: image/jpeg"`."""

    media_type = "image/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        body = stream.read(settings.MAX_PHOTO_BYTES + 1)
        files: MultiValueDict[str, Photo] = MultiValueDict()
        if body:
            files[FIELD] = ContentFile(body, name="")
        return DataAndFiles({}, files)


def photos_of(request: Request) -> list[Photo]:
    """All photos of a request, unread, in order."""
    photos: list[Photo] = request.FILES.getlist(FIELD)
    return photos


def read_photos(request: Request, *, most: int) -> list[Photo]:
    """The photos, unread. Raises ValidationError if there is none, or more than `most`."""
    photos = photos_of(request)
    if not photos:
        raise ValidationError({FIELD: ["Send a photo in this form field, or as the whole body."]})
    if len(photos) > most:
        raise ValidationError({FIELD: [f"These are {len(photos)} photos; one request takes at most {most}."]})
    return photos


def read_content(photo: Photo) -> bytes:
    """Raises TooLarge, before reading it."""
    if photo.size > settings.MAX_PHOTO_BYTES:
        raise TooLarge
    content: bytes = photo.read()
    return content
