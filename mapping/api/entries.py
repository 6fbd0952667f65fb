"""Entries: the list, one entry, decisions about one or many, undo; and the hashtags."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from formats.names import normalize_hashtag
from mapping import hashtags, queue
from mapping.acts import NotYours, StaleEntries, change_entry, change_many, undo_change
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
    me,
    next_page,
    page_query,
)
from mapping.api.serializers import (
    BulkSerializer,
    DecisionSerializer,
    EntryDetailSerializer,
    EntryPageSerializer,
    EntrySerializer,
    HashtagPageSerializer,
    HashtagSerializer,
    HistoryLineSerializer,
    SavedSerializer,
    SenseSerializer,
    StaleSerializer,
    SuggestionsSerializer,
    UndoneSerializer,
    UndoSerializer,
    decision_of,
)
from mapping.filters import TODO, EntryFilter
from mapping.lexicon import wordnet
from mapping.models import Change, Hashtag, MappingEntry
from mapping.suggester import learner
from mapping.suggester.learner import senses_of

HISTORY = 100
STALE = OpenApiResponse(StaleSerializer, "Somebody else changed it; nothing was saved")
FILTERS: list[Any] = [
    PageQuery,
    OpenApiParameter("q", str, description="Words in key, name, synset, hypernym, hashtag or note."),
    OpenApiParameter("status", str, enum=[TODO, *MappingEntry.Status.values]),
    OpenApiParameter("hashtag", str, description="Without #, or `other`."),
    OpenApiParameter("hypernym", str, description="Its word or its synset key."),
    OpenApiParameter("group", str, description="SUN's wide or narrow group."),
    OpenApiParameter("domain", str, description="Of the sense, if WordNet Domains is installed."),
    OpenApiParameter("differs", str, description="Has another label in `release-1` or `opinion-2`."),
]
DECISION = OpenApiExample(
    "Toys are art",
    value={"version": 3, "hashtag": "art", "sense": "toyshop.n.01", "note": "Displays"},
    request_only=True,
)


def entries() -> QuerySet[MappingEntry]:
    """The entries of the mapping. Entries of opinions have no address in the API."""
    return queue.entries_of(None).select_related("changed_by")


def stale(error: StaleEntries) -> Conflict:
    current = entries().filter(pk__in=[entry.pk for entry in error.current])
    return Conflict(str(error), current=EntrySerializer(current, many=True).data)


class EntriesView(MappingView):
    to_read = "mapping.view_sceneclass"

    @extend_schema(
        operation_id="mapping_entries",
        tags=[TAG],
        summary="The mapping, by class",
        parameters=FILTERS,
        examples=[examples.ENTRIES_PAGE],
        responses={200: EntryPageSerializer} | BAD_QUERY | READ_ERRORS,
    )
    def get(self, request: Request) -> Response:
        after, limit = page_query(request)
        entry_filter = EntryFilter(request.query_params, entries())
        if not entry_filter.form.is_valid():
            raise ValidationError(
                {name: [str(word) for word in words] for name, words in entry_filter.form.errors.items()}
            )
        page = queue.page(entry_filter.qs, size=limit, behind=after)
        rows = EntrySerializer(page.rows, many=True).data
        return Response({"next": next_page(request, page.next), "results": rows})


class EntryView(MappingView):
    to_read = "mapping.view_sceneclass"
    to_write = "mapping.change_mappingentry"

    @extend_schema(
        operation_id="mapping_entry",
        tags=[TAG],
        summary="One class: its senses, the hypernym path of the chosen one, its history",
        responses={200: EntryDetailSerializer} | READ_ERRORS | NOT_FOUND,
    )
    def get(self, request: Request, pk: int) -> Response:
        entry = get_object_or_404(entries(), pk=pk)
        lines = entry.history.select_related("history_user", "hashtag").order_by(
            "-history_date", "-history_id"
        )
        history = HistoryLineSerializer(lines[:HISTORY], many=True).data
        return Response(EntrySerializer(entry).data | _meanings(entry) | {"history": history})

    @extend_schema(
        operation_id="mapping_decide",
        tags=[TAG],
        summary="Decide about one class",
        description="A repeated request changes nothing and gets the same answer as the first.",
        request=DecisionSerializer,
        examples=[DECISION, examples.SAVED_ONE, examples.STALE_ENTRIES],
        responses={200: EntrySerializer, 409: STALE} | WRITE_ERRORS | NOT_FOUND,
    )
    def put(self, request: Request, pk: int) -> Response:
        entry = get_object_or_404(entries(), pk=pk)
        serializer = DecisionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        try:
            saved_entry = change_entry(
                entry_id=entry.pk, version=data["version"], by=me(request), decision=decision_of(data)
            )
        except Hashtag.DoesNotExist as error:
            raise ValidationError({"hashtag": [f"{error}."]}) from error
        except StaleEntries as error:
            raise stale(error) from error
        return Response(EntrySerializer(saved_entry).data)


def _meanings(entry: MappingEntry) -> dict[str, Any]:
    try:
        senses = senses_of(entry.scene_class)
        path = wordnet.hypernym_path(entry.sense)[1:] if entry.sense else []
    except wordnet.WordNetMissing:
        return {"wordnet": False, "senses": [], "path": []}
    return {
        "wordnet": True,
        "senses": SenseSerializer(senses, many=True).data,
        "path": SenseSerializer(path, many=True).data,
    }


class SuggestionsView(MappingView):
    to_read = "mapping.change_mappingentry"  # as in the queue: only curators see suggestions

    @extend_schema(
        operation_id="mapping_suggestions",
        tags=[TAG],
        summary="Hashtags for a class, each with its reason",
        responses={200: SuggestionsSerializer} | READ_ERRORS | NOT_FOUND,
    )
    def get(self, request: Request, pk: int) -> Response:
        entry = get_object_or_404(entries(), pk=pk)
        return Response(SuggestionsSerializer(learner.suggest(entry, None)).data)


class DecisionsView(MappingView):
    to_write = "mapping.change_mappingentry"

    @extend_schema(
        operation_id="mapping_decide_many",
        tags=[TAG],
        summary="Decide about many classes, all or nothing",
        description="One act, undone as a whole. If an entry is stale, nothing is saved; 409 lists it.",
        request=BulkSerializer,
        examples=[
            OpenApiExample(
                "Two shops",
                value={
                    "decisions": [
                        {"entry": 7, "version": 1, "hashtag": "shopping"},
                        {"entry": 9, "version": 4, "hashtag": "other", "note": "No shop"},
                    ]
                },
                request_only=True,
            ),
            examples.SAVED_MANY,
            examples.STALE_ENTRIES,
        ],
        responses={200: SavedSerializer, 409: STALE} | WRITE_ERRORS,
    )
    def post(self, request: Request) -> Response:
        serializer = BulkSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        decision_rows = {row["entry"]: row for row in serializer.validated_data["decisions"]}
        known_ids = set(entries().filter(pk__in=decision_rows).values_list("pk", flat=True))
        if unknown_ids := sorted(decision_rows.keys() - known_ids):
            raise ValidationError({"decisions": [f"Unknown entries: {unknown_ids[:20]}."]})
        try:
            change = change_many(
                by=me(request),
                action=Change.Action.GROUP,
                decisions={pk: decision_of(row) for pk, row in decision_rows.items()},
                versions={pk: row["version"] for pk, row in decision_rows.items()},
            )
        except Hashtag.DoesNotExist as error:
            raise ValidationError({"decisions": [f"{error}."]}) from error
        except StaleEntries as error:
            raise stale(error) from error
        rows = EntrySerializer(entries().filter(pk__in=decision_rows), many=True).data
        return Response({"change": change.pk if change else None, "results": rows})


class UndoView(MappingView):
    to_write = "mapping.change_mappingentry"

    @extend_schema(
        operation_id="mapping_undo",
        tags=[TAG],
        summary="Undo an act of one's own",
        description="Adds to the history. Keeps later decisions of others. A repeated request does nothing.",
        request=UndoSerializer,
        examples=[examples.UNDONE],
        responses={200: UndoneSerializer} | WRITE_ERRORS | NOT_FOUND,
    )
    def post(self, request: Request) -> Response:
        serializer = UndoSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        change = get_object_or_404(Change, pk=serializer.validated_data["change"], opinion=None)
        try:
            result = undo_change(change_id=change.pk, by=me(request))
        except NotYours as error:
            raise PermissionDenied("Only the person who decided can undo it.") from error
        return Response(
            {
                "change": change.pk,
                "restored": [entry.pk for entry in result.restored_entries],
                "kept": [entry.pk for entry in result.kept_entries],
            }
        )


class HashtagsView(MappingView):
    to_read = "mapping.view_sceneclass"

    @extend_schema(
        operation_id="mapping_hashtags",
        tags=[TAG],
        summary="The hashtags that classes can carry, by name",
        parameters=[PageQuery, OpenApiParameter("q", str, description="Part of the name.")],
        responses={200: HashtagPageSerializer} | BAD_QUERY | READ_ERRORS,
    )
    def get(self, request: Request) -> Response:
        after, limit = page_query(request)
        words = normalize_hashtag(request.query_params.get("q", ""))
        rows = Hashtag.objects.filter(name__gt=after, name__icontains=words).order_by("name")
        class_count = Count("entries", filter=Q(entries__opinion=None))
        is_offered = Exists(hashtags.offered_hashtags().filter(pk=OuterRef("pk")))
        rows_plus_one = list(rows.annotate(classes=class_count, offered=is_offered)[: limit + 1])
        next_name = rows_plus_one[limit - 1].name if len(rows_plus_one) > limit else None
        page_rows = rows_plus_one[:limit]
        synonyms = hashtags.synonyms(row.name for row in page_rows)
        for row in page_rows:
            row.synonyms = synonyms.get(row.name, ())  # type: ignore[attr-defined]
        results = HashtagSerializer(page_rows, many=True).data
        return Response({"next": next_page(request, next_name), "results": results})
