"""Two releases side by side: what moved between them, and what that did to photos and runs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from jobs.request import Request
from mapping.files.classlists import guard
from mapping.impact import Impact, impact_between
from mapping.models import MappingEntry, Release
from mapping.releases import Move

PER_PAGE = 100
NOT_THERE = "-"  # in an address: the class has no label on this side


class UnknownRelease(Exception):
    """No release has this number."""


@dataclass(frozen=True)
class Row:
    """A move as a list shows it. entry: the class's page, None where the class is gone."""

    move: Move
    photos: int
    entry: int | None


def rows_of(moves: Iterable[Move], photos: Mapping[str, int]) -> list[Row]:
    moves = list(moves)
    keys = [move.scene_key for move in moves]
    pages = dict(MappingEntry.objects.filter(scene_class__key__in=keys).values_list("scene_class__key", "pk"))
    return [Row(move, photos.get(move.scene_key, 0), pages.get(move.scene_key)) for move in moves]


@require_GET
@permission_required("mapping.view_release", raise_exception=True)
def compare(request: Request) -> HttpResponse:
    """The two releases that the address names; without names, the newest two."""
    releases = list(Release.objects.select_related("published_by"))
    context: dict[str, Any] = {"releases": releases}
    try:
        before = _named(request.GET.get("before"), releases, otherwise=1)
        after = _named(request.GET.get("after"), releases, otherwise=0)
    except UnknownRelease as error:
        return render(request, "mapping/compare.html", context | {"error": str(error)}, status=404)
    if before is None or after is None:
        return render(request, "mapping/compare.html", context)
    impact = impact_between(before, after)
    if request.GET.get("format") == "csv":
        return moves_csv(f"scenetag-releases-{before.number}-{after.number}.csv", impact)
    moves = _narrowed(request, impact.moves)
    page = Paginator(moves, PER_PAGE).get_page(request.GET.get("page"))
    context |= {
        "before": before,
        "after": after,
        "impact": impact,
        "kind": request.GET.get("kind", ""),
        "page": page,
        "rows": rows_of(page.object_list, impact.photos),
        "narrowed": len(moves) < len(impact.moves),
    }
    return render(request, "mapping/compare.html", context)


def _named(number: str | None, releases: list[Release], *, otherwise: int) -> Release | None:
    """The release of this number; without one the nth newest. Raises UnknownRelease."""
    if not number:
        return releases[otherwise] if otherwise < len(releases) else None
    for release in releases:
        if str(release.number) == number:
            return release
    raise UnknownRelease(f"There is no release “{number[:20]}”. Choose two of those that there are.")


def _narrowed(request: Request, moves: list[Move]) -> list[Move]:
    """By kind, and by the labels before and after."""
    if kind := request.GET.get("kind"):
        moves = [move for move in moves if move.kind == kind]
    if was := request.GET.get("from"):
        moves = [move for move in moves if move.relabelled and (move.before or NOT_THERE) == was]
    if now := request.GET.get("to"):
        moves = [move for move in moves if move.relabelled and (move.after or NOT_THERE) == now]
    return moves


def moves_csv(name: str, impact: Impact) -> HttpResponse:
    """One line per class that differs."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    writer.writerow(("scene_key", "change", "before", "after", "detail", "photos"))
    for move in impact.moves:
        photos = impact.photos.get(move.scene_key, 0)
        words = (move.scene_key, move.kind, move.before or "", move.after or "", move.detail)
        writer.writerow((*map(guard, words), photos))
    return response
