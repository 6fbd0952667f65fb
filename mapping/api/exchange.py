"""Export of the mapping, and import of a class list or a mapping: first a plan, then all of it or nothing."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from formats.table import Unreadable
from mapping.api.base import (
    BAD_QUERY,
    NOT_FOUND,
    READ_ERRORS,
    TAG,
    WRITE_ERRORS,
    Conflict,
    Flag,
    MappingView,
    Text,
    error,
    me,
    read_query,
)
from mapping.files import exchange, importing
from mapping.files.classlists import MAX_BYTES, ClassList
from mapping.files.importing import PlanHasProblems, PlanMoved
from mapping.models import Release

JSON_SLACK = 2  # JSON escapes make a text at most twice as long, control characters aside
SHOWN = 500  # rows and problems in an answer; the counts cover all
CSV = "csv"
TYPES = {CSV: "text/csv", exchange.JSON: "application/json", exchange.SSSOM: "text/tab-separated-values"}
ENDINGS = {CSV: "csv", exchange.JSON: "json", exchange.SSSOM: "sssom.tsv"}


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The file is larger than {MAX_BYTES // 2**20} MB."


class ExportQuery(serializers.Serializer[Any]):
    file_format = serializers.ChoiceField(list(TYPES), required=False, default=CSV)
    release = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Its number; by default the present mapping.",
    )


class ImportSerializer(serializers.Serializer[Any]):
    text = Text(trim_whitespace=False, help_text="The file's content.")
    file_format = serializers.ChoiceField(
        list(exchange.KINDS), required=False, help_text="By default recognized from the content."
    )
    dry_run = Flag(required=False, default=True, help_text="True: only make a plan.")
    seen = Text(required=False, max_length=16, help_text="The fingerprint of the plan; required to import.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["dry_run"] and "seen" not in attrs:
            raise serializers.ValidationError({"seen": ["Request the plan first, and send its fingerprint."]})
        return attrs


class ProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Line of the file, from 1; 0 means the whole file.")
    field = serializers.CharField()
    text = serializers.CharField()


class ItemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    key = serializers.CharField()
    kind = serializers.CharField(help_text="`new` or `changed`.")
    before = serializers.CharField(allow_null=True, help_text="The label, null while undecided.")
    after = serializers.CharField(allow_null=True)


class CountsSerializer(serializers.Serializer[Any]):
    new = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="The class has an answer; the file has none.")


class PlanSerializer(serializers.Serializer[Any]):
    file_format = serializers.CharField()
    counts = CountsSerializer()
    items = ItemSerializer(many=True, help_text=f"New and changed classes, at most {SHOWN}.")
    problems = ProblemSerializer(many=True, help_text=f"Any problem prevents the import; at most {SHOWN}.")
    notes = ProblemSerializer(
        many=True, help_text=f"What is skipped, or saved differently from the file; at most {SHOWN}."
    )
    ignored = serializers.ListField(child=serializers.CharField(), help_text="Columns that we do not read.")
    fingerprint = serializers.CharField(help_text="Identifies this plan; send it back as `seen`.")
    imported = serializers.BooleanField()
    change = serializers.IntegerField(allow_null=True, help_text="The act, to undo it.")


class ExportView(MappingView):
    to_read = "mapping.view_sceneclass"

    @extend_schema(
        operation_id="mapping_export",
        tags=[TAG],
        summary="The mapping as a file: the thesis's CSV, JSON, or SSSOM",
        parameters=[ExportQuery],
        responses={
            (200, content_type): OpenApiTypes.OBJECT if kind == exchange.JSON else OpenApiTypes.STR
            for kind, content_type in TYPES.items()
        }
        | BAD_QUERY
        | READ_ERRORS
        | NOT_FOUND,
    )
    def get(self, request: Request) -> HttpResponse:
        query = read_query(ExportQuery, request)
        kind, number = query["file_format"], query.get("release")
        release = get_object_or_404(Release, number=number) if number else None
        rows = exchange.export_rows(release)
        if kind == CSV:
            text = exchange.to_csv(rows)
        elif kind == exchange.JSON:
            text = exchange.to_json(rows, release)
        else:
            text = exchange.to_sssom(rows, release)
        which = f"release-{number}" if number else "mapping"
        response = HttpResponse(text, content_type=f"{TYPES[kind]}; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="scenetag-{which}.{ENDINGS[kind]}"'
        return response


class ImportView(MappingView):
    to_write = "mapping.change_mappingentry"

    @extend_schema(
        operation_id="mapping_import",
        tags=[TAG],
        summary="Import a class list or a mapping: a plan first, then all of it or nothing",
        description="Without `dry_run: false` nothing is written. To import, send the same text again with "
        "the plan's fingerprint as `seen`. Importing a file twice changes nothing more.",
        request=ImportSerializer,
        examples=[
            OpenApiExample("Plan", value={"text": "key,hashtag\nt/toyshop,art\n"}, request_only=True),
            OpenApiExample(
                "Import",
                value={
                    "text": "key,hashtag\nt/toyshop,art\n",
                    "dry_run": False,
                    "seen": "0f3a9c51d2e4b687",
                },
                request_only=True,
            ),
        ],
        responses={
            200: PlanSerializer,
            409: error("The mapping changed after the plan", {"detail": "…", "fingerprint": "…"}),
            413: error("Too large a file", {"detail": TooLarge.default_detail}),
        }
        | WRITE_ERRORS,
    )
    def post(self, request: Request) -> Response:
        if int(request.META.get("CONTENT_LENGTH") or 0) > JSON_SLACK * MAX_BYTES:
            raise TooLarge
        serializer = ImportSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        if len(data["text"].encode()) > MAX_BYTES:
            raise TooLarge
        kind = data.get("file_format") or exchange.detect(data["text"])
        try:
            class_list = exchange.read(data["text"], kind)
        except Unreadable as unreadable:
            raise ValidationError({"text": [str(unreadable)]}) from unreadable
        plan = importing.plan(class_list)
        if data["dry_run"]:
            return Response(_plan_data(plan, kind))
        change = _apply(request, class_list, data["seen"], plan)
        return Response(_plan_data(plan, kind) | {"imported": True, "change": change})


def _apply(request: Request, class_list: ClassList, seen: str, plan: importing.Plan) -> int | None:
    """The id of the act, or None if the plan changes nothing."""
    try:
        change = importing.apply(class_list=class_list, seen=seen, by=me(request))
    except PlanHasProblems as problems:
        raise ValidationError(
            {"text": [f"line {p.line}, {p.field}: {p.text}" for p in plan.problems[:SHOWN]]}
        ) from problems
    except PlanMoved as moved:
        raise Conflict(
            "The mapping changed after that plan was made. Nothing was imported.",
            fingerprint=plan.fingerprint,
        ) from moved
    return change.pk if change else None


def _plan_data(plan: importing.Plan, kind: str) -> dict[str, Any]:
    kinds = (importing.NEW, importing.CHANGED, importing.SAME, importing.KEPT)
    return {
        "file_format": kind,
        "counts": {name: plan.counts[name] for name in kinds},
        "items": ItemSerializer(plan.writes[:SHOWN], many=True).data,
        "problems": ProblemSerializer(plan.problems[:SHOWN], many=True).data,
        "notes": ProblemSerializer(plan.notes[:SHOWN], many=True).data,
        "ignored": plan.ignored,
        "fingerprint": plan.fingerprint,
        "imported": False,
        "change": None,
    }
