"""Settle differences between opinions class by class, and take over the classes where all agree."""

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
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from formats.names import normalize_hashtag
from formats.numbers import read_number
from mapping import downstream, queue
from mapping.acts import StaleEntries, newest_change
from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion
from mapping.opinions.agreement import agreement
from mapping.opinions.opinions import Standing, answers_of, patterns, standings
from mapping.opinions.settling import (
    AnswersMoved,
    filter_by_labels,
    open_rows,
    plan_take_over,
    settle,
    settled_rows,
    sides,
    take_over,
)
from people.request import Request

PER_PAGE = 20
PHOTOS = 3
SHOWN = 50  # classes listed before taking over; the rest is counted
UNDOABLE = {Change.Action.SETTLE, Change.Action.GROUP}


class StillBlind(Exception):
    """The address names an unfinished opinion of this user, who must stay blind."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(_("%(name)s is not finished.") % {"name": standing.opinion})
        self.standing = standing


@dataclass
class Choice:
    """A label and the answers that give it. stands: it is the present label in the mapping."""

    label: str
    stands: bool
    answers: list[MappingEntry] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    entry: MappingEntry
    choices: list[Choice]
    photos: list[downstream.Example]


@dataclass(frozen=True)
class Selection:
    """What the address selects: the opinions, the list, and the labels it is narrowed to."""

    standings: list[Standing]
    opinions: list[Opinion]
    is_settled: bool
    labels: tuple[str, str] | None  # of the first and the second opinion
    query: str

    @property
    def opinions_query(self) -> str:
        """The query with the opinions only, for other addresses."""
        query = QueryDict(mutable=True)
        query.setlist("opinion", [str(opinion.pk) for opinion in self.opinions])
        return query.urlencode()

    @property
    def labels_query(self) -> str:
        """The query with the opinions and the labels that the list is narrowed to."""
        query = QueryDict(self.opinions_query, mutable=True)
        if self.labels:
            query["first"], query["second"] = self.labels
        return query.urlencode()

    @property
    def list_query(self) -> str:
        """The query of the list on the page, to which its pages are added."""
        return f"{self.labels_query}&show=settled" if self.is_settled else self.labels_query

    @property
    def address(self) -> str:
        return f"{reverse('mapping:settle')}?{self.query}"


View = Callable[..., HttpResponse]


def _unless_blind(view: View) -> View:
    """Show a notice instead of the page to users who have not finished their own opinion."""

    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except StillBlind as blind:
            context = {"standing": blind.standing}
            return render(request, "mapping/settle_blind.html", context, status=403)

    return guarded


@require_safe
@vary_on_headers("HX-Request")
@permission_required("mapping.view_sceneclass", raise_exception=True)
@_unless_blind
def show(request: Request) -> HttpResponse:
    """The differences between the opinions of ?opinion=…&opinion=…, by default the first two."""
    selection = _select(request)
    return _answer(request, selection)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
@_unless_blind
def decide(request: Request, pk: int) -> HttpResponse:
    """Settle one class by hashtag (a button) or find (typed text). 409 with both versions if stale."""
    selection = _select(request)
    entry = get_object_or_404(MappingEntry.objects.select_related("scene_class"), pk=pk)
    hashtag = normalize_hashtag(request.POST.get("hashtag") or request.POST.get("find", ""))
    version = read_number(request.POST.get("version"))
    if not hashtag or version is None:
        return _answer(
            request, selection, status=400, problem=_("Choose a hashtag, or other. Nothing was changed.")
        )
    try:
        settle(
            entry_id=pk,
            version=version,
            by=_me(request),
            hashtag=hashtag,
            opinions=selection.opinions,
            note=request.POST.get("note", "").strip()[:500],
        )
    except Hashtag.DoesNotExist as unknown:
        problem = f"{entry.scene_class.title}: {unknown}. {_('Nothing was changed.')}"
        return _answer(request, selection, status=400, problem=problem)
    except StaleEntries as stale:
        return _answer(request, selection, status=409, stale=stale.current[0].pk, mine=hashtag)
    if request.htmx:
        return _answer(request, selection)
    return redirect(selection.address)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("mapping.change_mappingentry", raise_exception=True)
@_unless_blind
def take(request: Request) -> HttpResponse:
    """Preview taking over the classes where all agree. POST does it if nothing changed since the preview."""
    selection = _select(request)
    if len(selection.opinions) < 2:
        raise Http404(_("At least two opinions are needed to agree."))
    context: dict[str, Any] = {"selection": selection}
    status = 200
    if request.method == "POST":
        try:
            change = take_over(
                opinions=selection.opinions, by=_me(request), seen=request.POST.get("seen", "")
            )
        except (AnswersMoved, StaleEntries):
            context["moved_meanwhile"], status = True, 409
        else:
            _tell(request, change)
            return redirect(f"{reverse('mapping:settle')}?{selection.opinions_query}")
    agreement_plan = plan_take_over(selection.opinions)
    most_classes = max((n for label, n in agreement_plan.labels if label != OTHER), default=1)
    labels = [(label, n, min(100, round(100 * n / most_classes))) for label, n in agreement_plan.labels]
    context |= {"plan": agreement_plan, "moved": agreement_plan.moved[:SHOWN], "labels": labels}
    return render(request, "mapping/settle_agreed.html", context, status=status)


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # every page requires a permission
    return user


def _tell(request: Request, change: Change | None) -> None:
    if change is None:
        messages.info(request, _("The mapping already has these answers. Nothing was changed."))
        return
    number = len(change.before)
    messages.success(
        request,
        ngettext("%(n)s class confirmed in one act.", "%(n)s classes confirmed in one act.", number)
        % {"n": number},
    )


def _select(request: Request) -> Selection:
    """Read the address. Raises Http404 for an unknown opinion, StillBlind for the user's unfinished one."""
    all_standings = standings()
    by_id = {str(row.opinion.pk): row for row in all_standings}
    opinion_ids = list(dict.fromkeys(request.GET.getlist("opinion")))
    if unknown := [name for name in opinion_ids if name not in by_id]:
        raise Http404(_("There is no opinion %(id)s.") % {"id": unknown[0]})
    chosen_standings = [by_id[name] for name in opinion_ids]
    if blind := next((row for row in chosen_standings if row.is_blind(request.user)), None):
        raise StillBlind(blind)
    if not chosen_standings:
        visible = [row for row in all_standings if row.answers and not row.is_blind(request.user)]
        chosen_standings = visible[:2]
    return Selection(
        standings=all_standings,
        opinions=[row.opinion for row in chosen_standings],
        is_settled=request.GET.get("show") == "settled",
        labels=(request.GET["first"], request.GET["second"])
        if "first" in request.GET and "second" in request.GET
        else None,
        query=request.GET.urlencode(safe="/"),
    )


def _answer(
    request: Request,
    selection: Selection,
    *,
    status: int = 200,
    stale: int | None = None,
    **more: Any,
) -> HttpResponse:
    context: dict[str, Any] = {
        "selection": selection,
        "selected_pks": {opinion.pk for opinion in selection.opinions},
    }
    context |= {
        "choosable": [(row, row.is_blind(request.user)) for row in selection.standings],
        "in_work": next((row.opinion for row in selection.standings if row.is_blind(request.user)), None),
    }
    if selection.opinions:
        context |= _lists(request, selection, stale)
    newest = newest_change(by=_me(request))
    if newest and newest.action in UNDOABLE:
        context["newest"] = newest
    fragment = request.htmx and not request.htmx.history_restore_request
    template = "mapping/_settle.html" if fragment else "mapping/settle.html"
    return render(request, template, context | more, status=status)


def _lists(request: Request, selection: Selection, stale: int | None) -> dict[str, Any]:
    open_entries, settled_entries = open_rows(selection.opinions), settled_rows(selection.opinions)
    if selection.labels:
        open_entries, settled_entries = (
            filter_by_labels(open_entries, *selection.labels),
            filter_by_labels(settled_entries, *selection.labels),
        )
    rows = (settled_entries if selection.is_settled else open_entries).select_related("changed_by")
    behind, in_front = request.GET.get("behind", ""), request.GET.get("before", "")
    page = queue.page(rows, size=PER_PAGE, behind=behind, in_front=in_front)
    if not page.rows and (behind or in_front):
        page = queue.page(rows, size=PER_PAGE)  # the last row of the page was settled
    entries = [entry for entry in page.rows if entry.pk != stale]
    if stale is not None:
        all_entries = MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by")
        entries.insert(0, all_entries.get(pk=stale))
    list_rows = _rows(request, selection.opinions, entries)
    open_count, settled_count = open_entries.order_by().count(), settled_entries.order_by().count()
    return {
        "page": page,
        "stale": list_rows[0] if stale else None,
        "rows": list_rows[1:] if stale else list_rows,
        "open_count": open_count,
        "settled_count": settled_count,
        "total": open_count + settled_count,
        # Lazy: it reads every class, and the fragments for htmx do not show it.
        "agreement": cache(lambda: agreement(patterns(sides(selection.opinions)))),
    }


def _rows(request: Request, opinions: Sequence[Opinion], entries: Sequence[MappingEntry]) -> list[Row]:
    answers = answers_of(opinions, [entry.scene_class_id for entry in entries])
    keys = [entry.scene_class.key for entry in entries]
    photos = downstream.get().example_photos(keys, user=request.user, per_class=PHOTOS)
    opinion_by_id = {opinion.pk: opinion for opinion in opinions}
    rows = []
    for entry in entries:
        entry_answers = [
            answers[pk, entry.scene_class_id] for pk in opinion_by_id if (pk, entry.scene_class_id) in answers
        ]
        for answer in entry_answers:
            # Otherwise each answer would query its opinion.
            answer.opinion = opinion_by_id[answer.opinion_id or 0]
        rows.append(Row(entry, _choices(entry, entry_answers), photos.get(entry.scene_class.key, [])))
    return rows


def _choices(entry: MappingEntry, answers: Sequence[MappingEntry]) -> list[Choice]:
    """The labels of the opinions, then the label of the mapping and other, unless already listed."""
    choices: dict[str, Choice] = {}
    for answer in answers:
        label = answer.label or OTHER
        choices.setdefault(label, Choice(label, stands=label == entry.label)).answers.append(answer)
    for label in filter(None, (entry.label, OTHER)):
        choices.setdefault(label, Choice(label, stands=label == entry.label))
    return list(choices.values())
