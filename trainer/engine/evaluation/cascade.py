"""Two models as one: a fast one answers where it is sure, and an accurate one the rest.

The limits of being sure are chosen together, on held-out photos that both models have judged, so that the
whole keeps the accurate model's precision and nearly its coverage at the least cost. As in calibrate.py, the
figures in a manifest are cross-fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.classes import OTHER
from trainer.engine.evaluation.calibrate import (
    CROSS_FITTED,
    NEVER,
    Curves,
    answer_figures,
    by_hashtag,
    fit_temperature,
    split_halves,
    suggestions,
)
from trainer.engine.evaluation.report import softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SILENT = -1  # the answer for a photo that gets no hashtag
COVERAGE_KEPT = 0.98  # of the accurate model's coverage, at least
# What is tried: the precision that the fast model's own suggestions must reach, and the quantile of photos,
# by their likeliest hashtag's probability, below which it is sure that nothing can be suggested.
PRECISIONS = (*(round(0.85 + 0.01 * step, 2) for step in range(15)), 0.995, 2.0)  # 2: it never suggests
QUANTILES = tuple(round(0.05 * step, 2) for step in range(15))


@dataclass(frozen=True)
class Limits:
    """When the fast model is sure: its own thresholds by hashtag, and the probability of its likeliest
    hashtag below which it stays silent.
    """

    temperature: float
    thresholds: dict[str, float]
    silent_below: float


@dataclass(frozen=True)
class Judged:
    """Held-out photos as both models see them: logits (n, c) of each, true labels (n,)."""

    fast: Floats
    accurate: Floats
    true: Ints
    labels: Sequence[str]

    def part(self, which: NDArray[np.bool_]) -> Judged:
        return Judged(self.fast[which], self.accurate[which], self.true[which], self.labels)


def sure(probabilities: Floats, labels: Sequence[str], limits: Limits) -> tuple[NDArray[np.bool_], Ints]:
    """For the fast model's probabilities (n, c): where it is sure (n,), and its answers (n,)."""
    answers = suggestions(probabilities, labels, limits.thresholds)
    return (answers != SILENT) | (hashtag_peak(probabilities, labels) < limits.silent_below), answers


def hashtag_peak(probabilities: Floats, labels: Sequence[str]) -> Floats:
    """The probability of each photo's likeliest hashtag (n,)."""
    is_hashtag = np.array([label != OTHER for label in labels])
    peak: Floats = probabilities[:, is_hashtag].max(1)
    return peak


def choose_limits(judged: Judged, target: float) -> Limits:
    """The limits with the fewest photos left to the accurate model, among those that keep its precision and
    COVERAGE_KEPT of its coverage. Keeping only the target precision is too little: other photos miss it.
    """
    labels, true = judged.labels, judged.true
    accurate = _accurate_answers(judged, judged, target)
    precision_alone, coverage_alone = _precision_and_coverage(accurate, true)
    temperature = fit_temperature(judged.fast, true)
    probabilities = softmax(judged.fast, temperature)
    curves, peak = Curves(probabilities, true, labels), hashtag_peak(probabilities, labels)
    best = Limits(temperature, dict.fromkeys(curves.precision, NEVER), 0.0)
    most = 0.0
    for precision, quantile in product(PRECISIONS, QUANTILES):
        limits = Limits(temperature, curves.at(precision), float(np.quantile(peak, quantile)))
        is_sure, answers = sure(probabilities, labels, limits)
        if is_sure.mean() <= most:
            continue
        right, coverage = _precision_and_coverage(np.where(is_sure, answers, accurate), true)
        if right >= precision_alone and coverage >= COVERAGE_KEPT * coverage_alone:
            best, most = limits, float(is_sure.mean())
    return best


def cross_fit(judged: Judged, target: float, *, cost: float, seed: int = 0) -> dict[str, Any]:
    """The figures of calibrate.cross_fit, also of the accurate model alone; the share of photos with the same
    answer, the share that the accurate model was asked for, and the mean cost.

    The accurate model's cost is 1 and the fast one's ``cost``. Every photo is measured by limits that were
    chosen on the other half.
    """
    count = len(judged.true)
    whole, alone = np.full(count, SILENT), np.full(count, SILENT)
    asked = np.zeros(count, dtype=bool)
    for choose, measure in split_halves(count, seed):
        chosen, measured = judged.part(choose), judged.part(measure)
        limits = choose_limits(chosen, target)
        probabilities = softmax(measured.fast, limits.temperature)
        is_sure, answers = sure(probabilities, judged.labels, limits)
        alone[measure] = _accurate_answers(chosen, measured, target)
        whole[measure] = np.where(is_sure, answers, alone[measure])
        asked[measure] = ~is_sure
    return {
        "method": CROSS_FITTED,
        "photos": count,
        **answer_figures(whole, judged.true, judged.labels),
        "accurate_alone": answer_figures(alone, judged.true, judged.labels),
        "per_hashtag": by_hashtag(whole, judged.true, judged.labels),
        "same_answer": float((whole == alone).mean()),
        "asked": float(asked.mean()),
        "cost": float(cost + asked.mean()),
    }


def _accurate_answers(chosen: Judged, measured: Judged, target: float) -> Ints:
    """The accurate model's answers on photos ``measured``, its thresholds chosen on photos ``chosen``."""
    temperature = fit_temperature(chosen.accurate, chosen.true)
    thresholds = Curves(softmax(chosen.accurate, temperature), chosen.true, chosen.labels).at(target)
    return suggestions(softmax(measured.accurate, temperature), chosen.labels, thresholds)


def _precision_and_coverage(answers: Ints, true: Ints) -> tuple[float, float]:
    """Without any suggestion, precision counts as 1."""
    has_answer = answers != SILENT
    right = (answers == true)[has_answer]
    return float(right.mean()) if len(right) else 1.0, float(has_answer.mean())
