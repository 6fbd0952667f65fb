"""The share of suggestions that people find fitting, of questions drawn unevenly, with its interval.

A stratum is a hashtag × a third of the model's confidences, apart for photos that joined later and for what
another campaign asks about, too. However unevenly strata are asked about, inside one what is answered is a
random sample of it (questions are taken in the order of a random rank), so the headline is the strata's rates
weighted by how many questions each holds: post-stratification (W. G. Cochran, Sampling Techniques, 3rd ed.
1977, 5A.9).

The interval is Wilson's (1927) with the number of photos that a plain share of the same variance would need.
That variance has two parts. Photos: each stratum's, its share drawn a little towards the whole (two photos'
worth), because a stratum of one photo shows none. People: how they differ (people.py), which does not average
out however many photos there are. A bootstrap within strata was tried and covered the truth 81 to 92 % of the
time: in it strata of few photos have too little spread, and people none. `python -m benchmarks.coverage`
measures this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import wilson
from validation.statistics.rate import Rate

SHRINK = 2.0  # photos that a stratum has in common with all others
VALUES = np.array([1.0, 0.5, 0.0])  # fits, tie, does not


@dataclass(frozen=True)
class Stratum:
    """Questions of one hashtag and one band: how many there are, and how the answered ones came out."""

    hashtag: str
    band: int
    size: int  # questions, answered or not
    fits: int = 0
    ties: int = 0
    misfits: int = 0
    part: tuple[int, ...] = ()  # bands of the same hashtag and part may stand for each other

    @property
    def answered(self) -> int:
        return self.fits + self.ties + self.misfits


@dataclass(frozen=True)
class Headline:
    """The rate, and the share of all questions that stand behind no answer, not even of their kind."""

    rate: Rate
    unjudged: float


def headline(strata: Sequence[Stratum], between: float = 0.0) -> Headline | None:
    """The post-stratified rate with its 95 % interval; None without an answer.

    A band nobody has answered about is taken to be as the others of its hashtag and part; a part without any
    answer is left out, and `unjudged` says how much that is. `between` is the variance that people's
    differing adds (people.between_people); without it the interval is about photos only.
    """
    total = sum(stratum.size for stratum in strata)
    weight = weights(strata)
    if not weight.any():
        return None
    return Headline(
        rate_of_counts(strata, weight / weight.sum(), between), unjudged=1 - float(weight.sum()) / total
    )


def class_weighted(strata: Sequence[Stratum], between: float = 0.0) -> Rate | None:
    """The mean of the hashtags' rates (the thesis's weighted accuracy, eq. 13), each post-stratified."""
    weight = weights(strata)
    if not weight.any():
        return None
    of_hashtag: dict[str, float] = {}
    for stratum, size in zip(strata, weight, strict=True):
        of_hashtag[stratum.hashtag] = of_hashtag.get(stratum.hashtag, 0.0) + float(size)
    judged = sum(size > 0 for size in of_hashtag.values())
    shares = [w / of_hashtag[s.hashtag] / judged if w else 0.0 for s, w in zip(strata, weight, strict=True)]
    return rate_of_counts(strata, np.array(shares), between)


def weights(strata: Sequence[Stratum]) -> NDArray[np.float64]:
    """Questions (strata,) that each stratum stands for: its own, and its part of those in bands of the same
    hashtag and part that nobody has answered about; 0 for such a band itself.
    """
    size: dict[tuple[str, tuple[int, ...]], int] = {}
    answered: dict[tuple[str, tuple[int, ...]], int] = {}
    for one in strata:
        key = one.hashtag, one.part
        size[key] = size.get(key, 0) + one.size
        answered[key] = answered.get(key, 0) + (one.size if one.answered else 0)
    return np.array(
        [
            one.size * size[one.hashtag, one.part] / answered[one.hashtag, one.part] if one.answered else 0.0
            for one in strata
        ],
        float,
    )


def rate_of_counts(strata: Sequence[Stratum], weight: NDArray[np.float64], between: float) -> Rate:
    """`weight` (strata,) sums to 1, and is 0 where nobody has answered."""
    used = weight > 0
    weight = weight[used]
    counts = np.array([(s.fits, s.ties, s.misfits) for s in strata], float)[used]  # (strata, 3)
    n = counts.sum(1)
    value = float(weight @ (counts @ VALUES / n))
    as_many = 1 / float(weight**2 @ (1 / n))
    near = (value * as_many + 0.5) / (as_many + 1)  # never quite 0 or 1
    shares = (counts @ VALUES + SHRINK * near) / (n + SHRINK)
    variance = float(weight**2 @ (shares * (1 - shares) / n)) + between
    return Rate(value, *wilson(value, near * (1 - near) / variance), n=int(n.sum()))
