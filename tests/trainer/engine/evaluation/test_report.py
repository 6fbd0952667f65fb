"""What a report says beyond accuracy: the costliest scene classes, and the coverage at target precisions."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.engine.evaluation.calibrate import cross_fit, targets
from trainer.engine.evaluation.report import build_report, scene_costs
from trainer.engine.photos.manifest import Photo

LABELS = ["street", "water", "other"]


def photo(scene_class: str, label: str) -> Photo:
    return Photo("1", "1.jpg", label, scene_class)


def said(*answers: int) -> np.ndarray:
    return np.eye(3)[list(answers)] * 5


def test_the_costliest_scene_class_comes_first() -> None:
    photos = (
        [photo("a/alley", "street")] * 2 + [photo("c/canal", "water")] * 4 + [photo("d/dock", "water")] * 2
    )
    rows = scene_costs(photos, said(0, 2, 0, 0, 2, 1, 1, 1), LABELS)
    assert rows == [
        {
            "scene_class": "c/canal",
            "label": "water",
            "photos": 4,
            "wrong": 3,
            "taken_for": "street",
            "taken_for_count": 2,
        },
        {
            "scene_class": "a/alley",
            "label": "street",
            "photos": 2,
            "wrong": 1,
            "taken_for": "other",
            "taken_for_count": 1,
        },
    ]  # the dock costs nothing
    assert len(scene_costs(photos, said(0, 2, 0, 0, 2, 1, 1, 1), LABELS, most=1)) == 1


def noisy(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    true = random.integers(0, 3, count)
    return np.eye(3)[true] * 2 + random.normal(size=(count, 3)), true


def test_a_higher_target_suggests_less_and_is_right_more_often() -> None:
    rows = targets(*noisy(2000), LABELS)
    assert [row["target"] for row in rows] == [percent / 100 for percent in range(50, 100)]
    assert set(rows[0]["thresholds"]) <= {"street", "water"}
    low, high = rows[30], rows[45]  # 80 % and 95 %
    assert high["coverage"] < low["coverage"]
    assert high["precision"] == pytest.approx(0.95, abs=0.03)
    assert high["tagged_other"] < low["tagged_other"]


def test_targets_are_cross_fitted_as_an_export_is() -> None:
    logits, true = noisy(600)
    row = targets(logits, true, LABELS)[40]
    figures = cross_fit(logits, true, LABELS, row["target"])
    assert {name: row[name] for name in ("coverage", "precision", "tagged_other")} == pytest.approx(
        {name: figures[name] for name in ("coverage", "precision", "tagged_other")}
    )


def test_the_silence_figures_rank_the_likeliest_hashtag() -> None:
    logits = np.array([[3.0, 0, 0], [0, 2.0, 0], [0, 1.0, 5.0]])  # the last one would call other water
    report = build_report(logits, np.array([0, 0, 2]), LABELS)
    assert report["aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)
    assert report["augrc"] == pytest.approx((0 + 1 / 2 + 3 / 2) / 9)


def test_facts_are_kept_as_they_are() -> None:
    report = build_report(said(0, 1, 2, 2), np.array([0, 1, 2, 0]), LABELS, best_epoch=4, stopped_early=None)
    assert (report["best_epoch"], report["stopped_early"]) == (4, None)
    assert report["accuracy"] == 0.75
    assert report["balanced_accuracy"] == pytest.approx((0.5 + 1 + 1) / 3)
