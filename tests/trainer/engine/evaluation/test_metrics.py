"""Figures compared with values computed by hand and with scikit-learn's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.engine.evaluation import metrics

TRUE = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 2, 2, 2])
MATRIX = metrics.confusion(TRUE, PREDICTED, 3)


def test_confusion_has_true_rows() -> None:
    assert MATRIX.tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 2]]


def test_accuracy_counts_photos_and_balanced_counts_labels() -> None:
    assert metrics.accuracy(MATRIX) == 6 / 8
    assert metrics.balanced_accuracy(MATRIX) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)


def test_balanced_accuracy_leaves_out_labels_without_photos() -> None:
    assert metrics.balanced_accuracy(np.array([[2, 0], [0, 0]])) == 1.0


def test_per_label() -> None:
    rows = metrics.per_label(MATRIX, ["a", "b", "c"])
    assert rows[0] == {"label": "a", "photos": 4, "recall": 3 / 4, "precision": 1.0, "f1": 6 / 7}
    assert rows[2]["precision"] == pytest.approx(2 / 3)


def test_a_label_never_seen_nor_predicted_has_no_figures() -> None:
    row = metrics.per_label(np.array([[1, 0], [0, 0]]), ["a", "b"])[1]
    assert (row["recall"], row["precision"], row["f1"]) == (None, None, None)


def test_precision_at_coverage_ranks_hashtags_and_never_suggests_other() -> None:
    labels = ["cafe", "sky", "other"]
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.1, 0.6], [0.1, 0.0, 0.9]])
    true = np.array([0, 0, 0, 2])
    rows = metrics.precision_at_coverage(probabilities, true, labels, (0.25, 0.5, 0.75, 1.0))
    # by confidence: cafe right, sky wrong, cafe (below other, still the best hashtag) right, cafe wrong
    assert [row["precision"] for row in rows] == [1.0, 0.5, pytest.approx(2 / 3), 0.5]


def test_reliability_compares_confidence_with_accuracy() -> None:
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.0, 1.0]])
    bins = metrics.reliability(probabilities, np.array([0, 1, 1, 1]))
    assert [(row["photos"], row["accuracy"]) for row in bins] == [(1, 1.0), (3, pytest.approx(2 / 3))]
    gap = (1 * abs(0.65 - 1) + 3 * abs((0.95 + 0.95 + 1) / 3 - 2 / 3)) / 4
    assert metrics.calibration_error(bins) == pytest.approx(gap)


@pytest.fixture(scope="module")
def theirs() -> Any:
    """scikit-learn's metrics. Importing them takes a second, which no other test should pay."""
    from sklearn import metrics

    return metrics


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_both_accuracies_are_scikit_learns(theirs: Any, pairs: list[tuple[int, int]]) -> None:
    true, prediction = np.array(pairs).T
    matrix = metrics.confusion(true, prediction, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about labels that occur only in predictions
        balanced = theirs.balanced_accuracy_score(true, prediction)
    assert metrics.accuracy(matrix) == pytest.approx(theirs.accuracy_score(true, prediction), abs=1e-12)
    assert metrics.balanced_accuracy(matrix) == pytest.approx(balanced, abs=1e-12)
