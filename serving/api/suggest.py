"""POST /api/v1/suggest: takes a photo, answers with a hashtag or with the reason for silence."""

from __future__ import annotations

import logging
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from mapping.api.base import me
from serving.answers import send
from serving.api.photos import FIELD, PhotoBody, PhotoUploadSerializer, read_photo
from serving.api.refusals import BrokenModel, MaySuggest, NoModel
from serving.trials import choose
from trainer.engine.errors import ModelError
from trainer.registry.serving import NoActiveModel, suggest, unreadable

log = logging.getLogger(__name__)


class CandidateSerializer(serializers.Serializer[Any]):
    hashtag = serializers.CharField(help_text="Without #, or `other`: none of the hashtags.")
    probability = serializers.FloatField(min_value=0, max_value=1)


class SuggestionSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Names this answer in feedback.")
    file = serializers.CharField(help_text="The name of the uploaded file; empty if none was sent.")
    hashtag = serializers.CharField(allow_null=True, help_text="Without #, or null: suggest nothing.")
    confidence = serializers.FloatField(
        min_value=0, max_value=1, help_text="Calibrated probability of the likeliest candidate."
    )
    reason = serializers.CharField(
        allow_null=True, help_text="Why the model stays silent; null with a hashtag."
    )
    candidates = CandidateSerializer(many=True, help_text="The three likeliest, best first.")


def _error(words: str, example: dict[str, Any]) -> OpenApiResponse:
    return OpenApiResponse(OpenApiTypes.OBJECT, words, [OpenApiExample(words, value=example)])


class SuggestView(APIView):
    permission_classes = [MaySuggest]
    parser_classes = [MultiPartParser, PhotoBody]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "suggest"

    @extend_schema(
        operation_id="suggest",
        summary="Suggest a hashtag for a photo",
        description="Send the photo as the form field `photo`, or as the whole body with its image type. "
        "The photo is not kept. `hashtag` is null when the photo shows none of the known scenes "
        "or the model is not sure enough: then suggest nothing.",
        request={"multipart/form-data": PhotoUploadSerializer, "image/jpeg": OpenApiTypes.BINARY},
        responses={
            200: SuggestionSerializer,
            400: _error(
                "No photo, or one that cannot be read",
                {"photo": ["This photo cannot be read: it is empty."]},
            ),
            401: _error("No token", {"detail": "Authentication credentials were not provided."}),
            403: _error("The account may not ask", {"detail": MaySuggest.message}),
            413: _error("The photo is too large", {"detail": "The photo is larger than 15 MB."}),
            415: _error("Neither a form nor an image", {"detail": 'Unsupported media type "text/plain".'}),
            429: _error("Too many requests", {"detail": "Request was throttled. Available in 12 seconds."}),
            503: _error(
                "No model is active; or, with `Retry-After`, too many photos are being opened",
                {"detail": NoModel.default_detail},
            ),
        },
        examples=[
            OpenApiExample(
                "A beach",
                value={
                    "id": "AQGe…:5Rz…",
                    "file": "holiday.jpg",
                    "hashtag": "beach",
                    "confidence": 0.97,
                    "reason": None,
                    "candidates": [
                        {"hashtag": "beach", "probability": 0.97},
                        {"hashtag": "nature", "probability": 0.02},
                        {"hashtag": "other", "probability": 0.01},
                    ],
                },
                response_only=True,
                status_codes=["200"],
            ),
            OpenApiExample(
                "Silence",
                value={
                    "id": "AQGe…:kP0…",
                    "file": "desk.jpg",
                    "hashtag": None,
                    "confidence": 0.81,
                    "reason": "other: none of the hashtags fits",
                    "candidates": [
                        {"hashtag": "other", "probability": 0.81},
                        {"hashtag": "office", "probability": 0.12},
                        {"hashtag": "home", "probability": 0.03},
                    ],
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        name, content = read_photo(request)
        try:
            choice = choose(content)
            answer = next(iter(suggest([content], model=choice.model, beside=choice.in_use)))
        except NoActiveModel as error:
            raise NoModel from error
        except ModelError as error:
            log.error("The active model cannot be used: %s", error)
            raise BrokenModel from error
        if reason := unreadable(answer):
            raise ValidationError({FIELD: [f"This photo cannot be read: {reason}."]})
        answer_id = send(answer=answer, content=content, choice=choice, account=me(request).pk)
        return Response(answer.as_dict() | {"file": name, "id": answer_id})
