"""Opinions: the list with their agreement, the page of one, starting and deleting one's own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mapping.forms import OpinionForm
from mapping.models import Opinion
from mapping.opinions.agreement import Agreement, Confusion, agreement, find_confusions, project
from mapping.opinions.opinions import (
    NameTaken,
    Side,
    Standing,
    delete_opinion,
    fill_opinion,
    label_counts,
    opinion_of,
    patterns,
    standings,
    start_opinion,
)
from people.request import Request

MAX_PAIRED = 8  # opinions compared pairwise on the list; the page to settle can compare any
MAX_CONFUSIONS = 20  # rows of confused labels


@dataclass(frozen=True)
class Row:
    """An opinion on the list. agreement: with the mapping, or None if this user must not see it."""

    standing: Standing
    agreement: Agreement | None


@dataclass(frozen=True)
class Pair:
    first: Opinion
    second: Opinion
    agreement: Agreement


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def opinions(request: Request) -> HttpResponse:
    return _list(request, OpinionForm())


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def start(request: Request) -> HttpResponse:
    """Start an opinion and show it. A repeated click shows the same opinion."""
    form = OpinionForm(request.POST)
    if form.is_valid():
        try:
            return redirect(start_opinion(by=_me(request), **form.cleaned_data))
        except NameTaken as taken:
            form.add_error("name", str(taken))
    return _list(request, form, status=400)


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def opinion(request: Request, pk: int) -> HttpResponse:
    """One opinion: its progress, its agreement with another or the mapping, and which labels are confused."""
    all_standings = standings()
    standing = next((row for row in all_standings if row.opinion.pk == pk), None)
    if standing is None:
        raise Http404(_("There is no such opinion."))
    blind = standing.is_blind(request.user)
    counts = label_counts(standing.opinion)
    top = max((n for label, n in counts if label != "other"), default=1)
    context: dict[str, Any] = {
        "standing": standing,
        "opinion": standing.opinion,
        "mine": standing.opinion.owner_id == request.user.pk,
        "blind": blind,
        "counts": [(label, n, min(100, round(100 * n / top))) for label, n in counts],
        "missing": standing.classes - standing.entries,
    }
    if not blind:
        others = [row.opinion for row in all_standings if not row.is_blind(request.user) and row != standing]
        context |= _against(request, standing.opinion, others)
    return render(request, "mapping/opinion.html", context)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def fill(request: Request, pk: int) -> HttpResponse:
    """Add the classes that came after this opinion was started."""
    own_opinion = opinion_of(request.user, pk)
    count = fill_opinion(own_opinion)
    messages.success(request, ngettext("%(n)s class added.", "%(n)s classes added.", count) % {"n": count})
    return redirect(own_opinion)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("mapping.change_mappingentry", raise_exception=True)
def delete(request: Request, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete one's own opinion. A repeated click changes nothing."""
    if request.method == "POST":
        delete_opinion(opinion_id=pk, by=_me(request))
        messages.success(request, _("The opinion was deleted. The mapping is unchanged."))
        return redirect("mapping:opinions")
    own_opinion = opinion_of(request.user, pk)
    (standing,) = standings(Opinion.objects.filter(pk=own_opinion.pk))
    return render(request, "mapping/opinion_delete.html", {"standing": standing})


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # every page requires a permission
    return user


def _list(request: Request, form: OpinionForm, status: int = 200) -> HttpResponse:
    all_standings = standings()
    visible = [row for row in all_standings if row.answers and not row.is_blind(request.user)]
    sides: list[Side] = [None, *(row.opinion for row in visible)]
    pattern_counts = patterns(sides) if visible else {}
    with_mapping = {
        row.opinion.pk: agreement(project(pattern_counts, (0, place)))
        for place, row in enumerate(visible, start=1)
    }
    compared_opinions = list(enumerate((row.opinion for row in visible[:MAX_PAIRED]), start=1))
    context = {
        "rows": [Row(row, with_mapping.get(row.opinion.pk)) for row in all_standings],
        "pairs": [
            Pair(first, second, agreement(project(pattern_counts, (one, two))))
            for (one, first), (two, second) in combinations(compared_opinions, 2)
        ],
        "form": form,
    }
    return render(request, "mapping/opinions.html", context, status=status)


def _against(request: Request, opinion: Opinion, others: list[Opinion]) -> dict[str, Any]:
    """Compare an opinion with the one named in the address, by default with the mapping."""
    against_id = request.GET.get("against", "")
    against = next((other for other in others if str(other.pk) == against_id), None)
    pattern_counts = patterns([opinion, against])
    differences: list[Confusion] = find_confusions(pattern_counts)
    most_classes = differences[0].classes if differences else 1
    return {
        "others": others,
        "against": against,
        "agreement": agreement(pattern_counts),
        "confusions": [
            (row, round(100 * row.classes / most_classes)) for row in differences[:MAX_CONFUSIONS]
        ],
        "more": max(0, len(differences) - MAX_CONFUSIONS),
    }
