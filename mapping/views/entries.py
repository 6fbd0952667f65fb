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
from django.views.decorators.http import require_GET, require_http_methods
from django.views.decorators.vary import vary_on_headers

from jobs.request import Request
from mapping import queue
from mapping.acts import StaleEntries, change_entry, newest_change
from mapping.filters import EntryFilter
from mapping.forms import EntryForm
from mapping.lexicon import wordnet
from mapping.models import OTHER, Hashtag, MappingEntry, Release
from mapping.releases import unpublished_moves
from mapping.suggester.learner import senses_of

PER_PAGE = 60
SHOWN = 40  # hashtags to choose from by a click


def _filtered(request: Request) -> tuple[EntryFilter, QuerySet[MappingEntry]]:
    found = EntryFilter(request.GET, queue.entries_of(None))
    return found, found.qs


def _wants_fragment(request: Request) -> bool:
    """htmx asks, and not to bring back a whole page after the Back button."""
    htmx = request.htmx
    return bool(htmx) and not htmx.history_restore_request


@require_GET
@vary_on_headers("HX-Request")  # or the browser's Back shows the fragment as a page
@permission_required("mapping.view_sceneclass", raise_exception=True)
def entries(request: Request) -> HttpResponse:
    """The mapping's list; to htmx only the rows that the filters leave."""
    found, rows = _filtered(request)
    behind, in_front = request.GET.get("behind", ""), request.GET.get("in_front", "")
    page = queue.page(rows, size=PER_PAGE, behind=behind, in_front=in_front)
    places = ("behind", "in_front")
    filters = {key: value for key, value in request.GET.items() if value and key not in places}
    context = {"filter": found, "page": page, "count": rows.order_by().count(), "query": urlencode(filters)}
    if _wants_fragment(request):
        return render(request, "mapping/_rows.html", context)
    newest = newest_change(by=request.user) if request.user.is_authenticated else None
    return render(
        request, "mapping/entries.html", context | {"newest": newest, "hashtag_names": queue.hashtag_names()}
    )


@require_GET
@permission_required("mapping.publish_release", raise_exception=True)
def unpublished(request: Request) -> HttpResponse:
    """The button to publish, with the number of changes; asked for by the list once it is shown."""
    newest = MappingEntry.history.order_by("-history_id").values_list("history_id", flat=True).first()
    number = Release.objects.values_list("number", flat=True).first()
    return render(request, "mapping/_publish_button.html", {"unpublished": _unpublished(newest, number)})


@lru_cache(maxsize=1)
def _unpublished(newest: int | None, release: int | None) -> int:
    """Comparing 22,000 classes takes a while, so once for each state of the mapping."""
    return len(unpublished_moves())


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
@permission_required("mapping.view_sceneclass", raise_exception=True)
def entry(request: Request, pk: int) -> HttpResponse:
    """One class: its senses and the way up from the chosen one, its hashtag, its history."""
    shown = get_object_or_404(
        MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by"), pk=pk
    )
    if request.method == "POST":
        return _save(request, shown)
    if _wants_fragment(request):
        return _path_fragment(request)
    return render(request, "mapping/entry.html", _entry_context(request, shown, EntryForm.of(shown)))


def _path_fragment(request: Request) -> HttpResponse:
    """The way up from another sense; what was chosen or typed stays where the new path has it too."""
    path = _path(request.GET.get("sense", ""))
    chosen = request.GET.get("hypernym_sense", "")
    context = {
        "path": path,
        "form": EntryForm(initial={"hypernym": request.GET.get("hypernym", "")}),
        "chosen_hypernym": chosen if chosen in {sense.key for sense in path} else "",
    }
    return render(request, "mapping/_path.html", context)


@permission_required("mapping.change_mappingentry", raise_exception=True)
def _save(request: Request, shown: MappingEntry) -> HttpResponse:
    form = EntryForm(request.POST)
    if not form.is_valid():
        return render(request, "mapping/entry.html", _entry_context(request, shown, form), status=400)
    try:
        saved = change_entry(
            entry_id=shown.pk,
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
    label = f"#{saved.hashtag.name}" if saved.hashtag else OTHER
    messages.success(request, f"{saved.scene_class.name}: {label}. Saved.")
    query = request.GET.urlencode()
    step = request.POST.get("then") == "next"
    target = (_neighbours(request, saved)[1] if step else None) or saved.pk
    return redirect(reverse("mapping:entry", args=[target]) + (f"?{query}" if query else ""))


def _entry_context(request: Request, shown: MappingEntry, form: EntryForm) -> dict[str, Any]:
    chosen = str(form["sense"].value() or "")
    context: dict[str, Any] = {
        "entry": shown,
        "form": form,
        "chosen_hypernym": form["hypernym_sense"].value(),
    }
    try:
        senses = senses_of(shown.scene_class)
        if chosen and chosen not in {s.key for s in senses} and (extra := wordnet.sense(chosen)):
            senses.append(extra)
        path = _path(chosen)
        hypernym = str(context["chosen_hypernym"] or "")
        if hypernym and hypernym not in {s.key for s in path} and (extra := wordnet.sense(hypernym)):
            path.append(extra)  # on another of the sense's paths, or a notion by hand: it must not be lost
        context |= {"senses": senses, "path": path}
    except wordnet.WordNetMissing as missing:
        context["wordnet_missing"] = str(missing)
    before, after = _neighbours(request, shown)
    history = shown.history.select_related("history_user", "hashtag").order_by("-history_date")
    return context | {
        "before": before,
        "after": after,
        "query": request.GET.urlencode(),
        "hashtags": _choices(shown),
        "hashtag_names": queue.hashtag_names(),
        "history": history,
    }


def _choices(shown: MappingEntry) -> list[Hashtag]:
    """The most popular that are offered, and the one that stands; any other can be typed."""
    found = list(Hashtag.objects.filter(blocked=False)[:SHOWN])
    return found if shown.hashtag is None or shown.hashtag in found else [shown.hashtag, *found]


def _path(sense: str) -> list[wordnet.Sense]:
    try:
        return wordnet.hypernym_path(sense)[1:] if sense else []
    except wordnet.WordNetMissing:
        return []


def _neighbours(request: Request, shown: MappingEntry) -> tuple[int | None, int | None]:
    """The entries before and after this one in the list the person came from, by its filters."""
    rows = _filtered(request)[1].order_by("scene_class__key")
    key = shown.scene_class.key
    before = rows.filter(scene_class__key__lt=key).values_list("pk", flat=True).last()
    after = rows.filter(scene_class__key__gt=key).values_list("pk", flat=True).first()
    return before, after
