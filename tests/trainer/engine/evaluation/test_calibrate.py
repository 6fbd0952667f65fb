"""Temperature and thresholds, chosen on photos whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from trainer.engine.evaluation import calibrate
from trainer.engine.evaluation.report import softmax

LABELS = ["cafe", "sky", "other"]


def overconfident(count: int = 4000, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is honest once they are divided by ``factor``."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (count, 3))
    true = np.array([rng.choice(3, p=row) for row in softmax(honest)])
    return honest * factor, true


def test_the_temperature_undoes_overconfidence() -> None:
    logits, true = overconfident(factor=3.0)
    assert calibrate.fit_temperature(logits, true) == pytest.approx(3.0, rel=0.1)


def test_no_other_temperature_has_less_log_loss() -> None:
    logits, true = overconfident(count=500)
    best = calibrate.fit_temperature(logits, true)
    least, colder, warmer = (log_loss(true, softmax(logits, best * by)) for by in (1, 0.999, 1.001))
    assert least < min(colder, warmer)


def test_the_temperature_stays_within_its_bounds() -> None:
    labels = np.arange(30) % 3
    assert calibrate.fit_temperature(np.eye(3)[labels], labels) == pytest.approx(0.2, abs=1e-6)
    assert calibrate.fit_temperature(np.eye(3)[labels], (labels + 1) % 3) == pytest.approx(10, abs=1e-4)


def test_thresholds_reach_the_target_on_new_photos() -> None:
    logits, true = overconfident()
    found = calibrate.cross_fitted(logits, true, LABELS, 0.9)
    assert found["precision"] == pytest.approx(0.9, abs=0.04)
    assert 0.05 < found["coverage"] < 0.6


def test_a_hashtag_that_is_never_right_is_never_suggested() -> None:
    sure = np.tile([0.97, 0.02, 0.01], (200, 1))
    thresholds = calibrate.choose_thresholds(sure, np.full(200, 2), LABELS, 0.9)
    assert thresholds["cafe"] == calibrate.NEVER
    assert (calibrate.suggestions(sure, LABELS, thresholds) == -1).all()


def test_a_rare_hashtag_follows_all_the_others() -> None:
    rows = np.array([[0.9, 0.1, 0.0]] * 300 + [[0.1, 0.9, 0.0]])
    thresholds = calibrate.choose_thresholds(rows, np.array([0] * 300 + [1]), LABELS, 0.9)
    assert thresholds["sky"] <= 0.9


def test_other_is_never_suggested() -> None:
    rows = np.array([[0.0, 0.1, 0.9]])
    assert calibrate.suggestions(rows, LABELS, {"cafe": 0.1, "sky": 0.1}).tolist() == [-1]
