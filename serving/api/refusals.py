"""Why a program gets no answer: the permission that it lacks, and a model that is missing or broken."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView


class NoModel(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "No model is active yet, so there are no suggestions."
    default_code = "no_model"


class BrokenModel(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The active model's files are missing or damaged, so there are no suggestions."
    default_code = "broken_model"


class NoChecks(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = (
        "The active model cannot check hashtags: it was exported before models could. Export its run again."
    )
    default_code = "no_checks"


class MaySuggest(BasePermission):
    message = "This account may not ask for suggestions: it needs the permission trainer.suggest."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user and request.user.has_perm("trainer.suggest"))


def error_response(words: str, example: dict[str, Any]) -> OpenApiResponse:
    """A refusal in the schema: what it means, and how it looks."""
    return OpenApiResponse(OpenApiTypes.OBJECT, words, [OpenApiExample(words, value=example)])
