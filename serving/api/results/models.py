"""GET /api/v1/models: exported networks, what they promise, and which one is active."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from serving.api.results.pages import ERRORS, TAG, NumberedPageQuery, ResultsView, newest_first
from trainer.models import Promotion, TrainedModel
from trainer.registry.promises import promise_of

EXAMPLE = {
    "id": 3,
    "name": "SUN397, fine-tuned ResNet",
    "url": "/trainer/models/3/",
    "run": 4,
    "release": 3,
    "derived_from": None,
    "is_ready": True,
    "is_active": True,
    "labels": ["beach", "cafe", "other"],
    "accuracy": 0.8712,
    "balanced_accuracy": 0.8604,
    "target_precision": 0.9,
    "promise": "",
    "sha256": "535135b73942da64f4aad0f01bace300535135b73942da64f4aad0f01bace300",
    "created_at": "2026-11-23T21:30:12Z",
}


class ModelSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    url = serializers.CharField(help_text="Its page on this site.")
    run = serializers.IntegerField(allow_null=True, help_text="Null: it came from a file.")
    release = serializers.IntegerField(
        allow_null=True, help_text="Of the mapping, with whose labels it answers; null: they came with it."
    )
    derived_from = serializers.IntegerField(allow_null=True, help_text="The model whose network it has.")
    is_ready = serializers.BooleanField(help_text="False until its export has ended.")
    is_active = serializers.BooleanField(help_text="It answers requests for hashtags now.")
    labels = serializers.ListField(child=serializers.CharField())
    accuracy = serializers.FloatField(allow_null=True)
    balanced_accuracy = serializers.FloatField(allow_null=True)
    target_precision = serializers.FloatField(help_text="How often a suggestion should be right.")
    promise = serializers.CharField(help_text="What it promises, in words; empty: nothing.")
    sha256 = serializers.CharField(help_text="Of the network's file; empty until it is ready.")
    created_at = serializers.DateTimeField()


class ModelPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = ModelSerializer(many=True, help_text="Newest first.")


def _facts(model: TrainedModel, active: int | None) -> dict[str, Any]:
    manifest = model.manifest
    metrics = manifest.get("metrics") or {}
    release = model.labels_release
    return {
        "id": model.pk,
        "name": model.name,
        "url": model.get_absolute_url(),
        "run": model.run_id,
        "release": release.number if release else None,
        "derived_from": model.derived_from_id,
        "is_ready": model.is_ready,
        "is_active": model.pk == active,
        "labels": manifest.get("labels", []),
        "accuracy": metrics.get("accuracy"),
        "balanced_accuracy": metrics.get("balanced_accuracy"),
        "target_precision": model.target_precision,
        "promise": promise_of(manifest),
        "sha256": manifest.get("sha256", ""),
        "created_at": model.created_at,
    }


class ModelsView(ResultsView):
    to_read = "trainer.view_trainedmodel"

    @extend_schema(
        operation_id="models",
        tags=[TAG],
        summary="Models, newest first",
        description="The model that answers now is described in full by `/model`.",
        parameters=[NumberedPageQuery],
        examples=[OpenApiExample("One model", value={"next": None, "results": [EXAMPLE]})],
        responses={200: ModelPageSerializer} | ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = TrainedModel.objects.select_related("run__release", "release")
        rows = rows.defer("card", "run__report", "run__recipe", "run__live", "run__right")
        page, following = newest_first(request, rows)
        current = Promotion.objects.current()
        facts = [_facts(model, current.model_id if current else None) for model in page]
        return Response({"next": following, "results": ModelSerializer(facts, many=True).data})
