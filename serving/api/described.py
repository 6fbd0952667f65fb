"""What the OpenAPI document says of the addresses below: what is sent, what comes back, with examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema_field,
)
from rest_framework import serializers

from serving.api.options import OptionsSerializer
from serving.api.refusals import MaySuggest, NoModel, error_response


class PhotosSerializer(OptionsSerializer):
    photo = serializers.ListField(
        child=serializers.FileField(),
        min_length=1,
        help_text="JPEG, PNG, WebP, HEIC, BMP, GIF or TIFF. Repeat the field for more photos.",
    )


class FittingHashtagSerializer(serializers.Serializer[Any]):
    hashtag = serializers.CharField(help_text="Without #.")
    probability = serializers.FloatField(min_value=0, max_value=1)


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
    hashtags = FittingHashtagSerializer(
        many=True, help_text="All that fit, at most `max`; the first is `hashtag`. Empty in silence."
    )
    candidates = CandidateSerializer(many=True, help_text="The three likeliest, best first.")
    probabilities = serializers.DictField(
        child=serializers.FloatField(min_value=0, max_value=1),
        required=False,
        help_text="Of every label that is offered; only with `probabilities=all`.",
    )
    model = serializers.CharField(help_text="The tag of GET /api/v1/model when this was answered.")


class RefusedSerializer(serializers.Serializer[Any]):
    file = serializers.CharField(help_text="The name of the uploaded file.")
    error = serializers.CharField(help_text="What is wrong with this photo.")
    status = serializers.IntegerField(
        help_text="The status with which it would have been refused alone: 400, 413 or 503."
    )


def _answer_or_error(*, many: bool) -> PolymorphicProxySerializer:
    kinds = [SuggestionSerializer, RefusedSerializer]
    return PolymorphicProxySerializer("AnswerOrError", kinds, resource_type_field_name=None, many=many)


@extend_schema_field(_answer_or_error(many=True))
class EachField(serializers.ListField):
    pass


class AnswersSerializer(serializers.Serializer[Any]):
    answers = EachField(help_text="One for each photo, in order: an answer, or its error.")


class ChallengerSerializer(serializers.Serializer[Any]):
    tag = serializers.CharField(help_text="The `model` of its answers.")
    name = serializers.CharField()
    share = serializers.FloatField(min_value=0, max_value=1, help_text="Of the photos that it answers.")


class ActiveModelSerializer(serializers.Serializer[Any]):
    tag = serializers.CharField(help_text="The `model` of its answers.")
    etag = serializers.CharField(
        help_text="The header ETag, for `If-None-Match`: the tag, or during a trial one for both models."
    )
    name = serializers.CharField()
    sha256 = serializers.CharField(help_text="Of the network's file.")
    labels = serializers.ListField(child=serializers.CharField())
    thresholds = serializers.DictField(
        child=serializers.FloatField(min_value=0, max_value=1, allow_null=True),
        help_text="The probability from which each hashtag is suggested; null: never.",
    )
    blocked = serializers.ListField(
        child=serializers.CharField(), help_text="Labels that curators do not offer."
    )
    target_precision = serializers.FloatField(
        allow_null=True, help_text="How often a suggestion should be right."
    )
    promise = serializers.CharField(help_text="What the model promises, in words; empty: nothing.")
    challenger = ChallengerSerializer(
        allow_null=True, help_text="The second model of a trial that runs now; null without one."
    )


SIGNED_IN = {
    401: error_response("No token", {"detail": "Authentication credentials were not provided."}),
    403: error_response("The account may not ask", {"detail": MaySuggest.message}),
}
REFUSALS = SIGNED_IN | {
    400: error_response(
        "A field is unknown, missing, given twice or wrong; or the only photo cannot be read",
        {"photo": ["This photo cannot be read: it is empty."]},
    ),
    413: error_response(
        "The only photo, or all of them together, are too large",
        {"detail": "The photo is larger than 15 MB."},
    ),
    415: error_response("Neither a form nor an image", {"detail": 'Unsupported media type "text/plain".'}),
    429: error_response("Too many photos", {"detail": "Request was throttled. Available in 12 seconds."}),
    503: error_response(
        "No model is active; or, with `Retry-After`, too many photos are being opened",
        {"detail": NoModel.default_detail},
    ),
}
BEACH = {
    "id": "AQGe…:5Rz…",
    "file": "holiday.jpg",
    "hashtag": "beach",
    "confidence": 0.97,
    "reason": None,
    "hashtags": [{"hashtag": "beach", "probability": 0.97}],
    "candidates": [
        {"hashtag": "beach", "probability": 0.97},
        {"hashtag": "nature", "probability": 0.02},
        {"hashtag": "other", "probability": 0.01},
    ],
    "model": "9f2c4e17a0b35d68c1e4f70a92b8d356",
}
DESK = {
    "id": "AQGe…:kP0…",
    "file": "desk.jpg",
    "hashtag": None,
    "confidence": 0.81,
    "reason": "other: none of the hashtags fits",
    "hashtags": [],
    "candidates": [
        {"hashtag": "other", "probability": 0.81},
        {"hashtag": "office", "probability": 0.12},
        {"hashtag": "home", "probability": 0.03},
    ],
    "model": "9f2c4e17a0b35d68c1e4f70a92b8d356",
}
BROKEN = {"file": "broken.jpg", "error": "This photo cannot be read: it is empty.", "status": 400}


def _example(name: str, value: Any, **more: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"], **more)


SUGGEST: dict[str, Any] = {
    "operation_id": "suggest",
    "summary": "Suggest hashtags for a photo, or for up to 32",
    "description": "Send the photo as the form field `photo`, or as the whole body with its image type; "
    "repeat the field for more photos. Photos are not kept. `hashtag` is null when the photo shows none of "
    "the known scenes or the model is not sure enough: then suggest nothing. One photo gets one answer; "
    "several get `answers`, in order, where a photo that cannot be read has its `error`. Options stand in "
    "the form or in the address; a field that is unknown or given twice is refused.",
    "parameters": [OptionsSerializer],
    "request": {"multipart/form-data": PhotosSerializer, "image/jpeg": OpenApiTypes.BINARY},
    "responses": {
        200: PolymorphicProxySerializer(
            component_name="OneOrMany",
            serializers=[SuggestionSerializer, AnswersSerializer],
            resource_type_field_name=None,
        ),
        **REFUSALS,
    },
    "examples": [
        _example("A beach", BEACH),
        _example("Silence", DESK),
        _example("Two photos, one of them broken", {"answers": [BEACH, BROKEN]}),
    ],
}
STREAM: dict[str, Any] = {
    "operation_id": "suggest_stream",
    "summary": "Suggest hashtags for up to 500 photos, answer by answer",
    "description": "As `/suggest`, but each answer is a line of JSON, in order, sent as soon as it is known. "
    "The site reads the whole request first, so only the answer is a stream. All photos are answered by the "
    "model that was active when the request came; what curators block meanwhile is no longer suggested.",
    "parameters": [OptionsSerializer],
    "request": {"multipart/form-data": PhotosSerializer},
    "responses": {
        (200, "application/x-ndjson"): OpenApiResponse(_answer_or_error(many=False), "A line for each photo"),
        **{(code, "application/json"): answer for code, answer in REFUSALS.items()},
    },
}
MODEL: dict[str, Any] = {
    "operation_id": "model",
    "summary": "Which model answers now",
    "description": "With `If-None-Match`, the answer is 304 while nothing has changed: what you have kept of "
    "earlier answers still holds, also those of a trial's second model.",
    "responses": {
        200: ActiveModelSerializer,
        304: OpenApiResponse(None, "Nothing has changed since the ETag in `If-None-Match`"),
        400: error_response("A parameter is unknown", {"x": ["Unknown field: none is known here."]}),
        **SIGNED_IN,
        503: error_response("No model is active", {"detail": NoModel.default_detail}),
    },
}
