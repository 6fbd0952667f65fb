"""Heads that the leaderboard compares recipes with."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.plain_heads import Head, Taught, class_means, nearest, probabilities

# Three scene classes at the corners of a triangle; the first two are of label 0.
CORNERS = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
GROUPS = np.array([0, 0, 1])


def taught(each: tuple[int, int, int]) -> Taught:
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(3), each)
    features = CORNERS[scenes] + rng.normal(0, 0.5, (len(scenes), 3))
    return Taught(features, GROUPS[scenes], scenes, GROUPS, 2)


@pytest.mark.parametrize("head", [nearest, class_means])
def test_a_label_gets_what_its_scene_classes_get(head: Head) -> None:
    told = probabilities(head, taught((40, 40, 40)), CORNERS)
    assert told.sum(1) == pytest.approx(1)
    assert told.argmax(1).tolist() == [0, 0, 1]
    assert told[np.arange(3), GROUPS[:3]].min() > 0.9


def test_the_mean_of_few_photos_is_drawn_towards_its_label() -> None:
    """A single photo of class 1 that looks like class 2 does not move the class all the way there."""
    known = taught((40, 0, 40))
    odd = Taught(
        np.vstack([known.features, CORNERS[2]]),
        np.append(known.labels, 0),
        np.append(known.scenes, 1),
        GROUPS,
        2,
    )
    told = class_means(odd, CORNERS[2:], 0.05)
    assert told.argmax(1).tolist() == [1]


def test_few_takes_the_first_photos_of_each_class() -> None:
    few = taught((5, 1, 9)).few(2)
    assert np.bincount(few.scenes).tolist() == [2, 1, 2]
