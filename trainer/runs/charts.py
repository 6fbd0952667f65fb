"""Geometry of small line charts, which trainer/_chart.html draws as SVG. Pure: numbers in, points out.

Our own, because such a chart takes its colours from the style sheet and needs no script. matplotlib would
draw a picture with fixed colours, and a JavaScript library would draw nothing where scripts are off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.formats import get_format

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
    values: tuple[Point, ...] = ()  # the numbers that were drawn


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
    """A chart of named series of (x, y); None if no point is finite.

    Without ranges, x spans the data, and y the ticks around the data. `percent` shows 0…1 as per cent.
    """
    finite_series = [(name, [p for p in points if all(map(math.isfinite, p))]) for name, points in series]
    all_points = [point for _, points in finite_series for point in points]
    if not all_points:
        return None
    x_low, x_high = x_range or _span([x for x, _ in all_points])
    y_steps = ticks(*(y_range or _span([y for _, y in all_points])))
    y_low, y_high = y_range or (y_steps[0], y_steps[-1])

    def place(point: Point) -> Point:
        x = LEFT + (point[0] - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (point[1] - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(min(max(y, TOP), HEIGHT - BOTTOM), 1)

    whole = all(x == int(x) for x, _ in all_points)
    x_steps = [t for t in ticks(x_low, x_high) if x_low <= t <= x_high and (not whole or t == int(t))]
    return Chart(
        title=title,
        x_title=x_title,
        lines=tuple(_line(i, *one, place, percent) for i, one in enumerate(finite_series) if one[1]),
        x_ticks=tuple(
            Tick(place((x, y_low))[0], format_number(x, percent=percent and not whole)) for x in x_steps
        ),
        y_ticks=tuple(
            Tick(place((x_low, y))[1], format_number(y, percent=percent))
            for y in y_steps
            if y_low <= y <= y_high
        ),
    )


def _line(index: int, name: str, points: list[Point], place: Callable[[Point], Point], percent: bool) -> Line:
    dots = [(*place(p), f"{name} {format_number(p[1], percent=percent, exact=True)}") for p in points]
    corners = " ".join(f"{x},{y}" for x, y, _ in dots)
    # Many dots would hide the line, so a long one has only its last.
    return Line(name, f"line-{index}", corners, tuple(dots if len(dots) <= 60 else dots[-1:]), tuple(points))


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high > low:
        return low, high
    margin = abs(low) / 2 or 0.5  # in proportion, or a constant rate of 0.01 would look like 0
    return low - margin, high + margin


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """About this many round numbers that enclose low and high, in steps of 1, 2 or 5 × a power of ten."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def format_number(value: float, *, percent: bool = False, exact: bool = False) -> str:
    """With the decimal mark of the reader's language."""
    if percent:
        words = f"{100 * value:.{1 if exact else 0}f}\u00a0%"
    else:
        words = f"{value:.4g}" if exact else f"{value:g}"
    return words.replace(".", str(get_format("DECIMAL_SEPARATOR")))
