"""Runs side by side."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from mapping.views.figures import figure_file
from people.request import Request
from trainer.runs import choose, compare_curves, comparison
from trainer.runs.charts import Chart
from trainer.runs.choose import Choice
from trainer.runs.comparison import Row
from trainer.runs.figures import chart_figure, find_chart
from trainer.runs.mcnemar import Test, against

COLUMNS = (
    # name for sorting, heading, whether it is a number, how a first click sorts
    ("name", _("Run"), False, "name"),
    ("preset", _("preset"), False, "preset"),
    ("state", _("State"), False, "state"),
    ("balanced_accuracy", _("Balanced accuracy"), True, "-balanced_accuracy"),
    ("accuracy", _("Accuracy"), True, "-accuracy"),
    ("", _("Against the base"), False, ""),
    ("best_epoch", _("Best epoch"), True, "best_epoch"),
    ("minutes", _("Minutes"), True, "minutes"),
    ("photos_per_second", _("Photos/s"), True, "-photos_per_second"),
    ("memory_mb", _("Memory, MB"), True, "memory_mb"),
)


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def compare(request: Request) -> HttpResponse:
    """Compare any number of runs. The table, the curves and the tests cover one page of them."""
    choice = choose.read_choice(request.GET)
    rows = comparison.read_rows(choice)
    context: dict[str, Any] = {
        "title": choice.words,
        "rows": rows,
        "missing": choice.missing(row.pk for row in rows),
    }
    if not rows:
        return render(request, "trainer/compare.html", context)
    best, base = _best_and_base(request, rows)
    sort, everything = request.GET.get("sort", ""), request.GET.get("settings") == "all"
    query = {"sort": sort, "base": "" if base is best else base.pk, "settings": "all" * everything}
    if by_epoch := sort.removeprefix("-") == "best_epoch":
        comparison.add_best_epochs(rows)
    page = _read_page(request, rows)
    page_rows: list[Row] = list(page)
    if not by_epoch:
        comparison.add_best_epochs(page_rows)
    tests = against(base.pk, [row.pk for row in page_rows if row is not base])
    context |= _page_parts(rows, page_rows, base, everything=everything) | {
        "page": page,
        "lines": [_line(choice, row, tests, query) for row in page_rows],
        "figures": f"{reverse('trainer:compare')}figures/",
        "query": f"?{request.GET.urlencode()}",
        "columns": _columns(choice, sort, query),
        "switch": comparison.address(choice, **query | {"settings": "" if everything else "all"}),
        "n_tests": sum(not test.reason for test in tests.values()),
        "most": choose.MOST if len(rows) == choose.MOST else None,
    }
    return render(request, "trainer/compare.html", context)


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def figure(request: Request, name: str, kind: str) -> HttpResponse:
    """A chart of the compared runs as a file: name is the slug of its title, kind "svg" or "csv"."""
    rows = comparison.read_rows(choose.read_choice(request.GET))
    if not rows:
        raise Http404(_("There is nothing to draw."))
    _best, base = _best_and_base(request, rows)
    if request.GET.get("sort", "").removeprefix("-") == "best_epoch":
        comparison.add_best_epochs(rows)
    page_rows: list[Row] = list(_read_page(request, rows))
    comparison.assign_colors(page_rows, base)
    with translation.override("en"):  # files are English
        chart = find_chart(_charts(page_rows, base), name)
        return figure_file(chart_figure(chart, f"comparison-{name}") if chart else None, kind)


def _best_and_base(request: Request, rows: list[Row]) -> tuple[Row, Row]:
    best = comparison.best_of(rows)
    return best, next((row for row in rows if str(row.pk) == request.GET.get("base")), best)


def _read_page(request: Request, rows: list[Row]) -> Page[Row]:
    ordered_rows = comparison.sort_rows(rows, request.GET.get("sort", ""))
    return Paginator(ordered_rows, comparison.PAGE).get_page(request.GET.get("page"))


def _curve_rows(page_rows: list[Row], base: Row) -> list[Row]:
    return [base, *(row for row in page_rows[: compare_curves.MAX_LINES] if row is not base)]


def _charts(page_rows: list[Row], base: Row) -> list[Chart]:
    rows = _curve_rows(page_rows, base)
    return compare_curves.curve_charts(rows, compare_curves.read_curves(rows))


def _page_parts(rows: list[Row], page_rows: list[Row], base: Row, *, everything: bool) -> dict[str, Any]:
    """The curves, settings and hashtags below the table of one page of rows."""
    color_rows = comparison.assign_colors(page_rows, base)
    curve_rows = _curve_rows(page_rows, base)
    few = len(rows) <= comparison.COLORS
    return {
        "base": base,
        "color_rows": color_rows,
        "drawn": curve_rows,
        "n_uncolored": sum(row.color is None for row in curve_rows),
        "charts": _charts(page_rows, base),
        "sources": comparison.sources_of(page_rows),
        "few": few,
        "everything": everything,
        "settings": comparison.setting_rows(page_rows, base, everything=everything) if few else [],
        "values": [] if few else comparison.setting_values(rows, everything=everything),
        "recalls": comparison.recall_rows(color_rows),
        "flatters": any(row.flatters_itself for row in page_rows),
        "any_thesis": any(row.thesis for row in page_rows),
    }


def _line(choice: Choice, row: Row, tests: dict[int, Test], query: dict[str, Any]) -> dict[str, Any]:
    return {
        "row": row,
        "test": tests.get(row.pk),
        "as_base": comparison.address(choice, **query | {"base": row.pk}),
        "without": comparison.address(
            choice, **query | {"base": "" if row.is_base else query["base"], "without": row.pk}
        ),
    }


def _columns(choice: Choice, sort: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Headings of the table: a click sorts, a second one reverses the order."""
    columns = []
    for name, words, number, first in COLUMNS:
        reverse = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        column: dict[str, Any] = {"words": words, "number": number}
        if name:
            column["href"] = comparison.address(
                choice, **query | {"sort": reverse if sort == first else first}
            )
        if name and sort.removeprefix("-") == name:
            column["sorted"] = "descending" if sort.startswith("-") else "ascending"
        columns.append(column)
    return columns
