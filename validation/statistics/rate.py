"""Do people agree with what was suggested? Pure statistics: no database, no Django.

The unit is the photo, never the vote: three people who look at one photo say less about a model than
three photos do, and intervals on raw votes are far too narrow (they cover the truth 71 % of the time).
First each photo × hashtag becomes one number by majority, then rates are shares of photos.

- Skips do not count. A photo that everybody skipped, or nobody voted on, counts in no rate.
- A tie counts as half. Without ties, the debatable photos would be missing, which would flatter the model.
- Intervals are Wilson's on photos (mapping/statistics.py). A percentile bootstrap over photos is
  similar at middle rates, but has no width when every photo fits, which is common in small campaigns.

statistics/headline.py computes a rate from photos that were drawn unevenly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mapping.statistics import wilson

FEW = 30  # photos; a rate of fewer is shown pale, because its interval is wide


@dataclass(frozen=True)
class Rate:
    """A share between 0 and 1 with its 95 % interval and its number of photos."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_few(self) -> bool:
        return self.n < FEW


def majority(fits: int, does_not_fit: int) -> float:
    """1 if most say it fits, 0 if most say it does not, ½ for a tie."""
    return 0.5 if fits == does_not_fit else float(fits > does_not_fit)


def rate_of(row: Mapping[str, Any]) -> Rate | None:
    return rate_of_counts(row["fitting"], row["tied"], row["not_fitting"])


def rate_of_counts(fits: int, ties: int, misfits: int) -> Rate | None:
    n = fits + ties + misfits
    if not n:
        return None
    value = (fits + ties / 2) / n
    return Rate(value, *wilson(value, n), n=n)
