"""The curator's queue: one class on the screen, decided by one key; and undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from jobs.request import Request
from mapping import doubts, downstream, queue
from mapping.acts import NotYours, StaleEntries, change_entry, newest_change, undo_change
from mapping.filters import TODO, EntryFilter
from mapping.forms import EntryForm
from mapping.hashtags import search
from mapping.lexicon import wordnet
from mapping.models import Change, MappingEntry, Opinion
from mapping.opinions.opinions import opinion_of
from mapping.suggester import learner
from mapping.suggester.learner import senses_of

FOUND = 12  # hashtags that a search shows
PHOTOS = 4


@require_GET
@vary_on_headers("HX-Request")
@permission_required("mapping.change_mappingentry", raise_exception=True)
def show(request: Request) -> HttpResponse:
    """The class of ?at=, or the first that is left."""
    asked = _asked(request)
    key, undone = request.GET.get("at", ""), request.GET.get("undone", "")
    entry = asked.entries.filter(scene_class__key=key).first() if key else asked.rows.first()
    act = Change.objects.filter(pk=undone).first() if undone.isdigit() else None
    return _answer(request, asked, entry, undone=act)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def decide(request: Request, pk: int) -> HttpResponse:
    """Save and go on to the next class; 409 with both versions when somebody was faster."""
    asked = _asked(request)
    entry = get_object_or_404(asked.entries, pk=pk)
    form = EntryForm(_with_defaults(request.POST, entry))
    if not form.is_valid():
        return _answer(request, asked, entry, status=400, errors=form.errors)
    try:
        saved = change_entry(
            entry_id=pk, version=form.cleaned_data["version"], by=_me(request), decision=form.decision()
        )
    except StaleEntries as stale:
        current = asked.entries.get(pk=stale.current[0].pk)
        return _answer(request, asked, current, status=409, stale=current, mine=form.decision())
    return _go(request, asked, queue.after(asked.rows, saved.scene_class.key))


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def undo(request: Request) -> HttpResponse:
    """Take back one's newest act, and show what it was about. A repeated click takes back nothing more."""
    asked = _asked(request)
    change = get_object_or_404(Change, pk=request.POST.get("change") or 0, opinion=asked.opinion)
    try:
        undone = undo_change(change_id=change.pk, by=_me(request))
    except NotYours:
        return HttpResponse("Only who decided can take it back.", status=403)
    about = undone.restored or undone.kept
    entry = asked.entries.filter(pk__in=[row.pk for row in about[:1]]).first()
    return _go(request, asked, entry, undone=change)


@require_GET
@permission_required("mapping.change_mappingentry", raise_exception=True)
def hashtags(request: Request) -> HttpResponse:
    """Hashtags that contain what was typed, as buttons of the queue's form."""
    words = request.GET.get("find", "")
    found = search(words, FOUND)
    return render(request, "mapping/_found_hashtags.html", {"found": found, "words": words})


@require_GET
@permission_required("mapping.change_mappingentry", raise_exception=True)
def path(request: Request) -> HttpResponse:
    """The way up from another sense."""
    try:
        above = wordnet.hypernym_path(request.GET.get("sense", ""))[1:]
    except wordnet.WordNetMissing:
        above = []
    return render(request, "mapping/_queue_path.html", {"path": above})


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # the pages ask for a permission
    return user


@dataclass(frozen=True)
class Asked:
    """What the queue goes through: the mapping or an opinion, and of it what the filters leave."""

    opinion: Opinion | None
    filter: EntryFilter
    query: str  # opinion and filters again, for the next address
    narrowed: bool

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


def _asked(request: Request) -> Asked:
    """What is to do, unless the filters ask for something else. Raises Http404."""
    which = request.GET.get("opinion", "")
    opinion = opinion_of(request.user, which) if which else None
    wanted = request.GET.copy()
    for name in ("at", "undone"):
        wanted.pop(name, None)
    query = wanted.urlencode()
    wanted.setdefault("status", TODO)
    narrowed = wanted["status"] != TODO or any(
        wanted[name] for name in wanted if name not in ("status", "opinion")
    )
    rows = EntryFilter(wanted, queue.entries_of(opinion), blind=opinion is not None)
    return Asked(opinion, rows, query, narrowed)


def _go(
    request: Request, asked: Asked, entry: MappingEntry | None, undone: Change | None = None
) -> HttpResponse:
    """htmx gets the next class at once, which saves a round trip per key; a plain form is redirected."""
    address = asked.address(entry, undone.pk if undone else None)
    if not request.htmx:
        return redirect(address)
    response = _answer(request, asked, entry, undone=undone)
    response["HX-Push-Url"] = address
    return response


def _answer(
    request: Request, asked: Asked, entry: MappingEntry | None, status: int = 200, **more: Any
) -> HttpResponse:
    context: dict[str, Any] = {
        "entry": entry,
        "opinion": asked.opinion,
        "progress": queue.progress(asked.opinion),
        "newest": newest_change(by=_me(request), opinion=asked.opinion),
        "filters": asked.query,
    }
    if not request.htmx:
        context |= {
            "filter": asked.filter,
            "narrowed": asked.narrowed,
            "hashtag_names": queue.hashtag_names(),
        }
    if entry is not None:
        context |= _of_class(request, asked, entry)
    template = "mapping/_queue.html" if request.htmx else "mapping/queue.html"
    return render(request, template, context | more, status=status)


def _of_class(request: Request, asked: Asked, entry: MappingEntry) -> dict[str, Any]:
    key = entry.scene_class.key
    forward, back = queue.after(asked.rows, key), queue.before(asked.rows, key)
    photos = downstream.get().example_photos([key], user=_me(request), per_class=PHOTOS)
    return {
        "forward": asked.address(forward) if forward else "",
        "back": asked.address(back) if back else "",
        "photos": photos.get(key, []),
        "doubt": None if asked.opinion else doubts.of(entry),
        "suggested": learner.suggest(entry, asked.opinion, wait=request.method == "GET"),
    } | _senses(entry)


def _senses(entry: MappingEntry) -> dict[str, Any]:
    """The ranked senses, with the one that stands or the first chosen, and the way up from it."""
    try:
        senses = senses_of(entry.scene_class)
        if entry.sense and entry.sense not in {sense.key for sense in senses}:
            senses += [sense for sense in [wordnet.sense(entry.sense)] if sense]
    except wordnet.WordNetMissing as missing:
        return {"wordnet_missing": str(missing)}
    decided = entry.status != MappingEntry.Status.UNDECIDED
    chosen = entry.sense if entry.sense or decided else (senses[0].key if senses else "")
    return {
        "senses": senses,
        "chosen_sense": chosen,
        "path": wordnet.hypernym_path(chosen)[1:] if chosen else [],
        "chosen_hypernym": entry.hypernym_sense,
    }


def _with_defaults(posted: QueryDict, entry: MappingEntry) -> QueryDict:
    """A key decides about the hashtag; the hypernym follows from it where none was picked."""
    data = posted.copy()
    for name in ("sense", "synset", "hypernym", "note"):
        data.setdefault(name, getattr(entry, name))
    if data.get("hypernym_sense", "follows") == "follows":
        found = learner.hypernym(str(data["sense"]), str(data.get("hashtag", "")))
        data["hypernym_sense"] = found or entry.hypernym_sense
    return data
