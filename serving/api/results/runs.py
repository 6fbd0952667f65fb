"""GET /api/v1/runs: trainings, and how they ended."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.models import Job
from serving.api.results.pages import ERRORS, TAG, NumberedPageQuery, ResultsView, newest_first
from trainer.models import TrainedModel, TrainingRun

EXAMPLE = {
    "id": 4,
    "name": "SUN397, fine-tuned ResNet",
    "notes": "With the masks of October.",
    "tags": ["masks", "october"],
    "url": "/trainer/runs/4/",
    "photo_set": "SUN397",
    "release": 3,
    "preset": "finetuned-resnet50",
    "state": "succeeded",
    "accuracy": 0.8712,
    "balanced_accuracy": 0.8604,
    "model": 3,
    "created_at": "2026-11-23T14:52:08Z",
    "started_at": "2026-11-23T14:52:10Z",
    "finished_at": "2026-11-23T21:08:47Z",
}


class RunSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    notes = serializers.CharField(help_text="What people wrote about it, or empty.")
    tags = serializers.SerializerMethodField(help_text="Short words, in the order of the alphabet.")
    url = serializers.CharField(source="get_absolute_url", help_text="Its page on this site.")
    photo_set = serializers.CharField(source="photo_set.name")
    release = serializers.IntegerField(
        source="release.number", help_text="Of the mapping, whose labels it learned."
    )
    preset = serializers.CharField(help_text="The recipe's name, or empty.")
    state = serializers.ChoiceField(Job.State.values, source="job.state")
    accuracy = serializers.FloatField(
        allow_null=True, help_text="On held-out photos; null until the run has ended."
    )
    balanced_accuracy = serializers.FloatField(allow_null=True, help_text="The mean over labels.")
    model = serializers.IntegerField(
        source="model.pk", allow_null=True, default=None, help_text="The newest model exported from it."
    )
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(source="job.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)

    def get_tags(self, run: TrainingRun) -> list[str]:
        return [tag.name for tag in run.tags.all()]


class RunPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = RunSerializer(many=True, help_text="Newest first.")


class RunsView(ResultsView):
    to_read = "trainer.view_trainingrun"

    @extend_schema(
        operation_id="runs",
        tags=[TAG],
        summary="Training runs, newest first",
        parameters=[NumberedPageQuery],
        examples=[OpenApiExample("One run", value={"next": None, "results": [EXAMPLE]})],
        responses={200: RunPageSerializer} | ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = TrainingRun.objects.select_related("job", "photo_set", "release")
        rows = rows.defer("report", "recipe", "live", "right", "photo_set__report")
        rows = rows.prefetch_related(
            "tags", Prefetch("models", TrainedModel.objects.defer("manifest", "card"))
        )
        page, following = newest_first(request, rows)
        return Response({"next": following, "results": RunSerializer(page, many=True).data})
