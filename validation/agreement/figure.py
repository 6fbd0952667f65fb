"""The result as one plain picture for slides: SVG, drawn here, without scripts or style sheets.

Rectangles and text in a template; matplotlib would be a large dependency for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.template.loader import render_to_string

from mapping.figures import Figure
from validation.agreement.results import Summary
from validation.statistics.rate import FEW, Rate

WIDTH, LEFT, RIGHT = 960, 190, 130  # px: the picture; names and figures beside the bars
TOP, ROW = 150, 32
INK, PALE = "#1f5fbf", "#b9c6da"


@dataclass(frozen=True)
class Bar:
    """One hashtag's bar, in pixels."""

    name: str
    rate: Rate
    y: int
    width: float
    low: float
    high: float
    colour: str


def figure_svg(summary: Summary, *, title: str) -> str:
    """The headline with its interval, and a bar for each hashtag that has answers."""
    rows = [row for row in summary.offered if row.rate]
    bars = [_bar(row.hashtag, row.rate, at) for at, row in enumerate(rows) if row.rate]
    bottom = TOP + ROW * len(bars)
    context = {
        "title": title,
        "summary": summary,
        "bars": bars,
        "width": WIDTH,
        "height": bottom + 70,
        "left": LEFT,
        "values": WIDTH - RIGHT + 12,
        "bottom": bottom,
        "foot": bottom + 50,
        "ticks": _ticks(),
        "top": TOP,
        "few": FEW,
    }
    return render_to_string("validation/figure.svg", context)


def rates_figure(name: str, title: str, of: str, rows: Sequence[tuple[str, Rate, float | None]]) -> Figure:
    """Bars with their 95 % intervals, as a file. A row: its label, its rate, and where its dot is or None.

    `of`: what the rates are of, for the heading of their column.
    """
    bars = [
        (_bar(label, rate, at), None if dot is None else _x(dot))
        for at, (label, rate, dot) in enumerate(rows)
    ]
    y, bottom = TOP - 80, TOP + ROW * len(bars)  # the title is nearer to the bars than in the other picture
    context = {"title": title, "bars": bars, "ticks": _ticks(), "few": FEW, "y": y, "height": bottom + 50 - y}
    context |= {"width": WIDTH, "left": LEFT, "values": WIDTH - RIGHT + 12, "top": TOP, "bottom": bottom}
    has_dots = any(dot is not None for _, _, dot in rows)
    heading = ["label", of, "from", "to", "n", *["expected"] * has_dots]
    table = [[label, r.value, r.low, r.high, r.n, *[dot] * has_dots] for label, r, dot in rows]
    return Figure(name, "validation/rates.svg", context, [heading, *table])


def _ticks() -> list[tuple[float, str]]:
    return [(_x(quarter / 4), f"{25 * quarter}\N{NO-BREAK SPACE}%") for quarter in range(5)]


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _bar(name: str, rate: Rate, at: int) -> Bar:
    colour = PALE if rate.is_few else INK
    return Bar(
        name, rate, TOP + ROW * at, round(_x(rate.value) - LEFT, 1), _x(rate.low), _x(rate.high), colour
    )
