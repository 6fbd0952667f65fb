"""Opinions: their list with how well they agree, one of them, starting and deleting one's own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.request import Request
from mapping.forms import OpinionForm
from mapping.models import Opinion
from mapping.opinions.agreement import Agreement, Mistaken, agreement, mistaken, project
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

PAIRED = 8  # opinions compared each with each on the list; any can be chosen on the page to settle
MISTAKEN = 20


@dataclass(frozen=True)
class Row:
    """An opinion on the list. agreement: with the mapping; None when it is not for this reader to see."""

    standing: Standing
    agreement: Agreement | None


@dataclass(frozen=True)
class Pair:
    first: Opinion
    second: Opinion
    agreement: Agreement


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def opinions(request: Request) -> HttpResponse:
    return _list(request, OpinionForm())


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def start(request: Request) -> HttpResponse:
    """Start an opinion, and go to it; a repeated click goes to the same."""
    form = OpinionForm(request.POST)
    if form.is_valid():
        try:
            return redirect(start_opinion(by=_me(request), **form.cleaned_data))
        except NameTaken as taken:
            form.add_error("name", str(taken))
    return _list(request, form, status=400)


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def opinion(request: Request, pk: int) -> HttpResponse:
    """One opinion: how far it is, how it agrees with another or the mapping, what it mistakes for what."""
    everything = standings()
    standing = next((row for row in everything if row.opinion.pk == pk), None)
    if standing is None:
        raise Http404("There is no such opinion.")
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
        others = [row.opinion for row in everything if not row.is_blind(request.user) and row != standing]
        context |= _against(request, standing.opinion, others)
    return render(request, "mapping/opinion.html", context)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def fill(request: Request, pk: int) -> HttpResponse:
    """Add the classes that came after this opinion was started."""
    mine = opinion_of(request.user, pk)
    added = fill_opinion(mine)
    messages.success(request, f"{added} class{'' if added == 1 else 'es'} added.")
    return redirect(mine)


@require_http_methods(["GET", "POST"])
@permission_required("mapping.change_mappingentry", raise_exception=True)
def delete(request: Request, pk: int) -> HttpResponse:
    """Ask, then delete one's own. Who clicks twice is back on the list twice."""
    if request.method == "POST":
        delete_opinion(opinion_id=pk, by=_me(request))
        messages.success(request, "The opinion is deleted. The mapping is as it was.")
        return redirect("mapping:opinions")
    mine = opinion_of(request.user, pk)
    (standing,) = standings(Opinion.objects.filter(pk=mine.pk))
    return render(request, "mapping/opinion_delete.html", {"standing": standing})


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # the pages ask for a permission
    return user


def _list(request: Request, form: OpinionForm, status: int = 200) -> HttpResponse:
    everything = standings()
    shown = [row for row in everything if row.answered and not row.is_blind(request.user)]
    sides: list[Side] = [None, *(row.opinion for row in shown)]
    found = patterns(sides) if shown else {}
    with_mapping = {
        row.opinion.pk: agreement(project(found, (0, place))) for place, row in enumerate(shown, start=1)
    }
    paired = list(enumerate((row.opinion for row in shown[:PAIRED]), start=1))
    context = {
        "rows": [Row(row, with_mapping.get(row.opinion.pk)) for row in everything],
        "pairs": [
            Pair(first, second, agreement(project(found, (one, two))))
            for (one, first), (two, second) in combinations(paired, 2)
        ],
        "form": form,
    }
    return render(request, "mapping/opinions.html", context, status=status)


def _against(request: Request, shown: Opinion, others: list[Opinion]) -> dict[str, Any]:
    """Compared with the one that the address names, or with the mapping."""
    wanted = request.GET.get("against", "")
    against = next((other for other in others if str(other.pk) == wanted), None)
    found = patterns([shown, against])
    differences: list[Mistaken] = mistaken(found)
    most = differences[0].classes if differences else 1
    return {
        "others": others,
        "against": against,
        "agreement": agreement(found),
        "mistaken": [(row, round(100 * row.classes / most)) for row in differences[:MISTAKEN]],
        "more": max(0, len(differences) - MISTAKEN),
    }
