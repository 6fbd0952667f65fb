"""A finished run's results as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from formats.json_text import to_json
from formats.table import guard
from trainer.models import TrainingRun


def read(run: TrainingRun, name: str) -> str | None:
    """The content of "report.json", "predictions.csv" or "confusion.csv"; None for another name, and for a
    run without a report."""
    report = run.report
    if "confusion" not in report:
        return None
    if name == "report.json":
        return to_json(report)
    if name == "predictions.csv":
        return _to_csv(_predictions(run))
    if name == "confusion.csv":
        rows = zip(report["labels"], report["confusion"], strict=True)
        return _to_csv([["true \\ predicted", *report["labels"]], *([label, *row] for label, row in rows)])
    return None


def _predictions(run: TrainingRun) -> Iterable[Sequence[object]]:
    yield ["photo", "true", "predicted", "confidence"]
    rows = run.held_out.values_list("photo__path", "true", "predicted", "confidence")
    yield from rows.order_by("photo__path").iterator()


def _to_csv(rows: Iterable[Sequence[object]]) -> str:
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(
        [guard(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return f"\ufeff{lines.getvalue()}"
