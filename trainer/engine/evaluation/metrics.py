"""Figures of a classifier for n photos and c labels, in numpy alone.

sklearn.metrics would take a second and 100 MB to import; the tests compare these functions with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.classes import OTHER

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def confusion(true: Ints, predicted: Ints, count: int) -> Ints:
    """(count, count) counts: row = true label, column = predicted label."""
    flat = np.bincount(true * count + predicted, minlength=count * count)
    return flat.reshape(count, count).astype(np.int64)


def accuracy(matrix: Ints) -> float:
    """Share of photos predicted right (the thesis's eq. 12)."""
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def balanced_accuracy(matrix: Ints) -> float:
    """Mean recall over the labels that have photos (the thesis's "weighted accuracy", eq. 13)."""
    photos = matrix.sum(1)
    has_photos = photos > 0
    return float((np.diag(matrix)[has_photos] / photos[has_photos]).mean()) if has_photos.any() else 0.0


def per_label(matrix: Ints, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Photos, recall, precision and F1 of each label; None if the denominator is zero."""
    rows = []
    for at, label in enumerate(labels):
        hits, photos, predictions = (int(x) for x in (matrix[at, at], matrix[at].sum(), matrix[:, at].sum()))
        rows.append(
            {
                "label": label,
                "photos": photos,
                "recall": hits / photos if photos else None,
                "precision": hits / predictions if predictions else None,
                "f1": 2 * hits / (photos + predictions) if photos + predictions else None,
            }
        )
    return rows


def best_hashtags(probabilities: Floats, labels: Sequence[str]) -> tuple[Ints, Floats]:
    """For each photo its most probable hashtag (never ``other``) and its probability: (n,), (n,)."""
    of_hashtags = probabilities.copy()
    if OTHER in labels:
        of_hashtags[:, list(labels).index(OTHER)] = -1.0
    best = of_hashtags.argmax(1)
    return best.astype(np.int64), of_hashtags[np.arange(len(of_hashtags)), best]


def precision_at_coverage(
    probabilities: Floats, true: Ints, labels: Sequence[str], coverages: Sequence[float] = COVERAGES
) -> list[dict[str, float]]:
    """How often a suggestion is right if only a share of all photos gets one.

    The candidate of a photo is its most probable hashtag (not ``other``). The photos are ranked by that
    probability, and the first ⌈coverage × n⌉ get their suggestion. Precision is the share of these whose
    candidate is the true label, so a photo that is truly ``other`` always counts as wrong.
    """
    if not len(true):
        return []
    candidate, confidence = best_hashtags(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    right = (candidate == true)[order]
    points = []
    for coverage in coverages:
        count = int(np.ceil(coverage * len(true) - 1e-9))
        points.append({"coverage": float(coverage), "precision": float(right[:count].mean())})
    return points


def reliability(probabilities: Floats, true: Ints, bins: int = 10) -> list[dict[str, float]]:
    """Mean confidence and accuracy in bins of equal width of the top label's probability; no empty bins."""
    if not len(true):
        return []
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "from": at / bins,
            "to": (at + 1) / bins,
            "photos": int((place == at).sum()),
            "confidence": float(confidence[place == at].mean()),
            "accuracy": float(right[place == at].mean()),
        }
        for at in range(bins)
        if (place == at).any()
    ]


def calibration_error(bins: Sequence[dict[str, float]]) -> float:
    """Expected calibration error: mean gap between confidence and accuracy, weighted by photos."""
    photos = sum(row["photos"] for row in bins)
    gap = sum(row["photos"] * abs(row["confidence"] - row["accuracy"]) for row in bins)
    return float(gap / photos) if photos else 0.0
