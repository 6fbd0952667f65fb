"""Entries: list, one of them, decisions one by one or many at once, undo; and the hashtags."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

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
    PastSerializer,
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
STALE = OpenApiResponse(StaleSerializer, "Somebody changed it since; nothing was saved")
FILTERS: list[Any] = [
    PageQuery,
    OpenApiParameter("q", str, description="Words in key, name, synset, hypernym, hashtag or note."),
    OpenApiParameter("status", str, enum=[TODO, *MappingEntry.Status.values]),
    OpenApiParameter("hashtag", str, description="Without #, or `other`."),
    OpenApiParameter("hypernym", str, description="Its word or its synset."),
    OpenApiParameter("group", str, description="SUN's wide or narrow group."),
    OpenApiParameter("differs", str, description="Labelled otherwise there: `release-1`, `opinion-2`."),
]
DECISION = OpenApiExample(
    "Toys are art",
    value={"version": 3, "hashtag": "art", "sense": "toyshop.n.01", "note": "Displays"},
    request_only=True,
)


def entries() -> QuerySet[MappingEntry]:
    """The mapping's own; an opinion's entries have no address here."""
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
        found = EntryFilter(request.query_params, entries())
        if not found.form.is_valid():
            raise ValidationError(
                {name: [str(word) for word in words] for name, words in found.form.errors.items()}
            )
        page = queue.page(found.qs, size=limit, behind=after)
        rows = EntrySerializer(page.rows, many=True).data
        return Response({"next": next_page(request, page.next), "results": rows})


class EntryView(MappingView):
    to_read = "mapping.view_sceneclass"
    to_write = "mapping.change_mappingentry"

    @extend_schema(
        operation_id="mapping_entry",
        tags=[TAG],
        summary="One class: its senses, the way up from the chosen one, its history",
        responses={200: EntryDetailSerializer} | READ_ERRORS | NOT_FOUND,
    )
    def get(self, request: Request, pk: int) -> Response:
        entry = get_object_or_404(entries(), pk=pk)
        past = entry.history.select_related("history_user", "hashtag").order_by(
            "-history_date", "-history_id"
        )
        history = PastSerializer(past[:HISTORY], many=True).data
        return Response(EntrySerializer(entry).data | _meanings(entry) | {"history": history})

    @extend_schema(
        operation_id="mapping_decide",
        tags=[TAG],
        summary="Decide about one class",
        description="A repeated request changes nothing more and answers as the first one did.",
        request=DecisionSerializer,
        examples=[DECISION, examples.SAVED_ONE, examples.STALE_ENTRIES],
        responses={200: EntrySerializer, 409: STALE} | WRITE_ERRORS | NOT_FOUND,
    )
    def put(self, request: Request, pk: int) -> Response:
        entry = get_object_or_404(entries(), pk=pk)
        sent = DecisionSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        data = sent.validated_data
        try:
            saved = change_entry(
                entry_id=entry.pk, version=data["version"], by=me(request), decision=decision_of(data)
            )
        except Hashtag.DoesNotExist as error:
            raise ValidationError({"hashtag": [f"{error}."]}) from error
        except StaleEntries as error:
            raise stale(error) from error
        return Response(EntrySerializer(saved).data)


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
    to_read = "mapping.change_mappingentry"  # as the queue: who only reads is not led by the machine

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
        description="One act, undone as one. If one entry is stale nothing is saved, and 409 lists them.",
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
        sent = BulkSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        asked = {row["entry"]: row for row in sent.validated_data["decisions"]}
        known = set(entries().filter(pk__in=asked).values_list("pk", flat=True))
        if unknown := sorted(asked.keys() - known):
            raise ValidationError({"decisions": [f"There are no such entries: {unknown[:20]}."]})
        try:
            change = change_many(
                by=me(request),
                action=Change.Action.GROUP,
                decisions={pk: decision_of(row) for pk, row in asked.items()},
                versions={pk: row["version"] for pk, row in asked.items()},
            )
        except Hashtag.DoesNotExist as error:
            raise ValidationError({"decisions": [f"{error}."]}) from error
        except StaleEntries as error:
            raise stale(error) from error
        rows = EntrySerializer(entries().filter(pk__in=asked), many=True).data
        return Response({"change": change.pk if change else None, "results": rows})


class UndoView(MappingView):
    to_write = "mapping.change_mappingentry"

    @extend_schema(
        operation_id="mapping_undo",
        tags=[TAG],
        summary="Take back an act of one's own",
        description="As a new entry in the history. What others decided since stays. A repeat does nothing.",
        request=UndoSerializer,
        examples=[examples.UNDONE],
        responses={200: UndoneSerializer} | WRITE_ERRORS | NOT_FOUND,
    )
    def post(self, request: Request) -> Response:
        sent = UndoSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        change = get_object_or_404(Change, pk=sent.validated_data["change"], opinion=None)
        try:
            undone = undo_change(change_id=change.pk, by=me(request))
        except NotYours as error:
            raise PermissionDenied("Only who decided can take it back.") from error
        return Response(
            {
                "change": change.pk,
                "restored": [entry.pk for entry in undone.restored],
                "kept": [entry.pk for entry in undone.kept],
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
        words = request.query_params.get("q", "").strip().lstrip("#").replace("\0", "")
        rows = Hashtag.objects.filter(name__gt=after, name__icontains=words).order_by("name")
        carried = Count("entries", filter=Q(entries__opinion=None))
        offered = Exists(hashtags.offered_hashtags().filter(pk=OuterRef("pk")))
        found = list(rows.annotate(classes=carried, offered=offered)[: limit + 1])
        more = found[limit - 1].name if len(found) > limit else None
        shown = found[:limit]
        synonyms = hashtags.synonyms(row.name for row in shown)
        for row in shown:
            row.synonyms = synonyms.get(row.name, ())  # type: ignore[attr-defined]
        results = HashtagSerializer(shown, many=True).data
        return Response({"next": next_page(request, more), "results": results})
