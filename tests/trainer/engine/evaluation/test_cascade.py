"""Two models as one: what the fast one may answer, and that the whole is as good as the accurate one."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.engine.evaluation.calibrate import NEVER, fit_temperature, split_halves
from trainer.engine.evaluation.cascade import Judged, choose_limits, cross_fit, sure
from trainer.engine.evaluation.report import softmax

LABELS = ["art", "bar", "other"]


def judged(*, fast_skill: float, count: int = 2000) -> Judged:
    """Photos that the accurate model gets right mostly, and the fast one by its skill: 0 knows nothing."""
    rng = np.random.default_rng(0)
    true = rng.choice(3, count, p=[0.3, 0.3, 0.4])
    ease = rng.exponential(1, count)[:, None]  # some photos are easy for both
    signal = np.eye(3)[true] * ease
    noise = rng.normal(size=(2, count, 3))
    return Judged(fast_skill * 4 * signal + noise[0], 5 * signal + noise[1], true, LABELS)


def test_a_skilled_fast_model_answers_most_photos_at_the_same_precision() -> None:
    figures = cross_fit(judged(fast_skill=0.8), 0.9, cost=0.1)
    assert figures["asked"] < 0.5
    assert figures["cost"] == pytest.approx(0.1 + figures["asked"])
    assert figures["precision"] > 0.88
    assert figures["coverage"] > 0.95 * figures["accurate_alone"]["coverage"]
    assert figures["same_answer"] > 0.85


def test_a_fast_model_that_knows_nothing_answers_next_to_nothing() -> None:
    figures = cross_fit(judged(fast_skill=0.0), 0.9, cost=0.1)
    assert figures["asked"] > 0.9
    assert figures["precision"] > 0.88


def test_no_photo_is_measured_by_limits_that_it_chose() -> None:
    """Where the fast model is sure of wrong labels it gets the limits of the half where it is good."""
    good = judged(fast_skill=0.8)
    half, _ = split_halves(len(good.true), 0)[0]
    fast = np.where(half[:, None], good.fast, np.roll(good.fast, 1, axis=1))
    figures = cross_fit(Judged(fast, good.accurate, good.true, LABELS), 0.9, cost=0.1)
    assert figures["precision"] < figures["accurate_alone"]["precision"] - 0.1


def test_on_the_photos_that_chose_them_limits_keep_what_they_promise() -> None:
    photos = judged(fast_skill=0.6)
    limits = choose_limits(photos, 0.9)
    assert limits.temperature == fit_temperature(photos.fast, photos.true)
    is_sure, answers = sure(softmax(photos.fast, limits.temperature), LABELS, limits)
    assert 0.2 < is_sure.mean() < 1
    suggested = is_sure & (answers >= 0)
    assert (answers[suggested] != LABELS.index("other")).all()
    assert (answers == photos.true)[suggested].mean() > 0.85
    assert limits.thresholds.keys() == {"art", "bar"}
    assert all(0 < value <= NEVER for value in limits.thresholds.values())
