"""The result as one plain picture for slides: SVG, drawn here, without scripts or style sheets.

Rectangles and text in a template; matplotlib would be a large dependency for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import render_to_string

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
        "ticks": [(_x(tenths / 4), f"{25 * tenths}\N{NO-BREAK SPACE}%") for tenths in range(5)],
        "top": TOP,
        "few": FEW,
    }
    return render_to_string("validation/figure.svg", context)


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _bar(name: str, rate: Rate, at: int) -> Bar:
    colour = PALE if rate.is_few else INK
    return Bar(
        name, rate, TOP + ROW * at, round(_x(rate.value) - LEFT, 1), _x(rate.low), _x(rate.high), colour
    )
