"""Decides when a model suggests: a temperature that calibrates its confidences, and a threshold per hashtag.

Thresholds are estimates (Curves), or come with a promise (promise.py).

Both come from held-out photos. The figures in a manifest are cross-fitted: temperature and thresholds are
chosen on one half of the held-out photos and measured on the other half, and the other way round. The
temperature and thresholds of the exported model are chosen on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.classes import OTHER
from trainer.engine.evaluation import promise
from trainer.engine.evaluation.promise import Group
from trainer.engine.evaluation.report import softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Halves = NDArray[np.bool_]

COLDEST, WARMEST = 0.2, 10.0  # temperatures to choose from
CROSS_FITTED = (  # what a manifest says of its held-out figures
    "cross-fitted: thresholds chosen on one half of the held-out photos, measured on the other, and the "
    "other way round; the shipped ones are chosen on all of them"
)
NEVER = 1.01  # above any probability: this hashtag is never suggested
NO_LEAST: Mapping[str, float] = MappingProxyType({})
POOL_WEIGHT = 20.0  # weight of the precision of all hashtags in that of one hashtag, in photos
FEWEST = 5  # suggestions of all hashtags together that a threshold must rest on, at least


@dataclass(frozen=True)
class Calibration:
    temperature: float
    thresholds: dict[str, float]  # by hashtag; NEVER if the target is out of reach
    groups: tuple[Group, ...] = ()  # of hashtags, if the thresholds come with a promise


def fit_temperature(logits: NDArray[Any], true: Ints) -> float:
    """The temperature with the least log-loss for logits (n, c) and true labels (n,).

    Guo et al. 2017, "On calibration of modern neural networks".
    """
    from scipy.optimize import minimize_scalar  # takes 0.4 s, and only an export needs it
    from scipy.special import log_softmax

    scores, photos = np.asarray(logits, np.float64), np.arange(len(true))

    def loss(log_t: float) -> float:
        return float(-log_softmax(scores / np.exp(log_t), axis=1)[photos, true].mean())

    bounds = (np.log(COLDEST), np.log(WARMEST))
    least = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(np.exp(least.x))


class Curves:
    """The precision of each hashtag's suggestions at or above each threshold.

    A suggestion is a hashtag that beats ``other`` and every other label. The precision of hashtag h at
    threshold t is shrunk towards that of all hashtags together at t,
        p(h, t) = (hits_h + m · p(all, t)) / (n_h + m),   m = POOL_WEIGHT,
    so a hashtag with few held-out photos follows the others, and one with many follows itself. This is the
    estimate of a proportion with a beta prior of weight m.
    """

    def __init__(self, probabilities: Floats, true: Ints, labels: Sequence[str]) -> None:
        prediction, confidence = probabilities.argmax(1), probabilities.max(1)
        is_hashtag = np.array([label != OTHER for label in labels])[prediction]
        prediction, confidence = prediction[is_hashtag], confidence[is_hashtag]
        right = (prediction == true[is_hashtag]).astype(float)
        self.thresholds, pooled = pooled_precision(confidence, right)
        self.precision = {
            label: shrink(confidence[prediction == at], right[prediction == at], self.thresholds, pooled)
            for at, label in enumerate(labels)
            if label != OTHER
        }

    def at(self, target: float) -> dict[str, float]:
        """For each hashtag, the lowest threshold that reaches the target precision; NEVER if none does."""
        thresholds = {}
        for label, precision in self.precision.items():
            places = np.flatnonzero(precision >= target)
            thresholds[label] = float(self.thresholds[places[0]]) if len(places) else NEVER
        return thresholds


def choose_thresholds(
    probabilities: Floats, true: Ints, labels: Sequence[str], target: float
) -> dict[str, float]:
    """For each hashtag, the lowest threshold that reaches the target precision: see Curves."""
    return Curves(probabilities, true, labels).at(target)


def pooled_precision(confidence: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Thresholds in rising order, and the precision of all suggestions at or above each."""
    order = np.argsort(-confidence, kind="stable")
    precision = right[order].cumsum() / np.arange(1, len(order) + 1)
    enough = np.arange(1, len(order) + 1) >= min(FEWEST, len(order))
    return confidence[order][enough][::-1], precision[enough][::-1]


def shrink(confidence: Floats, right: Floats, thresholds: Floats, pooled: Floats) -> Floats:
    """p(h, t) of one hashtag's suggestions for each threshold (t,): see Curves."""
    order = np.argsort(confidence, kind="stable")
    below = np.searchsorted(confidence[order], thresholds, side="left")
    hits_below = np.concatenate([[0.0], right[order].cumsum()])[below]
    count, hits = len(right) - below, right.sum() - hits_below
    precision: Floats = (hits + POOL_WEIGHT * pooled) / (count + POOL_WEIGHT)
    return precision


def calibrate(
    logits: NDArray[Any],
    true: Ints,
    labels: Sequence[str],
    target: float,
    *,
    kind: promise.Kind = "none",
    least: Mapping[str, float] = NO_LEAST,
) -> Calibration:
    """Temperature and thresholds for logits (n, c) and true labels (n,), with the promise of this kind. None
    is below ``least``, which are the same for all hashtags of a group with a promise.
    """
    temperature = fit_temperature(logits, true)
    probabilities = softmax(logits, temperature)
    if kind == "none":
        chosen = choose_thresholds(probabilities, true, labels, target)
        return Calibration(temperature, _raise(chosen, least))
    groups = promise.choose_groups(probabilities, true, labels, target=target, kind=kind)
    chosen = {
        label: NEVER if group.threshold is None else group.threshold
        for group in groups
        for label in group.hashtags
    }
    thresholds = _raise(chosen, least)
    if thresholds != chosen:
        groups = [_count(group, thresholds, probabilities, true, labels) for group in groups]
    return Calibration(temperature, thresholds, tuple(groups))


def _raise(thresholds: dict[str, float], least: Mapping[str, float]) -> dict[str, float]:
    return {label: max(threshold, least.get(label, 0.0)) for label, threshold in thresholds.items()}


def _count(
    group: Group, thresholds: dict[str, float], probabilities: Floats, true: Ints, labels: Sequence[str]
) -> Group:
    """The group with raised thresholds. What passed the test at a lower one passed it at all above it."""
    inside = {label: threshold for label, threshold in thresholds.items() if label in group.hashtags}
    answers = suggestions(probabilities, labels, inside)
    threshold = min(inside.values())
    count = int((answers >= 0).sum())
    wrong = count - int((answers == true)[answers >= 0].sum())
    return replace(group, threshold=threshold if threshold <= 1 else None, suggestions=count, wrong=wrong)


def suggestions(probabilities: Floats, labels: Sequence[str], thresholds: dict[str, float]) -> Ints:
    """The index of the label suggested for each photo (n,); −1 if the model stays silent."""
    best = probabilities.argmax(1)
    limit = np.array([thresholds.get(label, NEVER) for label in labels])
    return np.where(probabilities.max(1) >= limit[best], best, -1).astype(np.int64)


def split_halves(count: int, seed: int) -> tuple[tuple[Halves, Halves], tuple[Halves, Halves]]:
    """Masks (n,) of photos to choose on and to measure on: two random halves, and the other way round."""
    half = np.random.default_rng(seed).permutation(count) % 2 == 0
    return (half, ~half), (~half, half)


def targets(
    logits: NDArray[Any],
    true: Ints,
    labels: Sequence[str],
    *,
    outside: Halves | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """For target precisions from 50 to 99 %: thresholds chosen on all photos, and cross-fitted figures.

    ``outside`` (n,) marks photos out of scope; ``tagged_outside`` is the share of them that get a hashtag.
    """
    whole = Curves(softmax(logits, fit_temperature(logits, true)), true, labels)
    halves = []
    for choose, measure in split_halves(len(true), seed):
        temperature = fit_temperature(logits[choose], true[choose])
        curves = Curves(softmax(logits[choose], temperature), true[choose], labels)
        halves.append((curves, softmax(logits[measure], temperature), measure))
    rows = []
    for percent in range(50, 100):
        answers = np.full(len(true), -1, dtype=np.int64)
        for curves, probabilities, measure in halves:
            answers[measure] = suggestions(probabilities, labels, curves.at(percent / 100))
        figures = answer_figures(answers, true, labels)
        if outside is not None and outside.any():
            figures["tagged_outside"] = float((answers[outside] >= 0).mean())
        rows.append({"target": percent / 100, "thresholds": whole.at(percent / 100), **figures})
    return rows


def answer_figures(answers: Ints, true: Ints, labels: Sequence[str]) -> dict[str, Any]:
    """Coverage, precision, and the thesis's costly error: truly ``other`` photos that get a hashtag."""
    has_answer = answers >= 0
    other = true == (list(labels).index(OTHER) if OTHER in labels else -2)
    return {
        "coverage": float(has_answer.mean()) if len(true) else 0.0,
        "precision": float((answers == true)[has_answer].mean()) if has_answer.any() else None,
        "tagged_other": float(has_answer[other].mean()) if other.any() else None,
    }


def by_hashtag(answers: Ints, true: Ints, labels: Sequence[str]) -> list[dict[str, Any]]:
    """For each hashtag, for how many photos it is the answer, and the share of these that is right."""
    return [
        {
            "hashtag": label,
            "suggested": int((answers == at).sum()),
            "precision": float((true[answers == at] == at).mean()) if (answers == at).any() else None,
        }
        for at, label in enumerate(labels)
        if label != OTHER
    ]


def cross_fit(
    logits: NDArray[Any],
    true: Ints,
    labels: Sequence[str],
    target: float,
    *,
    kind: promise.Kind = "none",
    least: Mapping[str, float] = NO_LEAST,
    seed: int = 0,
) -> dict[str, Any]:
    """Precision and coverage of suggestions, on photos that did not influence their thresholds.

    Also the thesis's costly error: the share of truly ``other`` photos that get a hashtag.
    """
    answers = np.full(len(true), -1, dtype=np.int64)
    for choose, measure in split_halves(len(true), seed):
        half = calibrate(logits[choose], true[choose], labels, target, kind=kind, least=least)
        answers[measure] = suggestions(softmax(logits[measure], half.temperature), labels, half.thresholds)
    return {
        "method": CROSS_FITTED,
        "photos": len(true),
        **answer_figures(answers, true, labels),
        "per_hashtag": by_hashtag(answers, true, labels),
    }
