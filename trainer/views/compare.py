"""Runs side by side."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from trainer import comparing
from trainer.comparing import Choice, Row
from trainer.mcnemar import Test, against

COLUMNS = (
    # name for sorting, words, is it a number, how a first click sorts
    ("name", "Run", False, "name"),
    ("balanced_accuracy", "Balanced accuracy", True, "-balanced_accuracy"),
    ("accuracy", "Accuracy", True, "-accuracy"),
    ("", "Best epoch", True, ""),
    ("minutes", "Minutes", True, "minutes"),
    ("photos_per_second", "Photos/s", True, "-photos_per_second"),
    ("memory_mb", "Memory, MB", True, "memory_mb"),
)


@require_GET
@permission_required("trainer.view_trainingrun", raise_exception=True)
def compare(request: HttpRequest) -> HttpResponse:
    """Any number of runs; the table, the curves and the tests are of one page of them."""
    choice = comparing.read_choice(request.GET)
    rows = comparing.read_rows(choice)
    if not rows:
        return render(request, "trainer/compare.html", {"nothing": True})
    base = next((row for row in rows if str(row.pk) == request.GET.get("base")), rows[0])
    sort = request.GET.get("sort", "")
    everything = request.GET.get("settings") == "all"
    page = Paginator(comparing.ordered(rows, sort), comparing.PAGE).get_page(request.GET.get("page"))
    shown: list[Row] = list(page)
    for color, row in enumerate(shown[: comparing.PICKED]):
        row.color = color
    points = comparing.read_curves(shown)
    comparing.add_best_epochs(shown, points)
    tests = against(base.pk, [row.pk for row in shown if row.pk != base.pk])
    few = len(rows) <= comparing.PICKED
    kept = {"sort": sort, "base": base.pk if base is not rows[0] else "", "settings": "all" * everything}
    context = {
        "title": choice.words,
        "rows": rows,
        "page": page,
        "lines": [_line(choice, row, base, tests, kept) for row in shown],
        "base": base,
        "columns": _columns(choice, sort, kept),
        "picked": shown[: comparing.PICKED],
        "charts": comparing.curve_charts(shown, points),
        "few": few,
        "everything": everything,
        "switch": comparing.address(choice, **kept | {"settings": "" if everything else "all"}),
        "settings": comparing.setting_rows(shown, base, everything=everything) if few else [],
        "values": [] if few else comparing.setting_values(rows),
        "recalls": comparing.recall_rows(shown[: comparing.PICKED]),
        "most": comparing.MOST if len(rows) == comparing.MOST else None,
        "made": sum(not test.reason for test in tests.values()),
        "flatters": any(row.flatters_itself for row in shown),
        "any_thesis": any(row.thesis for row in shown),
    }
    return render(request, "trainer/compare.html", context)


def _line(
    choice: Choice, row: Row, base: Row, tests: dict[int, Test], kept: dict[str, Any]
) -> dict[str, Any]:
    return {
        "row": row,
        "is_base": row is base,
        "test": tests.get(row.pk),
        "as_base": comparing.address(choice, **kept | {"base": row.pk}),
    }


def _columns(choice: Choice, sort: str, kept: dict[str, Any]) -> list[dict[str, Any]]:
    """Heads of the table: a click sorts, a second one turns the order round."""
    found = []
    for name, words, number, first in COLUMNS:
        turned = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        column: dict[str, Any] = {"words": words, "number": number}
        if name:
            column["href"] = comparing.address(choice, **kept | {"sort": turned if sort == first else first})
        if name and sort.removeprefix("-") == name:
            column["sorted"] = "descending" if sort.startswith("-") else "ascending"
        found.append(column)
    return found
