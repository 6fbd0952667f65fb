"""Do people agree with what was suggested? Pure statistics: no database, no Django.

The photo is the unit, never the vote: three people who look at one photo tell less about a model than
three photos do, and intervals on raw votes are far too narrow (they cover the truth 71 % of the time).
First each photo × hashtag becomes one number by majority, then rates are shares of photos.

- Skips do not count. A photo that everybody skipped, or nobody voted on, is in no rate.
- A tie counts as half. Leaving ties out would drop just the debatable photos and flatter the model.
- Intervals are Wilson's on photos (E. B. Wilson 1927, without continuity correction). A percentile
  bootstrap by photo says the same in the middle but collapses to no width at all when every photo fits,
  which small campaigns often reach.
- The class-weighted rate is a mean of H independent shares. Its interval is Wilson's with the number of
  photos that a plain share of that spread would need, n = H² / Σ 1/n_h. Simulated, 1,200 campaigns each of
  7 hashtags with 1 to 10 photos, 8 with 10 photos near 97 %, 10 with 30 photos: it covers the truth 94.5,
  96.5 and 96.3 % of the time, a bootstrap within hashtags 58, 91 and 95 %, Wilson limits composed by MOVER
  90, 90 and 93 %.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

FEW = 30  # photos; under it a rate is shown pale, because its interval is wide
Z = NormalDist().inv_cdf(0.975)  # two-sided 95 %


@dataclass(frozen=True)
class Tally:
    """What people said about one photo and one hashtag. Skips are not in it."""

    photo: int
    hashtag: str
    fits: int
    does_not_fit: int


@dataclass(frozen=True)
class Rate:
    """A share between 0 and 1 with its 95 % interval, and how many photos stand behind it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_few(self) -> bool:
        return self.n < FEW


def majority(fits: int, does_not_fit: int) -> float | None:
    """1 if most say it fits, 0 if most say it does not, ½ for a tie, None if nobody answered."""
    if fits + does_not_fit == 0:
        return None
    return 0.5 if fits == does_not_fit else float(fits > does_not_fit)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n photos; n ≥ 1. Halves are allowed and make it a little wide."""
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def overall(tallies: Iterable[Tally]) -> Rate | None:
    """The photo-level rate (micro): every photo weighs the same. None without an answer.

    A photo that two models gave different hashtags has two tallies and counts once, as their mean.
    """
    by_photo: dict[int, list[float]] = defaultdict(list)
    for tally in tallies:
        if (said := majority(tally.fits, tally.does_not_fit)) is not None:
            by_photo[tally.photo].append(said)
    return _rate([sum(said) / len(said) for said in by_photo.values()])


def by_hashtag(tallies: Iterable[Tally]) -> dict[str, Rate]:
    """Hashtag → its photo-level rate, for the hashtags that anybody answered about."""
    said: dict[str, list[float]] = defaultdict(list)
    for tally in tallies:
        if (one := majority(tally.fits, tally.does_not_fit)) is not None:
            said[tally.hashtag].append(one)
    return {hashtag: rate for hashtag in sorted(said) if (rate := _rate(said[hashtag]))}


def class_weighted(tallies: Iterable[Tally]) -> Rate | None:
    """The mean of the hashtags' rates (macro; the thesis's weighted accuracy, eq. 13); None unanswered."""
    rates = list(by_hashtag(tallies).values())
    if not rates:
        return None
    value = sum(rate.value for rate in rates) / len(rates)
    as_many = len(rates) ** 2 / sum(1 / rate.n for rate in rates)
    return Rate(value, *wilson(value, as_many), n=sum(rate.n for rate in rates))


def _rate(said: list[float]) -> Rate | None:
    if not said:
        return None
    value = sum(said) / len(said)
    return Rate(value, *wilson(value, len(said)), n=len(said))
