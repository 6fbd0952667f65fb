"""Thresholds that people's votes justify: "at most 1 in 10 suggestions is wrong, 95 % sure".

The rule is that of trainer/engine/evaluation/promise.py (fixed-sequence testing, the simplest form of
Learn-then-Test: Angelopoulos, Bates, Candès, Jordan and Lei 2021, arXiv 2110.01052). The labels come from
votes. The unit is the photo: it is right if more people found the hashtag fitting than not, so a tie and a
photo that everybody skipped are wrong.

The exact test needs photos that were drawn evenly. The questions of a campaign are not: the active stream
asks more where an answer teaches most. But every question has a random rank, so the questions ranked below
the first one of a group that nobody was asked yet (its edge) are a simple random sample of the group,
whichever stream asked them. The others are left out.

Photos on which the model stayed silent are drawn at another rate. A threshold goes below the present one only
if the suggestions above it pass the test, and those that would be new pass it alone. If the whole missed the
target, one of the two parts would, and its test passes with a chance of at most 5 %; so the test of the whole
needs no weights (R. L. Berger 1982, Technometrics 24, intersection-union tests).

docs/decisions/0032-thresholds-from-people.md has the reasons, `python -m benchmarks.people_thresholds` the
check.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.promise import (
    CONFIDENCE,
    MISTAKES,
    Group,
    Kind,
    divide,
    fewest,
    is_sure,
    least_precision,
    most_precision,
    walk,
)

Floats = NDArray[np.float64]
HALF_A_DIGIT = 0.00005  # confidences are stored with four digits
POINTS = 40  # of a curve
FEWEST_ON_CURVE = 10  # photos; the share of fewer jumps up and down
MOST = 10_000  # photos of a group that a crowd would judge


@dataclass(frozen=True)
class Drawn:
    """Judged photos (m,) in the order of random ranks, and by hashtag how many questions there are and the
    rank of the first that nobody was asked yet.
    """

    hashtag: NDArray[Any]
    rank: Floats
    confidence: Floats
    right: NDArray[np.bool_]
    sizes: Mapping[str, int] = field(default_factory=dict)
    edges: Mapping[str, float] = field(default_factory=dict)
    photo: NDArray[Any] = field(default_factory=lambda: np.empty(0, int))  # its key, where it is needed

    def among(self, hashtags: Collection[str]) -> tuple[Floats, NDArray[np.bool_]]:
        """A simple random sample of these hashtags' questions: confidences (k,) and whether each is right."""
        edge = min((self.edges[one] for one in hashtags if one in self.edges), default=np.inf)
        inside = np.isin(self.hashtag, list(hashtags)) & (self.rank < edge)
        return self.confidence[inside], self.right[inside]

    def size(self, hashtags: Collection[str]) -> int:
        return sum(self.sizes.get(one, 0) for one in hashtags)


NOBODY = Drawn(np.empty(0, object), np.empty(0), np.empty(0), np.empty(0, bool))


@dataclass(frozen=True)
class CrowdGroup(Group):
    """A group as people judge it. `threshold` is the least confidence of its hashtags, or, if it is lowered,
    the greatest that any of them needs from now on.
    """

    lowered: bool = False
    judged: int = 0  # photos of the samples, also below the threshold
    needed: int | None = 0  # more photos to judge before anything can be promised; None: none would do


def choose(
    suggested: Drawn,
    silent: Drawn,
    hashtags: Sequence[str],
    *,
    target: float,
    kind: Kind,
    confidence: float = CONFIDENCE,
    between: float = 0.0,
) -> list[CrowdGroup]:
    """Groups of these hashtags with their thresholds: at least `target` of a group's suggestions are right,
    with this confidence for all groups at once.

    `between` is the variance that differences between people add (statistics/people.py).
    """
    counts = {one: len(suggested.among([one])[0]) for one in hashtags}
    members, level = divide(counts, target=target, kind=kind, confidence=confidence)
    return [_find(suggested, silent, one, target, level, between) for one in members]


def _find(
    suggested: Drawn, silent: Drawn, hashtags: list[str], target: float, level: float, between: float
) -> CrowdGroup:
    sample, right = suggested.among(hashtags)
    test = partial(walk, hashtags, target=target, level=level, between=between)
    found = test(sample, right)
    threshold, count, wrong, is_lowered = found.threshold, found.suggestions, found.wrong, False
    judged = len(sample)
    all_pass = count == len(sample) if count else suggested.size(hashtags) == 0
    if count and all_pass:
        threshold = 0.0  # the present thresholds may stay
    if all_pass:
        below = silent.among(hashtags)
        lower = test(*below)
        if lower.threshold is not None:
            judged += len(below[0])
            threshold, is_lowered = lower.threshold, True
            count, wrong = count + lower.suggestions, wrong + lower.wrong
    needed = 0 if threshold is not None else still_needed(sample, right, target=target, level=level)
    return CrowdGroup(tuple(hashtags), threshold, count, wrong, is_lowered, judged, needed)


def thresholds(groups: Sequence[CrowdGroup], present: Mapping[str, float]) -> dict[str, float]:
    """By hashtag of the groups. A group that is not lowered raises the present ones, or leaves them."""
    values = {}
    for group in groups:
        for hashtag in group.hashtags:
            now = present.get(hashtag, NEVER)
            if group.threshold is None:
                values[hashtag] = NEVER
            elif group.lowered:
                values[hashtag] = min(now, group.threshold - HALF_A_DIGIT)
            else:
                values[hashtag] = max(now, group.threshold - HALF_A_DIGIT)
    return values


def find_objections(
    suggested: Drawn,
    groups: Sequence[Collection[str]],
    *,
    target: float,
    confidence: float = CONFIDENCE,
    between: float = 0.0,
) -> list[CrowdGroup]:
    """The groups whose suggestions are right less often than `target`, sure with this confidence for all at
    once, and the threshold from which they are right as often, as sure; None if there is none.

    Without votes, and with few, nobody objects. If all groups keep the target, some group is found with a
    chance of at most 5 %; a threshold that is found misses it with a chance of at most 5 %. Without `groups`,
    a hashtag with enough votes is one, and the rest are another.
    """
    if groups:
        members, level = [list(one) for one in groups], (1 - confidence) / len(groups)
    else:
        counts = {str(one): len(suggested.among([one])[0]) for one in np.unique(suggested.hashtag)}
        members, level = divide(counts, target=target, kind="each", confidence=confidence)
    found = []
    for hashtags in members:
        sample, right = suggested.among(hashtags)
        count, wrong = len(sample), int((~right).sum())
        if most_precision(wrong, count, level=level, between=between) < target:
            one = walk(hashtags, sample, right, target=target, level=level, between=between)
            found.append(CrowdGroup(**vars(one) | {"suggestions": count, "wrong": wrong}, judged=count))
    return found


def still_needed(confidence: Floats, right: NDArray[np.bool_], *, target: float, level: float) -> int | None:
    """How many more photos to judge until something can be promised, if people go on to judge as they did.

    Of all suggestions, the surer half or the surest quarter, whichever needs least. None if even among the
    surest too many are wrong.
    """
    total, needs = len(confidence), []
    order = np.argsort(-confidence, kind="stable")
    falling, right = confidence[order], right[order]
    for part in (1, 2, 4) if total else ():
        count = _with_equals(falling, ceil(total / part))
        share = (count - int(right[:count].sum()) + 0.5) / (count + 1)
        if enough := _enough(share, target, level, at_least=count):
            needs.append(ceil(enough * total / count) - total)
    if total < fewest(target, level):  # too few to say that nothing will do
        needs.append(fewest(target, level) - total)
    return max(1, min(needs)) if needs else None


def _with_equals(falling: Floats, count: int) -> int:
    """This many of the falling confidences, and those that equal the last: no threshold divides them."""
    return int(np.searchsorted(-falling, -falling[count - 1], side="right"))


def _enough(share: float, target: float, level: float, at_least: int) -> int | None:
    """How many suggestions pass the test if this share is wrong, rounded up; None beyond MOST."""
    count = max(at_least, fewest(target, level, MISTAKES))
    while count <= MOST and share < 1 - target:
        if is_sure(ceil(share * count), count, target=target, level=level):
            return count
        count = ceil(count * 1.02) + 1
    return None


@dataclass(frozen=True)
class Point:
    """If the surest suggestions alone were made: their share of all, how many fit, and the lower bound."""

    share: float
    confidence: float
    agreement: float
    low: float


def curve(confidence: Floats, right: NDArray[np.bool_], *, level: float, between: float = 0.0) -> list[Point]:
    """The risk-coverage curve of a sample (k,), from few suggestions to all; each bound holds for itself."""
    total = len(confidence)
    order = np.argsort(-confidence, kind="stable")
    falling, hits = confidence[order], right[order].cumsum()
    places = np.linspace(min(FEWEST_ON_CURVE, total), total, POINTS).round().astype(int)
    points = []
    for count in sorted({_with_equals(falling, int(place)) for place in places if place}):
        wrong = int(count - hits[count - 1])
        low = least_precision(wrong, count, level=level, between=between)
        points.append(Point(count / total, float(falling[count - 1]), 1 - wrong / count, low))
    return points
