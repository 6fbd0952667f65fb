"""Geometry of small line charts, drawn as SVG by trainer/_chart.html. Pure: numbers in, points out.

Our own, because such a chart takes its colours from the style sheet and needs no script; matplotlib gives a
picture of fixed colours, and a JavaScript library nothing where scripts are off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 520, 230  # of the whole drawing, in SVG units
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 30  # room for tick labels around the plot
Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Line:
    name: str
    css: str
    points: str  # for <polyline points>
    dots: tuple[tuple[float, float, str], ...]  # x, y, words for <title>


@dataclass(frozen=True)
class Chart:
    title: str
    x_title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def line_chart(
    title: str,
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    x_title: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    percent: bool = False,
) -> Chart | None:
    """A chart of named series of (x, y); None without a single finite point.

    Ranges default to the data's, y from the ticks around it. `percent` says values of 0…1 in per cent.
    """
    finite_series = [(name, [p for p in points if all(map(math.isfinite, p))]) for name, points in series]
    everything = [point for _, points in finite_series for point in points]
    if not everything:
        return None
    x_low, x_high = x_range or _span([x for x, _ in everything])
    y_steps = ticks(*(y_range or _span([y for _, y in everything])))
    y_low, y_high = y_range or (y_steps[0], y_steps[-1])

    def place(point: Point) -> Point:
        x = LEFT + (point[0] - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (point[1] - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(min(max(y, TOP), HEIGHT - BOTTOM), 1)

    whole = all(x == int(x) for x, _ in everything)
    x_steps = [t for t in ticks(x_low, x_high) if x_low <= t <= x_high and (not whole or t == int(t))]
    return Chart(
        title=title,
        x_title=x_title,
        lines=tuple(_line(i, *one, place, percent) for i, one in enumerate(finite_series) if one[1]),
        x_ticks=tuple(Tick(place((x, y_low))[0], say(x, percent=percent and not whole)) for x in x_steps),
        y_ticks=tuple(
            Tick(place((x_low, y))[1], say(y, percent=percent)) for y in y_steps if y_low <= y <= y_high
        ),
    )


def _line(index: int, name: str, points: list[Point], place: Callable[[Point], Point], percent: bool) -> Line:
    placed = [(*place(p), f"{name} {say(p[1], percent=percent, exact=True)}") for p in points]
    # A long training is a line, not a string of beads.
    marks = placed if len(placed) <= 60 else [placed[-1]]
    return Line(name, f"line-{index}", " ".join(f"{x},{y}" for x, y, _ in placed), tuple(marks))


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at or below low to at or above high, 1, 2 or 5 × a power of ten apart."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def say(value: float, *, percent: bool = False, exact: bool = False) -> str:
    if percent:
        return f"{value:.1%}" if exact else f"{value:.0%}"
    return f"{value:.4g}" if exact else f"{value:g}"
