"""Thresholds with a promise: never missed more often than it says, and never without enough photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from trainer.engine.evaluation import promise
from trainer.engine.evaluation.calibrate import NEVER, calibrate, suggestions
from trainer.engine.evaluation.report import softmax

LABELS = ["cafe", "sky", "other"]


def photos(*parts: tuple[int, float, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 3) and true labels of parts (label, confidence, right, wrong)."""
    rows, true = [], []
    for label, confidence, right, wrong in parts:
        row = np.full(3, (1 - confidence) / 2)
        row[label] = confidence
        rows += [row] * (right + wrong)
        true += [label] * right + [(label + 1) % 3] * wrong
    return np.array(rows), np.array(true)


def chosen(*parts: tuple[int, float, int, int], kind: promise.Kind = "overall", target: float = 0.9) -> Any:
    return promise.choose_groups(*photos(*parts), LABELS, target=target, kind=kind)


def test_the_threshold_is_the_last_whose_exact_bound_reaches_the_target() -> None:
    (group,) = chosen((0, 0.9, 80, 1), (1, 0.8, 60, 4), (0, 0.7, 5, 5))
    assert (group.threshold, group.suggestions, group.wrong) == (pytest.approx(0.8), 145, 5)
    sure = binomtest(140, 145, alternative="greater").proportion_ci(0.95, method="exact").low
    less = binomtest(145, 155, alternative="greater").proportion_ci(0.95, method="exact").low
    assert less < 0.9 <= sure


def test_the_first_step_that_fails_ends_the_walk() -> None:
    parts = ((0, 0.9, 80, 1), (0, 0.8, 20, 10), (0, 0.7, 900, 0))
    (group,) = chosen(*parts[:1], (0, 0.8, 30, 0), parts[2])
    assert group.suggestions == 1011
    (group,) = chosen(*parts[:2], (0, 0.7, 200, 0))  # 300 suggestions with 11 mistakes would pass
    assert (group.suggestions, group.wrong) == (81, 1)


@pytest.mark.parametrize(("count", "says"), [(61, True), (60, False)])
def test_too_few_photos_promise_nothing(count: int, says: bool) -> None:
    (group,) = chosen((0, 0.9, count, 0))
    assert (group.threshold is not None) == says
    assert promise.fewest(0.9, 0.05) == 61
    assert binomtest(59, 61, alternative="greater").proportion_ci(0.95, method="exact").low > 0.9
    assert binomtest(58, 60, alternative="greater").proportion_ci(0.95, method="exact").low < 0.9


def test_a_label_of_other_is_no_suggestion() -> None:
    (group,) = chosen((0, 0.9, 80, 1), (2, 0.95, 0, 500))
    assert (group.suggestions, group.wrong) == (81, 1)


def test_each_hashtag_with_enough_photos_stands_for_itself() -> None:
    groups = chosen((0, 0.9, 300, 2), (1, 0.9, 100, 60), kind="each")
    assert [(group.hashtags, group.threshold is None) for group in groups] == [
        (("cafe",), False),
        (("sky",), True),
    ]
    (together,) = chosen((0, 0.9, 600, 2), (1, 0.8, 100, 20), kind="overall")
    assert together.suggestions == 722  # the good hashtag pays for the bad one


def test_hashtags_with_few_photos_share_a_threshold() -> None:
    labels = ["bar", "cafe", "sky", "other"]
    rows = np.array([[0.1, 0.8, 0.1, 0.0]] * 300 + [[0.7, 0.1, 0.2, 0.0]] * 50 + [[0.1, 0.2, 0.7, 0.0]] * 60)
    true = rows.argmax(1)
    groups = promise.choose_groups(rows, true, labels, target=0.9, kind="each")
    assert [group.hashtags for group in groups] == [("cafe",), ("bar", "sky")]
    assert groups[1].suggestions == 110
    groups = promise.choose_groups(rows[:350], true[:350], labels, target=0.9, kind="each")
    assert (groups[1].hashtags, groups[1].threshold) == (("bar", "sky"), None)  # 50 are too few even together


def test_groups_share_the_risk() -> None:
    """Thirteen mistakes of 206 pass at 5 %, but not at the 2.5 % of one of two groups."""
    alone = photos((0, 0.9, 193, 13))
    assert binomtest(193, 206, alternative="greater").proportion_ci(0.95, method="exact").low > 0.9
    (group,) = promise.choose_groups(*alone, LABELS, target=0.9, kind="overall")
    assert group.suggestions == 206
    groups = chosen((0, 0.9, 193, 13), (1, 0.9, 300, 0), kind="each")
    assert [group.threshold is None for group in groups] == [True, False]


def test_a_calibration_with_a_promise_takes_its_thresholds() -> None:
    probabilities, true = photos((0, 0.9, 300, 2), (1, 0.8, 10, 20))
    found = calibrate(np.log(probabilities), true, LABELS, 0.9, kind="each")
    assert found.thresholds["sky"] == NEVER
    said = suggestions(softmax(np.log(probabilities), found.temperature), LABELS, found.thresholds)
    assert (said >= 0).sum() == 302 == found.groups[0].suggestions
    assert calibrate(np.log(probabilities), true, LABELS, 0.9).groups == ()


def world(numbers: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Photos whose suggestions are right with their confidence's local precision: 0.98 down to 0.65."""
    label, depth = numbers.choice(2, count, p=[0.7, 0.3]), numbers.random(count)
    confidence = 1 - depth / 2 - 1e-6 * label
    probabilities = np.full((count, 3), 0.0)
    probabilities[:, 2] = 1 - confidence
    probabilities[np.arange(count), label] = confidence
    right = numbers.random(count) < 0.98 - 0.33 * depth
    return probabilities, np.where(right, label, 2)


@pytest.mark.parametrize(("kind", "count"), [("overall", 300), ("overall", 900), ("each", 900)])
def test_the_promise_is_missed_in_at_most_one_case_in_twenty(kind: promise.Kind, count: int) -> None:
    numbers, missed, spoke = np.random.default_rng(5), 0, 0
    for _ in range(200):
        groups = promise.choose_groups(*world(numbers, count), LABELS, target=0.9, kind=kind)
        thresholds = [group.threshold for group in groups if group.threshold is not None]
        spoke += bool(thresholds)
        missed += any(0.98 - 0.33 * (1 - threshold) < 0.9 - 1e-9 for threshold in thresholds)
    assert spoke > 15
    assert missed <= 0.05 * 200 + 4  # 4: a little more than one standard deviation
