"""Temperature and thresholds, chosen on photos whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from trainer.engine.evaluation import calibrate
from trainer.engine.evaluation.report import softmax

LABELS = ["cafe", "sky", "other"]


def overconfident(count: int = 4000, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is calibrated once they are divided by ``factor``."""
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
    figures = calibrate.cross_fit(logits, true, LABELS, 0.9)
    assert figures["precision"] == pytest.approx(0.9, abs=0.04)
    assert 0.05 < figures["coverage"] < 0.6


def test_least_thresholds_raise_a_promise_and_count_it_anew() -> None:
    logits, true = overconfident()
    (plain,) = calibrate.calibrate(logits, true, LABELS, 0.7, kind="overall").groups
    assert plain.threshold is not None
    for least, count in ((plain.threshold - 0.1, plain.suggestions), (plain.threshold + 0.02, None)):
        raised = calibrate.calibrate(
            logits, true, LABELS, 0.7, kind="overall", least=dict.fromkeys(LABELS, least)
        )
        (group,) = raised.groups
        answers = calibrate.suggestions(softmax(logits, raised.temperature), LABELS, raised.thresholds)
        assert group.threshold == max(plain.threshold, least) == raised.thresholds["cafe"]
        assert group.suggestions == (answers >= 0).sum() <= plain.suggestions
        assert group.wrong == ((answers >= 0) & (answers != true)).sum()
        assert count in (None, group.suggestions)
    never = dict.fromkeys(LABELS, calibrate.NEVER)
    (silent,) = calibrate.calibrate(logits, true, LABELS, 0.7, kind="overall", least=never).groups
    assert (silent.threshold, silent.suggestions) == (None, 0)


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


def guesses(count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Higher probabilities are right more often; a third are of "other"."""
    rng = np.random.default_rng(1)
    probabilities = softmax(rng.normal(0, 2, (count, 3)))
    true = np.array([rng.choice(3, p=row) for row in probabilities])
    return probabilities, true


def precision_by_hand(probabilities: np.ndarray, true: np.ndarray) -> dict[str, list[tuple[float, float]]]:
    """(threshold, precision) of each hashtag, photo by photo, by the formula of Curves."""
    rows = [
        (row[row.argmax()], LABELS[row.argmax()], row.argmax() == at)
        for row, at in zip(probabilities, true, strict=True)
        if LABELS[row.argmax()] != "other"
    ]
    curves: dict[str, list[tuple[float, float]]] = {"cafe": [], "sky": []}
    for threshold in sorted(confidence for confidence, _, _ in rows):
        suggestions = [row for row in rows if row[0] >= threshold]
        if len(suggestions) < min(5, len(rows)):
            continue
        pooled = sum(right for *_, right in suggestions) / len(suggestions)
        for label, curve in curves.items():
            own = [right for _, name, right in suggestions if name == label]
            curve.append((threshold, (sum(own) + 20 * pooled) / (len(own) + 20)))
    return curves


@pytest.mark.parametrize("count", [120, 4])
def test_precision_at_every_threshold_is_the_formula(count: int) -> None:
    probabilities, true = guesses(count)
    curves = calibrate.Curves(probabilities, true, LABELS)
    for label, curve in precision_by_hand(probabilities, true).items():
        assert curves.thresholds == pytest.approx([threshold for threshold, _ in curve])
        assert curves.precision[label] == pytest.approx([precision for _, precision in curve])


def test_the_threshold_is_the_lowest_that_reaches_the_target() -> None:
    probabilities, true = guesses()
    curves = calibrate.Curves(probabilities, true, LABELS)
    for label, precision in curves.precision.items():
        for target in (*precision, precision.max() + 1e-9):  # also by exactly the required amount
            enough = [t for t, p in zip(curves.thresholds, precision, strict=True) if p >= target]
            assert curves.at(target)[label] == (min(enough) if enough else 1.01)


def test_a_hashtag_is_suggested_from_its_threshold_on() -> None:
    rows = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.7, 0.2]])
    assert calibrate.suggestions(rows, LABELS, {"cafe": 0.6}).tolist() == [0, -1, -1]


@pytest.fixture
def half() -> np.ndarray:
    """Which photos of 300 are in the first half."""
    half: np.ndarray = np.random.default_rng(0).permutation(300) % 2 == 0
    return half


def test_each_half_is_measured_with_what_was_chosen_on_the_other(half: np.ndarray) -> None:
    logits, true = overconfident(300)
    answers = np.empty(300, int)
    for choose, measure in ((half, ~half), (~half, half)):
        calibration = calibrate.calibrate(logits[choose], true[choose], LABELS, 0.8)
        probabilities = softmax(logits[measure], calibration.temperature)
        answers[measure] = calibrate.suggestions(probabilities, LABELS, calibration.thresholds)
    figures = calibrate.cross_fit(logits, true, LABELS, 0.8)
    assert figures["photos"] == 300
    assert figures["coverage"] == np.mean(answers >= 0)
    assert figures["precision"] == np.mean(true[answers >= 0] == answers[answers >= 0])
    assert figures["tagged_other"] == np.mean(answers[true == 2] >= 0)
    assert figures["per_hashtag"] == [
        {
            "hashtag": label,
            "suggested": np.sum(answers == at),
            "precision": np.mean(true[answers == at] == at),
        }
        for at, label in enumerate(("cafe", "sky"))
    ]
    assert calibrate.cross_fit(logits, true, LABELS, 0.8, seed=1) != figures


def test_every_target_has_the_figures_that_a_choice_of_it_would_get() -> None:
    logits, true = overconfident(300)
    rows = calibrate.targets(logits, true, LABELS)
    assert [row["target"] for row in rows] == [percent / 100 for percent in range(50, 100)]
    for row in rows[::7]:
        figures = calibrate.cross_fit(logits, true, LABELS, row["target"])
        for name in ("coverage", "precision", "tagged_other"):
            assert row[name] == figures[name], (row["target"], name)
        assert row["thresholds"] == calibrate.calibrate(logits, true, LABELS, row["target"]).thresholds


def test_a_model_without_suggestions_has_no_precision() -> None:
    logits, true = overconfident(60)
    figures = calibrate.cross_fit(logits, np.full(60, 2), LABELS, 0.9)
    assert (figures["coverage"], figures["precision"], figures["tagged_other"]) == (0.0, None, 0.0)
    assert [row["precision"] for row in figures["per_hashtag"]] == [None, None]
    only_sky = calibrate.cross_fit(np.tile([0.0, 5.0, 0.0], (60, 1)), np.full(60, 1), LABELS, 0.9)
    assert [row["precision"] for row in only_sky["per_hashtag"]] == [None, 1.0]
    without_other = calibrate.cross_fit(logits, true, ["cafe", "sky", "pub"], 0.5)
    assert without_other["tagged_other"] is None
    assert without_other["coverage"] > 0


def test_the_share_out_of_scope_that_gets_a_hashtag_is_measured() -> None:
    logits, true = overconfident(300)
    outside = np.arange(300) < 60
    true[outside] = 2
    rows = calibrate.targets(logits, true, LABELS, outside=outside)
    only_they = calibrate.targets(logits, true, LABELS, outside=true == 2)
    assert all(0 <= row["tagged_outside"] <= 1 for row in rows)
    assert rows[0]["tagged_outside"] > rows[45]["tagged_outside"]
    assert [row["tagged_outside"] for row in only_they] == [row["tagged_other"] for row in rows]
    assert "tagged_outside" not in calibrate.targets(logits, true, LABELS, outside=np.zeros(300, bool))[0]
