"""Scores of silence and their figures, against their definitions written out."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from trainer.engine.evaluation import silence

numbers = np.random.default_rng(3)
SCORE, WRONG = numbers.random(60), numbers.random(60) < 0.3


def by_hand(order: list[int], wrong: np.ndarray) -> tuple[float, float]:
    """AURC and AUGRC of photos in this order."""
    count, mistakes, risks, area = len(order), 0, 0.0, 0.0
    for place, at in enumerate(order, start=1):
        before, mistakes = mistakes, mistakes + int(wrong[at])
        risks += mistakes / place
        area += (before + mistakes) / 2 / count / count
    return risks / count, area


def test_both_areas_are_their_definitions() -> None:
    expected = by_hand(np.argsort(-SCORE).tolist(), WRONG)
    assert (silence.aurc(SCORE, WRONG), silence.augrc(SCORE, WRONG)) == pytest.approx(expected)


def test_the_generalised_area_is_traubs_formula() -> None:
    share, detects = WRONG.mean(), roc_auc_score(~WRONG, SCORE)
    expected = (1 - detects) * share * (1 - share) + share**2 / 2
    assert silence.augrc(SCORE, WRONG) == pytest.approx(expected)


def test_equal_scores_count_as_in_random_order() -> None:
    score, wrong = np.array([3, 2, 2, 2, 1.0]), np.array([0, 1, 0, 0, 1])
    orders = [by_hand([0, *middle, 4], wrong) for middle in permutations([1, 2, 3])]
    assert (silence.aurc(score, wrong), silence.augrc(score, wrong)) == pytest.approx(np.mean(orders, 0))


def test_no_photos_have_no_risk() -> None:
    assert silence.aurc(np.array([]), np.array([])) == silence.augrc(np.array([]), np.array([])) == 0.0


def test_silence_is_counted_at_the_coverage_of_photos_in_scope() -> None:
    score = np.array([0.9, 0.7, 0.5, 0.3, 0.8, 0.5, 0.4])
    outside = np.array([False] * 4 + [True] * 3)
    assert [silence.silent_share(score, share, outside) for share in (0.25, 0.5, 0.75, 1)] == [
        1,
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
        0,
    ]


def test_energy_and_margin() -> None:
    logits = np.array([[1.0, 2.0, 3.0]])
    assert silence.energy(logits) == pytest.approx(np.log(np.exp(logits).sum(1)))
    rows = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    assert silence.margin(rows, np.array([0, 1])) == pytest.approx([0.3, -0.2])
    assert rows[0, 0] == 0.6  # unchanged


def test_mahalanobis_is_the_distance_to_the_nearest_mean() -> None:
    known, labels = numbers.normal(size=(40, 3)), np.arange(40) % 2
    known[labels == 1] += 4
    photos = numbers.normal(size=(5, 3))
    means = [known[labels == at].mean(0) for at in (0, 1)]
    inner = np.concatenate([known[labels == at] - means[at] for at in (0, 1)])
    covariance = sum(np.outer(row, row) for row in inner) / 40
    shrunk = np.where(np.eye(3, dtype=bool), covariance, 0.9 * covariance)
    expected = [-min((p - m) @ np.linalg.solve(shrunk, p - m) for m in means) for p in photos]
    assert silence.mahalanobis(photos, known, labels) == pytest.approx(expected)


def test_neighbours_are_as_far_as_the_kth() -> None:
    known, photos = numbers.normal(size=(30, 4)), numbers.normal(size=(6, 4))
    unit = [row / np.linalg.norm(row) for row in known]
    expected = [-sorted(np.linalg.norm(p / np.linalg.norm(p) - row) for row in unit)[2] for p in photos]
    assert silence.neighbours(photos, known, k=3) == pytest.approx(expected)
    assert silence.neighbours(photos, known[:2], k=3) == pytest.approx(
        silence.neighbours(photos, known[:2], k=2)
    )
