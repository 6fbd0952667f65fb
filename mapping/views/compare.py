"""Compare two releases: the classes that moved, and the effect on photos and runs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from formats.table import guard
from mapping.impact import Impact, impact_between
from mapping.models import MappingEntry, Release
from mapping.releases import Move
from people.request import Request

PER_PAGE = 100
NOT_THERE = "-"  # in an address: the class has no label in this release


class UnknownRelease(Exception):
    """No release has this number."""


@dataclass(frozen=True)
class Row:
    """A move in a list. entry: id of the class's entry, or None if the class no longer exists."""

    move: Move
    photos: int
    entry: int | None


def rows_of(moves: Iterable[Move], photos: Mapping[str, int]) -> list[Row]:
    moves = list(moves)
    keys = [move.scene_key for move in moves]
    pages = dict(MappingEntry.objects.filter(scene_class__key__in=keys).values_list("scene_class__key", "pk"))
    return [Row(move, photos.get(move.scene_key, 0), pages.get(move.scene_key)) for move in moves]


@require_safe
@permission_required("mapping.view_release", raise_exception=True)
def compare(request: Request) -> HttpResponse:
    """Compare the two releases named in the address, by default the newest two."""
    releases = list(Release.objects.select_related("published_by"))
    context: dict[str, Any] = {"releases": releases}
    try:
        before = _find_release(request.GET.get("before"), releases, otherwise=1)
        after = _find_release(request.GET.get("after"), releases, otherwise=0)
    except UnknownRelease as error:
        return render(request, "mapping/compare.html", context | {"error": str(error)}, status=404)
    if before is None or after is None:
        return render(request, "mapping/compare.html", context)
    impact = impact_between(before, after)
    if request.GET.get("format") == "csv":
        return moves_csv(f"scenetag-releases-{before.number}-{after.number}.csv", impact)
    moves = _narrow(request, impact.moves)
    page = Paginator(moves, PER_PAGE).get_page(request.GET.get("page"))
    context |= {
        "before": before,
        "after": after,
        "impact": impact,
        "kind": request.GET.get("kind", ""),
        "page": page,
        "rows": rows_of(page.object_list, impact.photos),
        "is_narrowed": len(moves) < len(impact.moves),
    }
    return render(request, "mapping/compare.html", context)


def _find_release(number: str | None, releases: list[Release], *, otherwise: int) -> Release | None:
    """The release with this number. Without a number, the one at index `otherwise`. Raises UnknownRelease."""
    if not number:
        return releases[otherwise] if otherwise < len(releases) else None
    for release in releases:
        if str(release.number) == number:
            return release
    raise UnknownRelease(
        _("There is no release “%(number)s”. Choose two from the lists.") % {"number": number[:20]}
    )


def _narrow(request: Request, moves: list[Move]) -> list[Move]:
    """Filter moves by kind and by the labels before and after."""
    if kind := request.GET.get("kind"):
        moves = [move for move in moves if move.kind == kind]
    if label_before := request.GET.get("from"):
        moves = [move for move in moves if move.relabelled and (move.before or NOT_THERE) == label_before]
    if label_after := request.GET.get("to"):
        moves = [move for move in moves if move.relabelled and (move.after or NOT_THERE) == label_after]
    return moves


def moves_csv(name: str, impact: Impact) -> HttpResponse:
    """A CSV with one line per class that differs."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    writer.writerow(("scene_key", "change", "before", "after", "detail", "photos"))
    for move in impact.moves:
        photos = impact.photos.get(move.scene_key, 0)
        words = (move.scene_key, move.kind, move.before or "", move.after or "", move.detail)
        writer.writerow((*map(guard, words), photos))
    return response
