"""Writes the results of a finished run: report.json and test_predictions.csv."""

from __future__ import annotations

import csv
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from formats.json_text import to_json
from formats.storage import replacing
from trainer.engine.evaluation import metrics, silence
from trainer.engine.photos.manifest import Photo


def softmax(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (n, c) of logits (n, c) divided by the temperature."""
    from scipy import special  # takes 0.2 s, which most commands do not need

    return np.asarray(special.softmax(np.asarray(logits, np.float64) / temperature, axis=1))


def build_report(
    logits: NDArray[Any], true: NDArray[Any], labels: Sequence[str], **facts: Any
) -> dict[str, Any]:
    """All figures on the test photos: logits (n, c), true (n,). ``facts`` (seconds, …) are added."""
    probabilities, true = softmax(logits), true.astype(np.int64)
    matrix = metrics.confusion(true, probabilities.argmax(1).astype(np.int64), len(labels))
    bins = metrics.reliability(probabilities, true)
    return {
        "labels": list(labels),
        "accuracy": metrics.accuracy(matrix),
        "balanced_accuracy": metrics.balanced_accuracy(matrix),
        "confusion": matrix.tolist(),
        "per_label": metrics.per_label(matrix, labels),
        "precision_at_coverage": metrics.precision_at_coverage(probabilities, true, labels),
        **silence_figures(probabilities, true, labels),
        "reliability": bins,
        "calibration_error": metrics.calibration_error(bins),
        "peak_memory_mb": round(peak_memory_mb()),
        **facts,
    }


def silence_figures(
    probabilities: NDArray[np.float64], true: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, float]:
    """AURC and AUGRC of the suggestions: each photo's likeliest hashtag, ranked by its probability."""
    candidate, confidence = metrics.best_hashtags(probabilities, labels)
    wrong = candidate != true
    return {"aurc": silence.aurc(confidence, wrong), "augrc": silence.augrc(confidence, wrong)}


def scene_costs(
    photos: Sequence[Photo], logits: NDArray[Any], labels: Sequence[str], most: int = 60
) -> list[dict[str, Any]]:
    """The scene classes whose test photos are most often predicted wrongly, and what they are mostly taken
    for.

    If nearly all photos of a class are taken for one other label, its mapping is often worth another look.
    """
    predictions: dict[str, Counter[str]] = {}
    label_of = {photo.scene_class: photo.label for photo in photos}
    for photo, best in zip(photos, logits.argmax(1), strict=True):
        predictions.setdefault(photo.scene_class, Counter())[labels[int(best)]] += 1
    rows: list[dict[str, Any]] = []
    for scene_class, answers in predictions.items():
        label = label_of[scene_class]
        wrong = Counter({name: count for name, count in answers.items() if name != label})
        if wrong:
            taken_for, count = wrong.most_common(1)[0]
            rows.append(
                {
                    "scene_class": scene_class,
                    "label": label,
                    "photos": answers.total(),
                    "wrong": wrong.total(),
                    "taken_for": taken_for,
                    "taken_for_count": count,
                }
            )
    rows.sort(key=lambda row: (-row["wrong"], row["scene_class"]))
    return rows[:most]


def both_accuracies(logits: NDArray[Any], true: NDArray[Any]) -> dict[str, float]:
    matrix = metrics.confusion(true.astype(np.int64), logits.argmax(1).astype(np.int64), logits.shape[1])
    return {"accuracy": metrics.accuracy(matrix), "balanced_accuracy": metrics.balanced_accuracy(matrix)}


def peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Raises NotFinite, naming the number, before anything is written; StorageFailure."""
    text = to_json(content, indent=1)
    _write(path, lambda file: file.write(text))


def write_predictions(
    path: Path, photos: Sequence[Photo], logits: NDArray[Any], labels: Sequence[str]
) -> None:
    """Write one row per test photo, in the split's order; ``probabilities`` and ``logits`` are JSON lists."""
    probabilities = softmax(logits)

    def rows(file: IO[str]) -> None:
        writer = csv.writer(file)
        writer.writerow(
            ["photo_id", "path", "scene_class", "true", "predicted", "confidence", "probabilities", "logits"]
        )
        for photo, row, raw in zip(photos, probabilities, logits, strict=True):
            best = int(row.argmax())
            writer.writerow(
                [
                    photo.photo_id,
                    photo.path,
                    photo.scene_class,
                    photo.label,
                    labels[best],
                    f"{row[best]:.6f}",
                    to_json([round(float(p), 6) for p in row]),
                    to_json([round(float(z), 4) for z in raw]),
                ]
            )

    _write(path, rows)


def _write(path: Path, write: Callable[[IO[str]], object]) -> None:
    """Write a temporary file and rename it, so that nobody reads half a file."""
    with replacing(path, newline="") as file:
        write(file)
