"""The share of suggestions that people find fitting, of questions drawn unevenly, with its interval.

A stratum is a hashtag × a third of the model's confidences. However unevenly strata are asked about, inside
one what is answered is a random sample of it (questions are taken in the order of a random rank), so the
headline is the strata's rates weighted by how many questions each holds: post-stratification (W. G. Cochran,
Sampling Techniques, 3rd ed. 1977, 5A.9).

The interval is Wilson's (1927) with the number of photos that a plain share of the same variance would need.
That variance has two parts. Photos: each stratum's, its share drawn a little towards the whole (two photos'
worth), because a stratum of one photo shows none. People: how much the share of fits differs from person to
person beyond chance; the same forty people judge all photos, so their leniency does not average out however
many photos there are. A bootstrap within strata was tried and covered the truth 81 to 92 % of the time: in it
strata of few photos have too little spread, and people none. `python -m benchmarks.coverage` measures this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from validation.agreement import Rate, wilson

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

    @property
    def answered(self) -> int:
        return self.fits + self.ties + self.misfits

    def joined(self, other: Stratum) -> Stratum:
        return replace(
            self,
            size=self.size + other.size,
            fits=self.fits + other.fits,
            ties=self.ties + other.ties,
            misfits=self.misfits + other.misfits,
        )


@dataclass(frozen=True)
class Headline:
    """The rate, and the share of all questions that stand behind no answer, not even of their hashtag."""

    rate: Rate
    unjudged: float


@dataclass(frozen=True)
class Person:
    """What one person said in all, skips apart."""

    fits: int
    answers: int


def headline(strata: Sequence[Stratum], people: Sequence[Person] = ()) -> Headline | None:
    """The post-stratified rate with its 95 % interval; None without an answer.

    A band nobody has answered about is taken to be as the rest of its hashtag; a hashtag without any answer
    is left out, and `unjudged` says how much that is. Without `people` the interval is about photos only.
    """
    total = sum(stratum.size for stratum in strata)
    usable = _usable(strata)
    if not usable:
        return None
    size = np.array([stratum.size for stratum in usable], float)
    rate = _rate(usable, size / size.sum(), people)
    return Headline(rate, unjudged=1 - float(size.sum()) / total)


def class_weighted(strata: Sequence[Stratum], people: Sequence[Person] = ()) -> Rate | None:
    """The mean of the hashtags' rates (the thesis's weighted accuracy, eq. 13), each post-stratified."""
    usable = _usable(strata)
    if not usable:
        return None
    sizes: dict[str, int] = {}
    for stratum in usable:
        sizes[stratum.hashtag] = sizes.get(stratum.hashtag, 0) + stratum.size
    weight = np.array([s.size / sizes[s.hashtag] / len(sizes) for s in usable])
    return _rate(usable, weight, people)


def between_people(people: Sequence[Person]) -> float:
    """The variance of a mean over these people that their differing leniency adds.

    The spread of their shares of fits beyond what chance explains (method of moments), times Σn² / (Σn)².
    """
    asked = np.array([person.answers for person in people if person.answers], float)
    if len(asked) < 2:
        return 0.0
    shares = np.array([person.fits / person.answers for person in people if person.answers])
    mean = float(asked @ shares / asked.sum())
    spread = float(asked @ (shares - mean) ** 2)
    beyond = spread - (len(asked) - 1) * mean * (1 - mean)
    variance = max(0.0, beyond / float(asked.sum() - asked @ asked / asked.sum()))
    return variance * float(asked @ asked) / float(asked.sum()) ** 2


def _rate(strata: Sequence[Stratum], weight: np.ndarray, people: Sequence[Person]) -> Rate:
    counts = np.array([(s.fits, s.ties, s.misfits) for s in strata], float)  # (strata, 3)
    n = counts.sum(1)
    value = float(weight @ (counts @ VALUES / n))
    as_many = 1 / float(weight**2 @ (1 / n))
    near = (value * as_many + 0.5) / (as_many + 1)  # never quite 0 or 1
    shares = (counts @ VALUES + SHRINK * near) / (n + SHRINK)
    variance = float(weight**2 @ (shares * (1 - shares) / n)) + between_people(people)
    return Rate(value, *wilson(value, near * (1 - near) / variance), n=int(n.sum()))


def _usable(strata: Sequence[Stratum]) -> list[Stratum]:
    """Strata with answers; the bands of a hashtag as one where a band has none."""
    usable: list[Stratum] = []
    for hashtag in sorted({stratum.hashtag for stratum in strata}):
        bands = [s for s in strata if s.hashtag == hashtag and s.size]
        if all(stratum.answered for stratum in bands):
            usable += bands
            continue
        together = bands[0]
        for stratum in bands[1:]:
            together = together.joined(stratum)
        if together.answered:
            usable.append(together)
    return usable
