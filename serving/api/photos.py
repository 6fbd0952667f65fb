"""Photos in requests: as a field of a form, or as the whole body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request

FIELD = "photo"
FORM_SLACK = 64 * 2**10  # bytes that a form's boundaries and headers may add to the photo


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
        return DataAndFiles({}, {FIELD: body} if body else {})


class PhotoUploadSerializer(serializers.Serializer[Any]):
    photo = serializers.FileField(help_text="JPEG, PNG, WebP, HEIC, BMP, GIF or TIFF.")


def read_photo(request: Request) -> tuple[str, bytes]:
    """Name and content of the photo. Raises TooLarge, if possible before reading it, and ValidationError
    if there is no photo.
    """
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > settings.MAX_PHOTO_BYTES + FORM_SLACK:
        raise TooLarge
    upload = request.FILES.get(FIELD)
    if upload is None:
        raise ValidationError({FIELD: ["Send a photo in this form field, or as the whole body."]})
    name = "" if isinstance(upload, bytes) else upload.name or ""
    content = upload if isinstance(upload, bytes) else upload.read(settings.MAX_PHOTO_BYTES + 1)
    if len(content) > settings.MAX_PHOTO_BYTES:
        raise TooLarge
    return name, content
