"""Charts as files: a drawing (SVG) and its numbers (CSV). Figures 6 and 7 of the thesis are bar charts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string

from formats.table import guard
from mapping.models import OTHER

WIDTH, TOP, ROW = 640, 44, 22  # px
LETTER = 7.5  # px, of a label in 13 px
NUMBERS = 110  # px to the right of the bars


@dataclass(frozen=True)
class Figure:
    """template: of the SVG, with its context; rows: of the CSV, the headings first."""

    name: str  # of the file
    template: str
    context: dict[str, Any]
    rows: Sequence[Sequence[object]]

    def as_svg(self) -> str:
        return render_to_string(self.template, self.context)

    def as_csv(self) -> str:
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows(
            [guard(cell) if isinstance(cell, str) else cell for cell in row] for row in self.rows
        )
        return f"\ufeff{lines.getvalue()}"


def bar_figure(name: str, title: str, unit: str, rows: Iterable[tuple[str, int]]) -> Figure:
    """One horizontal bar per label, from a number of `unit`, in the order given."""
    rows = list(rows)
    most = max((number for _, number in rows), default=1) or 1
    left = 24 + LETTER * max((len(label) + 1 for label, _ in rows), default=0)
    bars = [
        {
            "label": label if label == OTHER else f"#{label}",
            "number": f"{number:,}",
            "y": str(TOP + ROW * at),
            "width": f"{number / most * (WIDTH - left - NUMBERS):.1f}",
        }
        for at, (label, number) in enumerate(rows)
    ]
    context = {
        "title": title,
        "bars": bars,
        "left": f"{left:g}",
        "width": str(WIDTH),
        "height": str(TOP + ROW * len(rows) + 12),
    }
    return Figure(name, "mapping/bars.svg", context, [("label", unit), *rows])
