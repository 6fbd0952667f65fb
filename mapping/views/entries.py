"""The table of the mapping, and one class on a page of its own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from mapping import queue
from mapping.acts import StaleEntries, change_entry, newest_change
from mapping.filters import EntryFilter
from mapping.forms import EntryForm
from mapping.lexicon import wordnet
from mapping.lexicon.relations import Relations, relations_of
from mapping.models import OTHER, Hashtag, MappingEntry, Release
from mapping.releases import unpublished_moves
from mapping.suggester.learner import senses_of
from people.request import Request

PER_PAGE = 60
BUTTONS = 40  # hashtags that can be chosen with a click


def _filter_entries(request: Request) -> tuple[EntryFilter, QuerySet[MappingEntry]]:
    entry_filter = EntryFilter(request.GET, queue.entries_of(None))
    return entry_filter, entry_filter.qs


def _wants_fragment(request: Request) -> bool:
    """Whether htmx asks for a fragment; after the Back button it needs the whole page."""
    htmx = request.htmx
    return bool(htmx) and not htmx.history_restore_request


@require_safe
@vary_on_headers("HX-Request")  # otherwise the Back button shows the fragment as a page
@permission_required("mapping.view_sceneclass", raise_exception=True)
def entries(request: Request) -> HttpResponse:
    """The list of the mapping. htmx gets only the rows that pass the filters."""
    entry_filter, rows = _filter_entries(request)
    behind, in_front = request.GET.get("behind", ""), request.GET.get("in_front", "")
    page = queue.page(rows, size=PER_PAGE, behind=behind, in_front=in_front)
    place_names = ("behind", "in_front")
    filters = {key: value for key, value in request.GET.items() if value and key not in place_names}
    context = {
        "filter": entry_filter,
        "page": page,
        "count": rows.order_by().count(),
        "query": urlencode(filters),
    }
    if _wants_fragment(request):
        return render(request, "mapping/_rows.html", context)
    newest = newest_change(by=request.user) if request.user.is_authenticated else None
    return render(
        request, "mapping/entries.html", context | {"newest": newest, "hashtag_names": queue.hashtag_names()}
    )


@require_safe
@permission_required("mapping.publish_release", raise_exception=True)
def unpublished(request: Request) -> HttpResponse:
    """The Publish button with the number of changes. The list loads it after it is displayed."""
    newest = MappingEntry.history.order_by("-history_id").values_list("history_id", flat=True).first()
    number = Release.objects.values_list("number", flat=True).first()
    return render(
        request, "mapping/_publish_button.html", {"unpublished": _count_unpublished(newest, number)}
    )


@lru_cache(maxsize=1)
def _count_unpublished(newest: int | None, release: int | None) -> int:
    """Cached per state of the mapping, because comparing 22,000 classes takes a while."""
    return len(unpublished_moves())


@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
@permission_required("mapping.view_sceneclass", raise_exception=True)
def entry(request: Request, pk: int) -> HttpResponse:
    """One class: its senses, the hypernym path of the chosen one, its hashtag, its history."""
    row = get_object_or_404(
        MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by"), pk=pk
    )
    if request.method == "POST":
        return _save(request, row)
    if _wants_fragment(request):
        return _path_fragment(request)
    return render(request, "mapping/entry.html", _entry_context(request, row, EntryForm.of(row)))


def _path_fragment(request: Request) -> HttpResponse:
    """The hypernym path and the relations of another sense. A chosen hypernym stays chosen if the new path
    contains it."""
    sense = request.GET.get("sense", "")
    path, relations = _surroundings(sense)
    hypernym_sense = request.GET.get("hypernym_sense", "")
    context = {
        "path": path,
        "relations": relations,
        "form": EntryForm(initial={"hypernym": request.GET.get("hypernym", "")}),
        "chosen_hypernym": hypernym_sense if hypernym_sense in {above.key for above in path} else "",
    }
    return render(request, "mapping/_path.html", context)


@permission_required("mapping.change_mappingentry", raise_exception=True)
def _save(request: Request, row: MappingEntry) -> HttpResponse:
    form = EntryForm(request.POST, kept=row.hashtag)
    if not form.is_valid():
        return render(request, "mapping/entry.html", _entry_context(request, row, form), status=400)
    try:
        entry = change_entry(
            entry_id=row.pk,
            version=form.cleaned_data["version"],
            by=request.user,
            decision=form.decision(),
        )
    except StaleEntries as stale:
        current = MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by").get(
            pk=stale.current[0].pk
        )
        context = _entry_context(request, current, form) | {"stale": current, "mine": form.decision()}
        return render(request, "mapping/entry.html", context, status=409)
    label = f"#{entry.hashtag.name}" if entry.hashtag else OTHER
    messages.success(request, f"{entry.scene_class.title}: {label}. {_('Saved.')}")
    query = request.GET.urlencode()
    goes_to_next = request.POST.get("then") == "next"
    target = (_neighbours(request, entry)[1] if goes_to_next else None) or entry.pk
    return redirect(reverse("mapping:entry", args=[target]) + (f"?{query}" if query else ""))


def _entry_context(request: Request, row: MappingEntry, form: EntryForm) -> dict[str, Any]:
    chosen_sense = str(form["sense"].value() or "")
    context: dict[str, Any] = {
        "entry": row,
        "form": form,
        "chosen_hypernym": form["hypernym_sense"].value(),
    }
    try:
        senses = senses_of(row.scene_class)
        if (
            chosen_sense
            and chosen_sense not in {s.key for s in senses}
            and (extra := wordnet.sense(chosen_sense))
        ):
            senses.append(extra)
        path, relations = _surroundings(chosen_sense)
        hypernym = str(context["chosen_hypernym"] or "")
        if hypernym and hypernym not in {s.key for s in path} and (extra := wordnet.sense(hypernym)):
            path.append(extra)  # from another path of the sense or set by hand: it must not be lost
        context |= {"senses": senses, "path": path, "relations": relations}
    except wordnet.WordNetMissing as missing:
        context["wordnet_missing"] = str(missing)
    before, after = _neighbours(request, row)
    history = row.history.select_related("history_user", "hashtag").order_by("-history_date")
    return context | {
        "before": before,
        "after": after,
        "query": request.GET.urlencode(),
        "hashtags": _choices(row),
        "hashtag_names": queue.hashtag_names(),
        "history": history,
    }


def _choices(row: MappingEntry) -> list[Hashtag]:
    """The most popular hashtags and the present one. Any other can be typed."""
    hashtags = list(Hashtag.objects.unblocked()[:BUTTONS])
    return hashtags if row.hashtag is None or row.hashtag in hashtags else [row.hashtag, *hashtags]


def _surroundings(sense: str) -> tuple[list[wordnet.Sense], Relations | None]:
    """The hypernyms of a sense, nearest first, and its other relations. Nothing without WordNet."""
    try:
        return wordnet.hypernym_path(sense)[1:], relations_of(sense)
    except wordnet.WordNetMissing:
        return [], None


def _neighbours(request: Request, row: MappingEntry) -> tuple[int | None, int | None]:
    """The ids of the entries before and after this one in the list that the user came from."""
    rows = _filter_entries(request)[1].order_by("scene_class__key")
    key = row.scene_class.key
    before = rows.filter(scene_class__key__lt=key).values_list("pk", flat=True).last()
    after = rows.filter(scene_class__key__gt=key).values_list("pk", flat=True).first()
    return before, after
