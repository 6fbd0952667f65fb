"""The share of suggestions that people find fitting, with its interval, from questions drawn unevenly.

A stratum is a hashtag × a third of the model's confidences. Photos that were added later, and pairs that
another campaign asks about, form strata of their own. Strata are asked about unevenly, but inside each one
the answered questions are a random sample, because questions are asked in the order of a random rank.
Therefore the headline is the mean of the strata's rates, weighted by their numbers of questions:
post-stratification (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, 5A.9).

The interval is Wilson's (1927) for the number of photos that a plain share of the same variance would need.
That variance has two parts. The part of the photos is that of each stratum, whose share is first moved a
little towards the overall share (by two photos' worth), because a stratum of one photo shows no variance. The
part of the people is how they differ (people.py), which does not average out over many photos. A bootstrap
within strata covered the truth only 81 to 92 % of the time: strata of few photos had too little spread in it,
and people had none. `python -m benchmarks.coverage` measures this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import wilson
from validation.statistics.rate import Rate

SHRINK = 2.0  # photos' worth by which a stratum's share moves towards the overall share
VALUES = np.array([1.0, 0.5, 0.0])  # fits, tie, does not fit


@dataclass(frozen=True)
class Stratum:
    """Questions of one hashtag and one band: how many there are, and the outcomes of the answered ones."""

    hashtag: str
    band: int
    size: int  # questions, answered or not
    fits: int = 0
    ties: int = 0
    misfits: int = 0
    part: tuple[int, ...] = ()  # bands of the same hashtag and part may represent each other

    @property
    def answered(self) -> int:
        return self.fits + self.ties + self.misfits


@dataclass(frozen=True)
class Headline:
    """The rate, and the share of all questions that no answer represents."""

    rate: Rate
    unjudged: float


def headline(strata: Sequence[Stratum], between: float = 0.0) -> Headline | None:
    """The post-stratified rate with its 95 % interval; None without answers.

    A band without answers is assumed to equal the other bands of its hashtag and part. A part without answers
    is left out, and `unjudged` is the share left out. `between` is the variance that differences between
    people add (people.between_people); without it the interval is about photos only.
    """
    total = sum(stratum.size for stratum in strata)
    weight = weights(strata)
    if not weight.any():
        return None
    return Headline(
        rate_of_counts(strata, weight / weight.sum(), between), unjudged=1 - float(weight.sum()) / total
    )


def class_weighted(strata: Sequence[Stratum], between: float = 0.0) -> Rate | None:
    """The mean of the hashtags' post-stratified rates, like the thesis's weighted accuracy (eq. 13)."""
    weight = weights(strata)
    if not weight.any():
        return None
    of_hashtag: dict[str, float] = {}
    for stratum, size in zip(strata, weight, strict=True):
        of_hashtag[stratum.hashtag] = of_hashtag.get(stratum.hashtag, 0.0) + float(size)
    n_hashtags = sum(size > 0 for size in of_hashtag.values())
    shares = [
        w / of_hashtag[s.hashtag] / n_hashtags if w else 0.0 for s, w in zip(strata, weight, strict=True)
    ]
    return rate_of_counts(strata, np.array(shares), between)


def weights(strata: Sequence[Stratum]) -> NDArray[np.float64]:
    """How many questions (strata,) each stratum represents: its own, and its share of those in bands without
    answers that have the same hashtag and part. A band without answers represents 0.
    """
    total: dict[tuple[str, tuple[int, ...]], int] = {}
    size_with_answers: dict[tuple[str, tuple[int, ...]], int] = {}
    for one in strata:
        key = one.hashtag, one.part
        total[key] = total.get(key, 0) + one.size
        size_with_answers[key] = size_with_answers.get(key, 0) + (one.size if one.answered else 0)
    factors = {key: total[key] / size for key, size in size_with_answers.items() if size}
    return np.array(
        [one.size * factors[one.hashtag, one.part] if one.answered else 0.0 for one in strata], float
    )


def rate_of_counts(strata: Sequence[Stratum], weight: NDArray[np.float64], between: float) -> Rate:
    """The weighted mean of the strata's rates. `weight` (strata,) sums to 1; it is 0 for strata without
    answers.
    """
    has_weight = weight > 0
    weight = weight[has_weight]
    counts = np.array([(s.fits, s.ties, s.misfits) for s in strata], float)[has_weight]  # (strata, 3)
    n = counts.sum(1)
    value = float(weight @ (counts @ VALUES / n))
    effective_n = 1 / float(weight**2 @ (1 / n))
    near = (value * effective_n + 0.5) / (effective_n + 1)  # never quite 0 or 1
    shares = (counts @ VALUES + SHRINK * near) / (n + SHRINK)
    variance = float(weight**2 @ (shares * (1 - shares) / n)) + between
    return Rate(value, *wilson(value, near * (1 - near) / variance), n=int(n.sum()))
