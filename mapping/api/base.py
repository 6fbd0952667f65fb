"""Shared by all addresses of the API: permissions, a limit on writing, pages, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.contrib.auth.models import AbstractBaseUser
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle, UserRateThrottle
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from formats.json_text import BrokenText, parse_json
from formats.table import Unreadable

TAG = "mapping"


class HasViewPermission(BasePermission):
    """The view names one permission for reading and one for writing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        assert isinstance(view, MappingView)
        named_permission = view.to_read if request.method in SAFE_METHODS else view.to_write
        # Without a permission, the view lacks this method: the answer will be 405.
        permission = named_permission or view.to_read or view.to_write
        self.message = f"This account needs the permission {permission}."
        return bool(request.user) and request.user.has_perm(permission)


class WriteThrottle(UserRateThrottle):
    """Stops a runaway program before it has rewritten the mapping."""

    scope = "mapping_write"
    rate = "240/minute"


class StrictJSONParser(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return parse_json(stream.read())
        except BrokenText as error:
            raise ValidationError({error.field or "detail": [str(error)]}) from error
        except Unreadable as error:
            raise ParseError(str(error)) from error


class MappingView(APIView):
    permission_classes = [HasViewPermission]
    parser_classes = [StrictJSONParser]
    to_read = ""
    to_write = ""

    def get_throttles(self) -> list[BaseThrottle]:
        return [] if self.request.method in SAFE_METHODS else [WriteThrottle()]


class Conflict(APIException):
    """409 with detail and, in further fields, the present state."""

    status_code = 409

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__()
        self.detail: Any = {"detail": detail, **more}


def me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # HasViewPermission refuses anonymous users
    return user


class Text(serializers.CharField):
    """A string. Numbers are refused, because their text form may differ from what was meant."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """True or false only, no look-alikes, because the value decides whether something is written."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class PageQuery(serializers.Serializer[Any]):
    """A page by keyset. Page 300 is as quick as page 1, and no row is skipped while others write."""

    after = serializers.CharField(
        required=False,
        default="",
        max_length=100,
        allow_blank=True,
        help_text="The page begins after this key.",
    )
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=500)


def read_query(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The parameters in the address. Raises ValidationError, also for `limit=`: only forms send blanks for
    what is left out."""
    query = kind(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    parameters: dict[str, Any] = query.validated_data
    return parameters


def page_query(request: Request) -> tuple[str, int]:
    """The parameters after and limit. Raises ValidationError."""
    query = read_query(PageQuery, request)
    return query["after"], query["limit"]


def next_page(request: Request, key: str | None, name: str = "after") -> str | None:
    """The address of the page after this key, or None if key is None."""
    return replace_query_param(request.build_absolute_uri(), name, key) if key else None


def error(words: str, example: dict[str, Any]) -> OpenApiResponse:
    return OpenApiResponse(OpenApiTypes.OBJECT, words, [OpenApiExample(words, value=example)])


READ_ERRORS = {
    401: error("Not signed in", {"detail": "Authentication credentials were not provided."}),
    403: error("Not allowed", {"detail": "This account needs the permission …"}),
}
BAD_QUERY = {400: error("A parameter is wrong", {"limit": ["A valid integer is required."]})}
WRITE_ERRORS = READ_ERRORS | {
    400: error("A field is wrong", {"hashtag": ["“nonsense” is not a known hashtag."]}),
    415: error("Not JSON", {"detail": 'Unsupported media type "text/plain" in request.'}),
    429: error("Too many requests", {"detail": "Request was throttled. Expected available in 12 seconds."}),
}
NOT_FOUND = {404: error("Not found", {"detail": "No MappingEntry matches the given query."})}
