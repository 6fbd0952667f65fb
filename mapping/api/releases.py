"""Releases: the list, the labels of one, the comparison of two, unpublished changes, publishing."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from mapping.api import examples
from mapping.api.base import (
    BAD_QUERY,
    NOT_FOUND,
    READ_ERRORS,
    TAG,
    WRITE_ERRORS,
    Conflict,
    MappingView,
    PageQuery,
    Text,
    error,
    me,
    next_page,
    page_query,
    read_query,
)
from mapping.impact import Impact, impact_between, impact_of_publishing
from mapping.models import Release
from mapping.releases import (
    KINDS,
    ChangesMoved,
    NothingToPublish,
    fingerprint,
    publish_release,
    unpublished_moves,
)

LARGEST_NUMBER = 2**31 - 1


class ReleaseSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    note = serializers.CharField()
    published_by = serializers.CharField(source="published_by.username", allow_null=True, default=None)
    published_at = serializers.DateTimeField()
    classes = serializers.IntegerField()


class ReleaseListSerializer(serializers.Serializer[Any]):
    results = ReleaseSerializer(many=True, help_text="Newest first.")


class LabelSerializer(serializers.Serializer[Any]):
    scene_key = serializers.CharField()
    label = serializers.CharField(  # type: ignore[assignment]
        help_text="A hashtag without #, or `other`."
    )
    sense = serializers.CharField()
    synset = serializers.CharField()
    hypernym_sense = serializers.CharField()
    hypernym = serializers.CharField()


class LabelPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = LabelSerializer(many=True)


class StepSerializer(serializers.Serializer[Any]):
    """All classes that moved from one label to the same other label. null: not in that state."""

    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    classes = serializers.IntegerField()
    photos = serializers.IntegerField()
    examples = serializers.ListField(child=serializers.CharField())


class StaleRunSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    url = serializers.CharField()
    release = serializers.IntegerField(help_text="The release that it was trained on.")
    photos = serializers.IntegerField(help_text="Photos of its photo set that have another label now.")
    model = serializers.CharField(help_text="Its exported model, or empty.")
    model_url = serializers.CharField()
    active = serializers.BooleanField(help_text="This model is the active one.")


class MoveSerializer(serializers.Serializer[Any]):
    scene_key = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    detail = serializers.CharField(help_text="How sense and hypernym differ, or empty.")
    photos = serializers.IntegerField()


class KindSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(KINDS)
    classes = serializers.IntegerField()


class ImpactSerializer(serializers.Serializer[Any]):
    """The differences and their effect. Only `moves` is paged; everything else covers all moves."""

    before = serializers.IntegerField(
        allow_null=True, help_text="Number of a release; null means before the first."
    )
    after = serializers.IntegerField(
        allow_null=True, help_text="Number of a release; null means the mapping now."
    )
    kinds = KindSerializer(many=True)
    photos_relabelled = serializers.IntegerField()
    steps = StepSerializer(many=True, help_text="Most classes first.")
    stale = StaleRunSerializer(many=True, help_text="Runs whose training labels have changed since.")
    emptied = serializers.ListField(child=serializers.CharField(), help_text="Hashtags without photos now.")
    first = serializers.ListField(
        child=serializers.CharField(), help_text="Hashtags that had no photos before."
    )
    moves = MoveSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The next page of moves, or null.")


class UnpublishedSerializer(ImpactSerializer):
    seen = serializers.CharField(help_text="Fingerprint of these changes; send it back to publish.")


class PublishSerializer(serializers.Serializer[Any]):
    note = Text(max_length=500, help_text="What changed, and why.")
    seen = Text(max_length=16, help_text="The fingerprint from `unpublished`.")


class NumberQuery(serializers.Serializer[Any]):
    before = serializers.IntegerField(min_value=1, max_value=LARGEST_NUMBER)
    after = serializers.IntegerField(min_value=1, max_value=LARGEST_NUMBER)
    behind = serializers.CharField(
        required=False,
        default="",
        max_length=100,
        allow_blank=True,
        help_text="The page begins after this class.",
    )
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=500)


def _impact_data(impact: Impact, behind: str, limit: int) -> tuple[dict[str, Any], str | None]:
    """The body of the answer, and the key after which the next page begins."""
    moves = [move for move in impact.moves if move.scene_key > behind]
    page = [
        {
            "scene_key": move.scene_key,
            "kind": move.kind,
            "before": move.before,
            "after": move.after,
            "detail": move.detail,
            "photos": impact.photos.get(move.scene_key, 0),
        }
        for move in moves[:limit]
    ]
    data = {
        "kinds": [{"kind": kind, "classes": classes} for kind, classes in impact.kinds],
        "photos_relabelled": impact.photos_relabelled,
        "steps": StepSerializer(impact.steps, many=True).data,
        "stale": StaleRunSerializer(impact.stale, many=True).data,
        "emptied": impact.emptied,
        "first": impact.first,
        "moves": page,
    }
    return data, moves[limit - 1].scene_key if len(moves) > limit else None


class ReleasesView(MappingView):
    to_read = "mapping.view_release"
    to_write = "mapping.publish_release"

    @extend_schema(
        operation_id="mapping_releases",
        tags=[TAG],
        summary="All releases",
        responses={200: ReleaseListSerializer} | READ_ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = Release.objects.select_related("published_by").annotate(classes=Count("labels"))
        return Response({"results": ReleaseSerializer(rows.order_by("-number"), many=True).data})

    @extend_schema(
        operation_id="mapping_publish",
        tags=[TAG],
        summary="Publish a release: freeze the mapping as it is now",
        request=PublishSerializer,
        examples=[
            OpenApiExample(
                "Toys", value={"note": "Toys are art", "seen": "0f3a9c51d2e4b687"}, request_only=True
            )
        ],
        responses={
            201: ReleaseSerializer,
            409: error("Nothing was published", {"detail": "The mapping changed …", "seen": "…"}),
        }
        | WRITE_ERRORS,
    )
    def post(self, request: Request) -> Response:
        serializer = PublishSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            new = publish_release(by=me(request), **serializer.validated_data)
        except NothingToPublish as nothing:
            raise Conflict(
                "The mapping equals the newest release, so there is nothing to publish."
            ) from nothing
        except ChangesMoved as moved:
            fingerprint_now = fingerprint(unpublished_moves())
            raise Conflict(
                "The mapping changed after that list of changes was made.", seen=fingerprint_now
            ) from moved
        row = Release.objects.select_related("published_by").annotate(classes=Count("labels")).get(pk=new.pk)
        return Response(ReleaseSerializer(row).data, status=status.HTTP_201_CREATED)


class LabelsView(MappingView):
    to_read = "mapping.view_release"

    @extend_schema(
        operation_id="mapping_release_labels",
        tags=[TAG],
        summary="The labels of a release, by class",
        parameters=[PageQuery, OpenApiParameter("label", str, description="Only classes with this label.")],
        responses={200: LabelPageSerializer} | BAD_QUERY | READ_ERRORS | NOT_FOUND,
    )
    def get(self, request: Request, number: int) -> Response:
        after, limit = page_query(request)
        rows = get_object_or_404(Release, number=number).labels.filter(scene_key__gt=after)
        if label := request.query_params.get("label", ""):
            rows = rows.filter(label=label)
        labels = list(rows[: limit + 1])
        next_key = labels[limit - 1].scene_key if len(labels) > limit else None
        return Response(
            {"next": next_page(request, next_key), "results": LabelSerializer(labels[:limit], many=True).data}
        )


class CompareView(MappingView):
    to_read = "mapping.view_release"

    @extend_schema(
        operation_id="mapping_compare",
        tags=[TAG],
        summary="The differences between two releases",
        parameters=[NumberQuery],
        examples=[examples.COMPARED],
        responses={200: ImpactSerializer} | BAD_QUERY | READ_ERRORS | NOT_FOUND,
    )
    def get(self, request: Request) -> Response:
        parameters = read_query(NumberQuery, request)
        before = get_object_or_404(Release, number=parameters["before"])
        after = get_object_or_404(Release, number=parameters["after"])
        data, next_key = _impact_data(
            impact_between(before, after), parameters["behind"], parameters["limit"]
        )
        numbers = {"before": before.number, "after": after.number}
        return Response(numbers | data | {"next": next_page(request, next_key, name="behind")})


class UnpublishedView(MappingView):
    to_read = "mapping.view_release"

    @extend_schema(
        operation_id="mapping_unpublished",
        tags=[TAG],
        summary="The changes that publishing now would make",
        parameters=[PageQuery],
        examples=[examples.UNPUBLISHED],
        responses={200: UnpublishedSerializer} | BAD_QUERY | READ_ERRORS,
    )
    def get(self, request: Request) -> Response:
        behind, limit = page_query(request)
        newest = Release.objects.first()
        impact = impact_of_publishing(newest)
        data, next_key = _impact_data(impact, behind, limit)
        numbers = {"before": newest.number if newest else None, "after": None}
        fingerprint_field = {"seen": fingerprint(impact.moves)}
        return Response(numbers | data | fingerprint_field | {"next": next_page(request, next_key)})
