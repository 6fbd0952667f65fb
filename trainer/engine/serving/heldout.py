"""A finished run's test photos, as its network judged them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from formats.texts import Text
from trainer.engine.errors import ExportError, NotANumberError

REPORT, PREDICTIONS = "report.json", "test_predictions.csv"  # of a finished run


def require_finished(run_dir: Path, *names: str) -> None:
    """Raises ExportError, which names the file that is missing, unless the run's folder has all of them."""
    for name in names:
        if not (run_dir / name).exists():
            raise ExportError(
                Text("the run %(run_dir)s has no %(name)s", run_dir=run_dir.name, name=name),
                hint=Text("Only a finished run can be exported."),
            )


def require_share(target_precision: float) -> None:
    """Raises ExportError if a target precision is no share."""
    if not 0 < target_precision < 1:
        raise ExportError(
            Text(
                "a target precision of %(target_precision)s is not between 0 and 1",
                target_precision=f"{target_precision:g}",
            )
        )


@dataclass(frozen=True)
class HeldOut:
    """A finished run's test photos, read from its test_predictions.csv: true (n,), logits (n, c)."""

    paths: list[str]
    true: NDArray[np.int64]
    logits: NDArray[np.float64]

    @classmethod
    def read(cls, file: Path, labels: Sequence[str]) -> HeldOut:
        with file.open(newline="", encoding="utf-8") as rows:
            table = list(csv.DictReader(rows))
        logits = np.array([json.loads(row["logits"]) for row in table], dtype=np.float64)
        if not np.isfinite(logits).all():
            raise NotANumberError(
                Text("%(file)s has logits that are no finite numbers", file=file.name),
                hint=Text("Train another run."),
            )
        true = np.array([labels.index(row["true"]) for row in table], dtype=np.int64)
        return cls([row["path"] for row in table], true, logits)
