"""When to speak: a temperature that makes confidences honest, and a threshold for every hashtag.

All from held-out photos, numpy alone. The figures that a manifest reports are cross-fitted: temperature and
thresholds are chosen on one half of the held-out photos and measured on the other half, and the other way
round; the ones that ship are chosen on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .report import softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = 1.01  # above any probability: this hashtag is never suggested
POOL_WEIGHT = 20.0  # how many photos' worth of opinion all hashtags together have about one of them
FEWEST = 5  # suggestions of all hashtags together that a threshold must rest on


@dataclass(frozen=True)
class Calibration:
    temperature: float
    thresholds: dict[str, float]  # by hashtag; NEVER where the target is out of reach


def fit_temperature(logits: NDArray[Any], true: Ints) -> float:
    """The temperature of least log-loss (Guo et al. 2017, "On calibration of modern neural networks")."""

    def loss(log_t: float) -> float:
        rows = softmax(logits, float(np.exp(log_t)))
        return float(-np.log(np.maximum(rows[np.arange(len(true)), true], 1e-12)).mean())

    low, high = np.log(0.2), np.log(10.0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def choose_thresholds(
    probabilities: Floats, true: Ints, labels: Sequence[str], target: float
) -> dict[str, float]:
    """The lowest threshold of every hashtag at which its suggestions reach the target precision.

    A suggestion is a hashtag that beats ``other`` and every other label. The precision of hashtag h at
    threshold t is shrunk towards that of all hashtags together at t,
        p(h, t) = (hits_h + m · p(all, t)) / (n_h + m),   m = POOL_WEIGHT,
    so a hashtag with few held-out photos follows the others and one with many follows itself. A hashtag
    whose p never reaches the target gets NEVER. (Estimating a proportion with a beta prior of weight m.)
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    spoken = np.array([label != "other" for label in labels])[predicted]
    predicted, confidence = predicted[spoken], confidence[spoken]
    right = (predicted == true[spoken]).astype(float)
    pooled = _pooled_precision(confidence, right)
    return {
        label: _threshold(confidence[predicted == at], right[predicted == at], pooled, target)
        for at, label in enumerate(labels)
        if label != "other"
    }


def _pooled_precision(confidence: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Thresholds in rising order, and the precision of all suggestions at or above each."""
    order = np.argsort(-confidence, kind="stable")
    precision = right[order].cumsum() / np.arange(1, len(order) + 1)
    enough = np.arange(1, len(order) + 1) >= min(FEWEST, len(order))
    return confidence[order][enough][::-1], precision[enough][::-1]


def _threshold(confidence: Floats, right: Floats, pooled: tuple[Floats, Floats], target: float) -> float:
    for threshold, together in zip(*pooled, strict=True):
        above = confidence >= threshold
        shrunk = (right[above].sum() + POOL_WEIGHT * together) / (above.sum() + POOL_WEIGHT)
        if shrunk >= target:
            return float(threshold)
    return NEVER


def calibrate(logits: NDArray[Any], true: Ints, labels: Sequence[str], target: float) -> Calibration:
    temperature = fit_temperature(logits, true)
    return Calibration(temperature, choose_thresholds(softmax(logits, temperature), true, labels, target))


def suggestions(probabilities: Floats, labels: Sequence[str], thresholds: dict[str, float]) -> Ints:
    """The label index suggested for every photo (n,), −1 where the model stays silent."""
    best = probabilities.argmax(1)
    limit = np.array([thresholds.get(label, NEVER) for label in labels])
    return np.where(probabilities.max(1) >= limit[best], best, -1).astype(np.int64)


def cross_fitted(
    logits: NDArray[Any], true: Ints, labels: Sequence[str], target: float, *, seed: int = 0
) -> dict[str, Any]:
    """Precision and coverage of suggestions on photos that had no say in their thresholds.

    Also the thesis's costly error: the share of truly ``other`` photos that get a hashtag.
    """
    half = np.random.default_rng(seed).permutation(len(true)) % 2 == 0
    spoken = np.full(len(true), -1, dtype=np.int64)
    for choose, measure in ((half, ~half), (~half, half)):
        fitted = calibrate(logits[choose], true[choose], labels, target)
        spoken[measure] = suggestions(softmax(logits[measure], fitted.temperature), labels, fitted.thresholds)
    said = spoken >= 0
    other = true == (list(labels).index("other") if "other" in labels else -2)
    return {
        "method": "cross-fitted: thresholds chosen on one half of the held-out photos, measured on "
        "the other, and the other way round; the shipped ones are chosen on all of them",
        "photos": len(true),
        "coverage": float(said.mean()) if len(true) else 0.0,
        "precision": float((spoken == true)[said].mean()) if said.any() else None,
        "tagged_other": float(said[other].mean()) if other.any() else None,
        "per_hashtag": [
            {
                "hashtag": label,
                "suggested": int((spoken == at).sum()),
                "precision": float((true[spoken == at] == at).mean()) if (spoken == at).any() else None,
            }
            for at, label in enumerate(labels)
            if label != "other"
        ],
    }
