"""The page to settle where opinions differ, class by class; and to take over where all agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from jobs.request import Request
from mapping import downstream, queue
from mapping.acts import StaleEntries, newest_change
from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion
from mapping.opinions.agreement import agreement
from mapping.opinions.opinions import Standing, answers_of, patterns, standings
from mapping.opinions.settling import (
    AnswersMoved,
    agreed,
    open_rows,
    saying,
    settle,
    settled_rows,
    sides,
    take_over,
)

PER_PAGE = 20
PHOTOS = 3
SHOWN = 50  # classes whose label would move, on the page before taking over
UNDONE_HERE = {Change.Action.SETTLE, Change.Action.GROUP}


class StillBlind(Exception):
    """The address names an opinion of one's own that is not finished."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(f"{standing.opinion} is not finished.")
        self.standing = standing


@dataclass
class Choice:
    """A label that somebody gave a class, and who. stands: the mapping says so now."""

    label: str
    stands: bool
    answers: list[MappingEntry] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    entry: MappingEntry
    choices: list[Choice]
    photos: list[downstream.Example]


@dataclass(frozen=True)
class Asked:
    """What the address names: which opinions, which list, and where in it."""

    standings: list[Standing]
    opinions: list[Opinion]
    settled: bool
    narrowed: tuple[str, str] | None  # what the first and the second of them say
    query: str

    @property
    def named(self) -> str:
        """The opinions alone, for other addresses."""
        query = QueryDict(mutable=True)
        query.setlist("opinion", [str(opinion.pk) for opinion in self.opinions])
        return query.urlencode()

    @property
    def listed(self) -> str:
        """The same, and what the list is narrowed to."""
        query = QueryDict(self.named, mutable=True)
        if self.narrowed:
            query["first"], query["second"] = self.narrowed
        return query.urlencode()

    @property
    def address(self) -> str:
        return f"{reverse('mapping:settle')}?{self.query}"


View = Callable[..., HttpResponse]


def _unless_blind(view: View) -> View:
    """Who has not finished is told so instead, whatever was asked for."""

    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except StillBlind as blind:
            context = {"standing": blind.standing}
            return render(request, "mapping/settle_blind.html", context, status=403)

    return guarded


@require_GET
@vary_on_headers("HX-Request")
@permission_required("mapping.view_sceneclass", raise_exception=True)
@_unless_blind
def show(request: Request) -> HttpResponse:
    """Where the opinions of ?opinion=…&opinion=… differ; without names, the first two there are."""
    asked = _asked(request)
    return _answer(request, asked)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
@_unless_blind
def decide(request: Request, pk: int) -> HttpResponse:
    """Settle one class by hashtag (a button) or find (what was typed). 409 with both versions if stale."""
    asked = _asked(request)
    entry = get_object_or_404(MappingEntry.objects.select_related("scene_class"), pk=pk)
    hashtag = (request.POST.get("hashtag") or request.POST.get("find", "")).strip().lstrip("#")
    version = request.POST.get("version", "")
    if not hashtag or not version.isdecimal():
        return _answer(request, asked, status=400, problem="Choose a hashtag, or other. Nothing was changed.")
    try:
        settle(
            entry_id=pk,
            version=int(version),
            by=_me(request),
            hashtag=hashtag,
            opinions=asked.opinions,
            note=request.POST.get("note", "").strip()[:500],
        )
    except Hashtag.DoesNotExist as unknown:
        problem = f"{entry.scene_class.name}: {unknown}. Nothing was changed."
        return _answer(request, asked, status=400, problem=problem)
    except StaleEntries as stale:
        return _answer(request, asked, status=409, stale=stale.current[0].pk, mine=hashtag)
    if request.htmx:
        return _answer(request, asked)
    return redirect(asked.address)


@require_http_methods(["GET", "POST"])
@permission_required("mapping.change_mappingentry", raise_exception=True)
@_unless_blind
def take(request: Request) -> HttpResponse:
    """Show what taking over where all agree would confirm; on POST do it, if it is still what was shown."""
    asked = _asked(request)
    if len(asked.opinions) < 2:
        raise Http404("It takes two opinions to agree.")
    context: dict[str, Any] = {"asked": asked}
    status = 200
    if request.method == "POST":
        try:
            change = take_over(opinions=asked.opinions, by=_me(request), seen=request.POST.get("seen", ""))
        except (AnswersMoved, StaleEntries):
            context["moved_meanwhile"], status = True, 409
        else:
            _tell(request, change)
            return redirect(f"{reverse('mapping:settle')}?{asked.named}")
    found = agreed(asked.opinions)
    top = max((n for label, n in found.labels if label != OTHER), default=1)
    labels = [(label, n, min(100, round(100 * n / top))) for label, n in found.labels]
    context |= {"found": found, "moved": found.moved[:SHOWN], "labels": labels}
    return render(request, "mapping/settle_agreed.html", context, status=status)


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # the pages ask for a permission
    return user


def _tell(request: Request, change: Change | None) -> None:
    if change is None:
        messages.info(request, "The mapping says so already: nothing was changed.")
        return
    number = len(change.before)
    messages.success(request, f"{number} class{'' if number == 1 else 'es'} confirmed as one act.")


def _asked(request: Request) -> Asked:
    """Raises Http404 for an unknown opinion, StillBlind for one's own that is not finished."""
    everything = standings()
    by_id = {str(row.opinion.pk): row for row in everything}
    named = list(dict.fromkeys(request.GET.getlist("opinion")))
    if unknown := [name for name in named if name not in by_id]:
        raise Http404(f"There is no opinion {unknown[0]}.")
    chosen = [by_id[name] for name in named]
    if blind := next((row for row in chosen if row.is_blind(request.user)), None):
        raise StillBlind(blind)
    if not chosen:
        chosen = [row for row in everything if row.answered and not row.is_blind(request.user)][:2]
    return Asked(
        standings=everything,
        opinions=[row.opinion for row in chosen],
        settled=request.GET.get("show") == "settled",
        narrowed=(request.GET["first"], request.GET["second"])
        if "first" in request.GET and "second" in request.GET
        else None,
        query=request.GET.urlencode(safe="/"),
    )


def _answer(
    request: Request,
    asked: Asked,
    *,
    status: int = 200,
    stale: int | None = None,
    **more: Any,
) -> HttpResponse:
    context: dict[str, Any] = {"asked": asked, "shown": {opinion.pk for opinion in asked.opinions}}
    context |= {
        "choosable": [(row, row.is_blind(request.user)) for row in asked.standings],
        "in_work": next((row.opinion for row in asked.standings if row.is_blind(request.user)), None),
    }
    if asked.opinions:
        context |= _lists(request, asked, stale)
    newest = newest_change(by=_me(request))
    if newest and newest.action in UNDONE_HERE:
        context["newest"] = newest
    fragment = request.htmx and not request.htmx.history_restore_request
    template = "mapping/_settle.html" if fragment else "mapping/settle.html"
    return render(request, template, context | more, status=status)


def _lists(request: Request, asked: Asked, stale: int | None) -> dict[str, Any]:
    waiting, settled = open_rows(asked.opinions), settled_rows(asked.opinions)
    if asked.narrowed:
        waiting, settled = saying(waiting, *asked.narrowed), saying(settled, *asked.narrowed)
    rows = (settled if asked.settled else waiting).select_related("changed_by")
    behind, in_front = request.GET.get("behind", ""), request.GET.get("before", "")
    page = queue.page(rows, size=PER_PAGE, behind=behind, in_front=in_front)
    if not page.rows and (behind or in_front):
        page = queue.page(rows, size=PER_PAGE)  # the last of a page was settled
    entries = [entry for entry in page.rows if entry.pk != stale]
    if stale is not None:
        shown = MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by")
        entries.insert(0, shown.get(pk=stale))
    found = _rows(request, asked.opinions, entries)
    open_count, settled_count = waiting.order_by().count(), settled.order_by().count()
    return {
        "page": page,
        "stale": found[0] if stale else None,
        "rows": found[1:] if stale else found,
        "open_count": open_count,
        "settled_count": settled_count,
        "total": open_count + settled_count,
        # Only when a template asks: it looks at every class, and is not on what htmx gets.
        "agreement": cache(lambda: agreement(patterns(sides(asked.opinions)))),
    }


def _rows(request: Request, opinions: Sequence[Opinion], entries: Sequence[MappingEntry]) -> list[Row]:
    answers = answers_of(opinions, [entry.scene_class_id for entry in entries])
    keys = [entry.scene_class.key for entry in entries]
    photos = downstream.get().example_photos(keys, user=request.user, per_class=PHOTOS)
    names = {opinion.pk: opinion for opinion in opinions}
    found = []
    for entry in entries:
        said = [answers[pk, entry.scene_class_id] for pk in names if (pk, entry.scene_class_id) in answers]
        for answer in said:
            answer.opinion = names[answer.opinion_id or 0]  # or each would ask for its name
        found.append(Row(entry, _choices(entry, said), photos.get(entry.scene_class.key, [])))
    return found


def _choices(entry: MappingEntry, answers: Sequence[MappingEntry]) -> list[Choice]:
    """One for each label that an opinion gives, then the mapping's where no opinion says so, then other."""
    choices: dict[str, Choice] = {}
    for answer in answers:
        label = answer.label or OTHER
        choices.setdefault(label, Choice(label, stands=label == entry.label)).answers.append(answer)
    for label in filter(None, (entry.label, OTHER)):
        choices.setdefault(label, Choice(label, stands=label == entry.label))
    return list(choices.values())
