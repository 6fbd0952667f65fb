"""Thresholds from votes: exactly at the bound, drawn evenly, lowered only where people judged below."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from trainer.engine.evaluation.calibrate import NEVER
from validation.statistics import risk
from validation.statistics.people import between_people
from validation.statistics.risk import Drawn

HASHTAGS = ("bar", "cafe")


def drawn(*parts: tuple[str, float, int, int], edges: dict[str, float] | None = None) -> Drawn:
    """Judged photos of parts (hashtag, confidence, right, wrong), in random order."""
    rows = [
        (hashtag, confidence, is_right)
        for hashtag, confidence, right, wrong in parts
        for is_right in [True] * right + [False] * wrong
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    rank = np.empty(len(rows))
    rank[order] = np.arange(len(rows)) / max(1, len(rows))
    names = [row[0] for row in rows]
    return Drawn(
        np.array(names, object),
        rank,
        np.array([row[1] for row in rows], float),
        np.array([row[2] for row in rows], bool),
        {name: names.count(name) for name in set(names)},
        edges or {},
    )


def choose(suggested: Drawn, silent: Drawn = risk.NOBODY, **options: Any) -> list[risk.CrowdGroup]:
    wish: dict[str, Any] = {"target": 0.9, "kind": "overall"} | options
    return risk.choose(suggested, silent, HASHTAGS, **wish)


def bound(right: int, count: int, sure: float = 0.95) -> float:
    return float(binomtest(right, count, alternative="greater").proportion_ci(sure, method="exact").low)


@pytest.mark.parametrize(("wrong", "keeps"), [(7, True), (8, False)])
def test_the_exact_bound_decides(wrong: int, keeps: bool) -> None:
    """Of 130 photos, 7 may not fit, and 8 are too many."""
    assert bound(122, 130) < 0.9 <= bound(123, 130)
    (group,) = choose(drawn(("bar", 0.8, 130 - wrong, wrong)))
    assert (group.threshold == 0.0) == keeps
    assert risk.thresholds([group], {"bar": 0.6}) == {"bar": 0.6 if keeps else NEVER, "cafe": NEVER}


def test_another_confidence_needs_more() -> None:
    sample = drawn(("bar", 0.8, 124, 6))
    assert bound(124, 130, 0.99) < 0.9
    assert [choose(sample, confidence=sure)[0].threshold for sure in (0.95, 0.99)] == [0.0, None]


def test_votes_raise_a_threshold_to_where_enough_photos_fit() -> None:
    (group,) = choose(drawn(("bar", 0.9, 200, 4), ("cafe", 0.6, 10, 60)))
    new = risk.thresholds([group], {"bar": 0.5, "cafe": 0.95})
    assert new["bar"] == pytest.approx(0.9, abs=1e-4)
    assert new["bar"] < 0.9  # half a digit, because confidences are stored rounded
    assert new["cafe"] == 0.95  # it is stricter already


def crowd_of(rng: np.random.Generator, slope: float, count: int, people: int = 0) -> tuple[Drawn, float]:
    """Photos whose hashtags fit with the chance 1 − slope · (1 − confidence), most of them sure, and the
    variance that people add: each judges as many photos, and they differ in leniency. Of those from a
    confidence t on, the share 1 − slope · (1 − t) / 3 fits.
    """
    confidence = 1 - 0.4 * rng.random(count) ** 2
    chance, between = 1 - slope * (1 - confidence), 0.0
    person = np.arange(count) % people if people else np.zeros(count, int)
    if people:
        chance = np.clip(chance + rng.normal(0, 0.03, people)[person], 0, 1)
    right = rng.random(count) < chance
    if people:
        between = between_people(person, np.zeros(count, int), right)
    return Drawn(np.array(["bar"] * count, object), rng.random(count), confidence, right), between


@pytest.mark.parametrize(("people", "slope"), [(0, 0.75), (20, 0.55)])
def test_a_crowd_objects_only_where_a_target_is_missed_and_then_enough(people: int, slope: float) -> None:
    """Of 400 simulated crowds each. In the first, nine in ten fit, just as promised, or a little more where
    people differ. In the second, with the slope 2, seven in ten do, and nine in ten only from .85 on.
    """
    rng = np.random.default_rng(0)
    objected, raised = 0, []
    for _ in range(400):
        sample, between = crowd_of(rng, slope, 300, people)
        objected += bool(risk.find_objections(sample, [["bar"]], target=0.9, between=between))
        sample, between = crowd_of(rng, 2, 600, people)
        raised += risk.find_objections(sample, [["bar"]], target=0.9, between=between)
    assert objected <= binom.ppf(0.999, 400, 0.05)
    assert len(raised) == 400
    found = [one.threshold for one in raised if one.threshold is not None]
    assert len(found) > 300
    assert sum(threshold < 0.85 for threshold in found) <= binom.ppf(0.999, 400, 0.05)


def test_objections_never_come_from_few_votes_or_from_agreement() -> None:
    find = partial(risk.find_objections, groups=[], target=0.9)
    assert find(drawn()) == find(drawn(("bar", 0.8, 2, 1))) == find(drawn(("bar", 0.8, 300, 0))) == []
    (few,) = find(drawn(("bar", 0.8, 4, 8), ("cafe", 0.7, 1, 1)))
    assert (few.hashtags, few.judged, few.wrong, few.threshold) == (HASHTAGS, 14, 9, None)
    (many,) = find(drawn(("bar", 0.9, 200, 4), ("bar", 0.7, 10, 60), ("cafe", 0.7, 200, 0)))
    assert (many.hashtags, many.judged, many.wrong, many.threshold) == (("bar",), 274, 64, 0.9)
    together = find(drawn(("bar", 0.9, 200, 4), ("cafe", 0.7, 10, 60)), groups=[HASHTAGS])
    assert [(one.hashtags, one.threshold) for one in together] == [(HASHTAGS, 0.9)]


def test_no_votes_promise_nothing_and_say_how_many_are_needed() -> None:
    (group,) = choose(drawn())
    assert (group.threshold, group.judged, group.needed) == (None, 0, 61)
    groups = choose(drawn(("bar", 0.9, 40, 0)), kind="each")
    assert [(one.hashtags, one.threshold, one.needed) for one in groups] == [(HASHTAGS, None, 21)]


def test_what_is_said_to_be_needed_is_enough() -> None:
    sample = drawn(("bar", 0.9, 95, 5))
    (group,) = choose(sample)
    assert group.needed
    more = 100 + group.needed
    wrong = round(0.05 * more)
    assert choose(drawn(("bar", 0.9, more - wrong, wrong)))[0].threshold is not None


def test_no_number_of_photos_helps_a_hashtag_that_does_not_fit() -> None:
    (group,) = choose(drawn(("bar", 0.9, 400, 100)))
    assert (group.threshold, group.needed) == (None, None)


def test_each_hashtag_has_its_own_threshold() -> None:
    groups = choose(drawn(("bar", 0.9, 300, 2), ("cafe", 0.9, 100, 60)), kind="each")
    assert [(one.hashtags, one.threshold) for one in groups] == [(("bar",), 0.0), (("cafe",), None)]
    (alone,) = risk.choose(drawn(("bar", 0.9, 300, 2)), risk.NOBODY, ["bar"], target=0.9, kind="each")
    assert (alone.threshold, alone.judged) == (0.0, 302)


def test_photos_behind_the_first_unasked_one_do_not_count() -> None:
    """Many sure photos were asked about out of turn: they must not stand for the others."""
    even = ("bar", 0.8, 60, 20)
    sample = drawn(even)
    extra = np.full(500, 0.99)
    uneven = Drawn(
        np.append(sample.hashtag, np.full(500, "bar", object)),
        np.append(sample.rank / 2, np.linspace(0.6, 0.9, 500)),
        np.append(sample.confidence, extra),
        np.append(sample.right, np.ones(500, bool)),
        {"bar": 2000},
        {"bar": 0.55},
    )
    (group,) = choose(uneven)
    assert (group.threshold, group.judged) == (None, 80)
    (group,) = choose(Drawn(uneven.hashtag, uneven.rank, uneven.confidence, uneven.right, {"bar": 580}))
    assert group.judged == 580


def test_one_hashtags_edge_cuts_all_that_share_a_threshold() -> None:
    sample = drawn(("bar", 0.9, 100, 0), ("cafe", 0.9, 100, 0), edges={"cafe": 0.25})
    assert choose(sample)[0].judged == 50
    assert len(sample.among(["bar"])[0]) == 100


BELOW = ("bar", 0.4, 80, 1)


def test_silent_photos_that_fit_lower_a_threshold() -> None:
    above = drawn(("bar", 0.8, 200, 4))
    (group,) = choose(above, drawn(BELOW, ("bar", 0.2, 5, 20)))
    assert (group.lowered, group.threshold, group.suggestions, group.wrong) == (True, 0.4, 285, 5)
    new = risk.thresholds([group], {"bar": 0.7, "cafe": 0.3})
    assert new == {"bar": pytest.approx(0.4, abs=1e-4), "cafe": 0.3}
    assert new["bar"] < 0.4


def test_silent_photos_lower_nothing_if_what_is_suggested_fails() -> None:
    (group,) = choose(drawn(("bar", 0.9, 200, 4), ("bar", 0.8, 10, 30)), drawn(BELOW))
    assert (group.lowered, group.threshold) == (False, 0.9)
    (group,) = choose(drawn(("bar", 0.8, 10, 30)), drawn(BELOW))
    assert group.threshold is None
    nobody_asked = replace(risk.NOBODY, sizes={"bar": 9})
    assert choose(nobody_asked, drawn(BELOW))[0].threshold is None


def test_a_hashtag_that_is_never_suggested_may_begin_with_silent_photos() -> None:
    (group,) = choose(drawn(), drawn(BELOW))
    assert (group.lowered, group.threshold) == (True, 0.4)


def test_differences_between_people_count() -> None:
    sample = drawn(("bar", 0.8, 1000, 80))
    assert choose(sample)[0].threshold == 0.0
    assert choose(sample, between=0.02**2)[0].threshold is None


def test_the_curve_ends_with_all_suggestions() -> None:
    sample = drawn(("bar", 0.9, 50, 0), ("bar", 0.5, 40, 10)).among(["bar"])
    points = risk.curve(*sample, level=0.05)
    assert points[-1].share == 1
    assert points[-1].agreement == 0.9
    assert points[-1].low == pytest.approx(bound(90, 100))
    assert [point.agreement for point in points] == [1, 0.9]  # no threshold divides equal confidences
    assert risk.curve(*drawn().among(["bar"]), level=0.05) == []


def test_the_target_is_missed_in_at_most_one_crowd_in_twenty() -> None:
    """Suggestions fit with 0.98 at the top down to 0.7; people judged an even sample of 400."""
    numbers, missed, spoke = np.random.default_rng(3), 0, 0
    for _ in range(300):
        depth = numbers.random(400)
        right = numbers.random(400) < 0.98 - 0.28 * depth
        sample = Drawn(np.full(400, "bar", object), np.zeros(400), 1 - depth, right, {"bar": 400})
        (group,) = choose(sample)
        if group.threshold is not None:
            spoke += 1
            missed += 0.98 - 0.14 * (1 - group.threshold) < 0.9
    assert spoke > 100
    assert missed <= 0.05 * 300 + 4
