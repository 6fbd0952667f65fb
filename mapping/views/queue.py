"""The curator's queue: one class per screen, one key per decision; and undo."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from formats.numbers import read_number
from mapping import doubts, queue
from mapping.acts import NotYours, StaleEntries, change_entry, newest_change, undo_change
from mapping.filters import TODO, EntryFilter
from mapping.forms import EntryForm
from mapping.hashtags import search
from mapping.lexicon import wordnet
from mapping.lexicon.relations import relations_of
from mapping.models import Change, MappingEntry, Opinion
from mapping.opinions.opinions import opinion_of
from mapping.suggester import learner
from mapping.suggester.learner import senses_of
from mapping.views.evidence import photos_beside
from people.request import Request

MATCHES = 12  # hashtags that a search shows


@require_safe
@vary_on_headers("HX-Request")
@permission_required("mapping.change_mappingentry", raise_exception=True)
def show(request: Request) -> HttpResponse:
    """Show the class that ?at= names, or the first one that is left to do."""
    selection = _select(request)
    key, undone_id = request.GET.get("at", ""), read_number(request.GET.get("undone"))
    entry = selection.entries.filter(scene_class__key=key).first() if key else selection.rows.first()
    act = None if undone_id is None else Change.objects.filter(pk=undone_id).first()
    return _answer(request, selection, entry, undone=act)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def decide(request: Request, pk: int) -> HttpResponse:
    """Save and go to the next class. 409 with both versions if somebody else saved first."""
    selection = _select(request)
    entry = get_object_or_404(selection.entries, pk=pk)
    form = EntryForm(_with_defaults(request.POST, entry), kept=entry.hashtag)
    if not form.is_valid():
        return _answer(request, selection, entry, status=400, errors=form.errors)
    try:
        saved_entry = change_entry(
            entry_id=pk, version=form.cleaned_data["version"], by=_me(request), decision=form.decision()
        )
    except StaleEntries as stale:
        current = selection.entries.get(pk=stale.current[0].pk)
        return _answer(request, selection, current, status=409, stale=current, mine=form.decision())
    return _go(request, selection, queue.next_entry(selection.rows, saved_entry.scene_class.key))


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def undo(request: Request) -> HttpResponse:
    """Undo the user's newest act and show its class. A repeated click undoes nothing more."""
    selection = _select(request)
    change = get_object_or_404(Change, pk=read_number(request.POST.get("change")), opinion=selection.opinion)
    try:
        result = undo_change(change_id=change.pk, by=_me(request))
    except NotYours:
        return HttpResponse(_("Only the person who decided can undo it."), status=403)
    entries = result.restored_entries or result.kept_entries
    entry = selection.entries.filter(pk__in=[row.pk for row in entries[:1]]).first()
    return _go(request, selection, entry, undone=change)


@require_safe
@permission_required("mapping.change_mappingentry", raise_exception=True)
def hashtags(request: Request) -> HttpResponse:
    """Hashtags that contain the typed words, as buttons of the queue's form."""
    words = request.GET.get("find", "")
    matches = search(words, MATCHES)
    return render(request, "mapping/_found_hashtags.html", {"hashtags": matches, "words": words})


@require_safe
@permission_required("mapping.change_mappingentry", raise_exception=True)
def path(request: Request) -> HttpResponse:
    """The hypernym path and the relations of another sense."""
    which, sense = request.GET.get("opinion", ""), request.GET.get("sense", "")
    context: dict[str, Any] = {"opinion": opinion_of(request.user, which) if which else None}
    with suppress(wordnet.WordNetMissing):
        context |= {"path": wordnet.hypernym_path(sense)[1:], "relations": relations_of(sense)}
    return render(request, "mapping/_queue_path.html", context)


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # every page requires a permission
    return user


@dataclass(frozen=True)
class Selection:
    """The classes that the queue goes through: those of the mapping or an opinion that pass the filters."""

    opinion: Opinion | None
    filter: EntryFilter
    query: str  # opinion and filters, for the next address
    is_narrowed: bool

    @property
    def rows(self) -> QuerySet[MappingEntry]:
        rows: QuerySet[MappingEntry] = self.filter.qs
        return rows

    @property
    def entries(self) -> QuerySet[MappingEntry]:
        return queue.entries_of(self.opinion)

    def address(self, entry: MappingEntry | None, undone: int | None = None) -> str:
        query = QueryDict(self.query, mutable=True)
        if entry is not None:
            query["at"] = entry.scene_class.key
        if undone is not None:
            query["undone"] = str(undone)
        return f"{reverse('mapping:queue')}?{query.urlencode(safe='/')}"


def _select(request: Request) -> Selection:
    """The classes to do, unless the filters ask for others. Raises Http404."""
    which = request.GET.get("opinion", "")
    opinion = opinion_of(request.user, which) if which else None
    query = request.GET.copy()
    for name in ("at", "undone"):
        query.pop(name, None)
    address_query = query.urlencode()
    query.setdefault("status", TODO)
    is_narrowed = query["status"] != TODO or any(
        query[name] for name in query if name not in ("status", "opinion")
    )
    rows = EntryFilter(query, queue.entries_of(opinion), blind=opinion is not None)
    return Selection(opinion, rows, address_query, is_narrowed)


def _go(
    request: Request, selection: Selection, entry: MappingEntry | None, undone: Change | None = None
) -> HttpResponse:
    """Answer htmx with the next class, which saves a round trip per key; redirect a plain form."""
    address = selection.address(entry, undone.pk if undone else None)
    if not request.htmx:
        return redirect(address)
    response = _answer(request, selection, entry, undone=undone)
    response["HX-Push-Url"] = address
    return response


def _answer(
    request: Request, selection: Selection, entry: MappingEntry | None, status: int = 200, **more: Any
) -> HttpResponse:
    context: dict[str, Any] = {
        "entry": entry,
        "opinion": selection.opinion,
        "progress": queue.progress(selection.opinion),
        "newest": newest_change(by=_me(request), opinion=selection.opinion),
        "filters": selection.query,
    }
    if not request.htmx:
        context |= {
            "filter": selection.filter,
            "is_narrowed": selection.is_narrowed,
            "hashtag_names": queue.hashtag_names(),
        }
    if entry is not None:
        context |= _of_class(request, selection, entry)
    template = "mapping/_queue.html" if request.htmx else "mapping/queue.html"
    return render(request, template, context | more, status=status)


def _of_class(request: Request, selection: Selection, entry: MappingEntry) -> dict[str, Any]:
    key = entry.scene_class.key
    forward, back = queue.next_entry(selection.rows, key), queue.previous_entry(selection.rows, key)
    suggestions = learner.suggest(entry, selection.opinion, wait=request.method != "POST")
    context = {
        "forward": selection.address(forward) if forward else "",
        "back": selection.address(back) if back else "",
        "doubt": None if selection.opinion else doubts.of(entry),
        "suggestions": suggestions,
    }
    return context | photos_beside(key, suggestions.lookalikes, user=_me(request)) | _senses(entry)


def _senses(entry: MappingEntry) -> dict[str, Any]:
    """The ranked senses; the chosen one, by default the first; and the hypernym path of the chosen one."""
    try:
        senses = senses_of(entry.scene_class)
        if entry.sense and entry.sense not in {sense.key for sense in senses}:
            senses += [sense for sense in [wordnet.sense(entry.sense)] if sense]
    except wordnet.WordNetMissing as missing:
        return {"wordnet_missing": str(missing)}
    is_decided = entry.status != MappingEntry.Status.UNDECIDED
    chosen_sense = entry.sense if entry.sense or is_decided else (senses[0].key if senses else "")
    return {
        "senses": senses,
        "chosen_sense": chosen_sense,
        "path": wordnet.hypernym_path(chosen_sense)[1:] if chosen_sense else [],
        "relations": relations_of(chosen_sense),
        "chosen_hypernym": entry.hypernym_sense,
    }


def _with_defaults(post_data: QueryDict, entry: MappingEntry) -> QueryDict:
    """A key chooses the hashtag only. If the user picked no hypernym, it follows from the hashtag."""
    data = post_data.copy()
    for name in ("sense", "synset", "hypernym", "note"):
        data.setdefault(name, getattr(entry, name))
    if data.get("hypernym_sense", "follows") == "follows":
        hypernym = learner.hypernym(str(data["sense"]), str(data.get("hashtag", "")))
        data["hypernym_sense"] = hypernym or entry.hypernym_sense
    return data
