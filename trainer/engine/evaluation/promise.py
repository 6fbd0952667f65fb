"""Thresholds with a promise: suggestions are right at least as often as the target says, 95 % sure.

Fixed-sequence testing, the simplest form of Learn-then-Test (Angelopoulos et al. 2021). The suggestions of a
group of hashtags on held-out photos are ranked, the surest first. From the strictest threshold downwards each
step adds some of them. A step passes if so few mistakes among so many suggestions would happen with a
probability of at most 5 % while the target is missed: an exact binomial test, so the Clopper-Pearson bound of
the precision is at least the target. The labels may also be people's votes (validation/statistics/risk.py).
The first step that does not pass ends the walk, and the last one that
passed is the threshold.

The steps depend on how many suggestions there are, never on which of them are right. If suggestions below a
threshold are no better than those above it, then the first step whose precision is too low passes with a
probability of at most 5 %, and whatever comes after it does not matter. `python -m benchmarks.promise` checks
the promise on real photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from formats.classes import OTHER

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["none", "overall", "each"]

# none: thresholds are estimates · overall: the promise is for all suggestions together · each: it is for the
# suggestions of every hashtag, for all hashtags at once
KINDS: tuple[Kind, ...] = ("none", "overall", "each")
CONFIDENCE = 0.95
MISTAKES = 2  # that the strictest threshold must be able to afford, so that one odd photo does not silence it
STRICTEST = 4  # the strictest threshold has at least one suggestion in four
STEPS = 20


@dataclass(frozen=True)
class Group:
    """Hashtags with a threshold in common; None if nothing can be promised, so that all stay silent."""

    hashtags: tuple[str, ...]
    threshold: float | None
    suggestions: int  # on held-out photos, at or above the threshold
    wrong: int  # of them

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"hashtags": list(self.hashtags)}


def choose_groups(
    probabilities: Floats, true: Ints, labels: Sequence[str], *, target: float, kind: Kind
) -> list[Group]:
    """Groups of hashtags with their thresholds, from probabilities (n, c) and true labels (n,).

    ``overall`` makes one group. ``each`` makes one of each hashtag with enough suggestions, and puts those
    with too few into a rest group with one threshold. There the promise is for the rest together, and the 5 %
    are divided by the number of groups (Bonferroni), so that all groups keep the promise at once. Hashtags
    that are never the likeliest label are in no group of their own either.
    """
    prediction, confidence = probabilities.argmax(1), probabilities.max(1)
    right = prediction == true
    counts = np.bincount(prediction, minlength=len(labels))
    suggested = {label: int(counts[at]) for at, label in enumerate(labels) if label != OTHER}
    members, level = divide(suggested, target=target, kind=kind)
    place = {label: at for at, label in enumerate(labels)}
    return [
        walk(group, confidence[inside], right[inside], target=target, level=level)
        for group in members
        for inside in [np.isin(prediction, [place[label] for label in group])]
    ]


def divide(
    suggested: Mapping[str, int], *, target: float, kind: Kind, confidence: float = CONFIDENCE
) -> tuple[list[list[str]], float]:
    """The groups of these hashtags, given how many suggestions each has, and the level of a group's test."""
    hashtags = list(suggested)
    members = [hashtags]
    if kind == "each":
        enough = fewest(target, (1 - confidence) / max(1, len(hashtags)))
        members = [[one] for one in hashtags if suggested[one] >= enough]
        rest = [one for one in hashtags if suggested[one] < enough]
        members += [rest] if rest else []
    return members, (1 - confidence) / max(1, len(members))


@cache
def fewest(target: float, level: float, wrong: int = MISTAKES) -> int:
    """The fewest suggestions among which ``wrong`` mistakes pass the test at this level."""
    count = wrong + 1
    while not is_sure(wrong, count, target=target, level=level):
        count += 1
    return count


def is_sure(wrong: float, count: float, *, target: float, level: float, between: float = 0.0) -> bool:
    """Whether so few mistakes have a chance of at most ``level`` while the target is missed."""
    return least_precision(wrong, count, level=level, between=between) >= target


def least_precision(wrong: float, count: float, *, level: float, between: float = 0.0) -> float:
    """The lower bound of the precision, one-sided: C. Clopper and E. Pearson 1934, Biometrika 26, in the form
    of the inverse incomplete beta function, which also takes fractions.

    ``between`` is a variance of the precision that more suggestions do not reduce: how the people differ who
    gave the labels. With it, the bound is that of as many suggestions as a plain share of the same variance
    would need.
    """
    from scipy.special import betaincinv  # takes 0.2 s, and only an export needs it

    if wrong >= count:
        return 0.0
    wrong, count = _with_people(wrong, count, between)
    return float(betaincinv(count - wrong, wrong + 1, level))


def most_precision(wrong: float, count: float, *, level: float, between: float = 0.0) -> float:
    """The upper bound of the precision, one-sided, in the same way."""
    from scipy.special import betaincinv

    if not wrong:
        return 1.0
    wrong, count = _with_people(wrong, count, between)
    return float(betaincinv(count - wrong + 1, wrong, 1 - level))


def _with_people(wrong: float, count: float, between: float) -> tuple[float, float]:
    """The mistakes and suggestions of a plain share that has the variance of both."""
    if not between:
        return wrong, count
    share = (wrong + 0.5) / (count + 1)  # never quite 0
    effective = share * (1 - share) / (share * (1 - share) / count + between)
    return wrong * effective / count, effective


def walk(
    hashtags: Sequence[str],
    confidence: Floats,
    right: NDArray[Any],
    *,
    target: float,
    level: float,
    between: float = 0.0,
) -> Group:
    """One group's threshold, from confidences (m,) and whether each suggestion is right (m,). The chance that
    it misses the target is at most ``level``.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, mistakes = confidence[order], (~right[order].astype(bool)).cumsum()
    found = Group(tuple(hashtags), None, 0, 0)
    for count in _steps(confidence, fewest(target, level)):
        wrong = int(mistakes[count - 1])
        if not is_sure(wrong, count, target=target, level=level, between=between):
            break
        found = Group(tuple(hashtags), float(confidence[count - 1]), count, wrong)
    return found


def _steps(confidence: Floats, enough: int) -> Iterator[int]:
    """How many of the falling confidences (m,) each step has: equal ones are never divided."""
    total = len(confidence)
    first = max(enough, -(-total // STRICTEST))
    if first > total:
        return
    last = 0
    for place in np.linspace(first, total, STEPS):
        count = int(np.searchsorted(-confidence, -confidence[round(place) - 1], side="right"))
        if count > last:
            yield count
        last = count
