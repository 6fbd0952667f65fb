"""Draws the curves of compared runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, isfinite, nan

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from trainer.models import Epoch
from trainer.runs.charts import Chart, Line, line_chart
from trainer.runs.comparison import COLORS, Row

MAX_LINES = 60  # lines in a chart; only the first rows of a page get one
CURVE_ROWS = 20_000  # epochs that a page's charts are drawn from, at most
CURVES = (  # field of an epoch, title, whether it is a share: in the order of a point, behind the epoch
    ("balanced_accuracy", gettext_noop("Balanced accuracy on held-out photos"), True),
    ("accuracy", gettext_noop("Accuracy on held-out photos"), True),
    ("loss", gettext_noop("Training loss"), False),
    ("lr", gettext_noop("Learning rate"), False),
)
Points = dict[int, list[tuple[float, ...]]]  # run → its points: the epoch, then the figures of CURVES


def read_curves(rows: Sequence[Row]) -> Points:
    """The epochs of the runs, thinned evenly if there are more than CURVE_ROWS. Two queries.

    A figure that an epoch lacks is NaN.
    """
    epochs = Epoch.objects.filter(run__in=[row.pk for row in rows])
    step = max(1, ceil(epochs.aggregate(n=Count("pk"))["n"] / CURVE_ROWS))
    if step > 1:
        # Counted among the tested epochs: every other epoch of a run that tests every other one may have no
        # figures at all.
        nth = Window(RowNumber(), partition_by="run", order_by="number")
        tested = epochs.filter(accuracy__isnull=False)
        epochs = tested.annotate(nth=nth, place=(F("nth") - 1) % step).filter(place=0)
    points: Points = defaultdict(list)
    values = epochs.order_by("run", "number").values_list("run", "number", *(name for name, *_ in CURVES))
    for run, *point in values:
        points[run].append(tuple(nan if value is None else value for value in point))
    return dict(points)


def curve_charts(rows: Sequence[Row], points: Points) -> list[Chart]:
    """One chart per figure, one line per run. Lines with a colour lie above the others, the base on top."""
    # What is drawn last lies on top.
    layers = sorted(
        (row for row in rows if row.pk in points),
        key=lambda row: COLORS + 1 if row.is_base else -1 if row.color is None else COLORS - row.color,
    )
    last = max((points[row.pk][-1][0] for row in layers), default=2)
    charts = []
    for place, (_name, title, percent) in enumerate(CURVES, start=1):
        finite = [row for row in layers if any(isfinite(point[place]) for point in points[row.pk])]
        series = [(row.name, [(p[0], p[place]) for p in points[row.pk]]) for row in finite]
        if chart := line_chart(title, series, x_title=_("epoch"), x_range=(1, max(last, 2)), percent=percent):
            lines = zip(finite, chart.lines, strict=True)
            charts.append(replace(chart, lines=tuple(_color(row, line) for row, line in lines)))
    return charts


def _color(row: Row, line: Line) -> Line:
    css = "pick-rest" if row.color is None else f"pick-{row.color}"
    return replace(line, css=css + " is-base" * row.is_base, dots=line.dots[-1:])
