"""Shares of authors' hashtags, which were drawn with different chances. No database, no Django.

Each judged hashtag stands for `weight` hashtags: the inverse of its chance of being drawn, times how many of
its kind were drawn for each that people judged. A share is the ratio of two weighted sums (Hájek 1971).

Its interval is Wilson's for the number of hashtags that a plain share of the same variance would need. That
is Kish's effective number (Σw)² / Σw² (L. Kish, Survey Sampling, 1965, 11.7), or fewer if the hashtags of a
photo are alike: the linearised variance of the ratio, summed by photo (Cochran 1977, 11.17). The smaller of
the two is taken: with few photos that variance is itself uncertain, and it is 0 if all answers are alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mapping.statistics import wilson
from validation.statistics.rate import Rate


@dataclass(frozen=True)
class Weighed:
    """One judged hashtag: its photo, what it stands for, and its value (0 to 1)."""

    photo: int
    weight: float
    value: float


def share(rows: Iterable[Weighed]) -> Rate | None:
    """The weighted mean of the values with its 95 % interval; None if nothing has a weight."""
    units = [row for row in rows if row.weight > 0]
    total = sum(row.weight for row in units)
    if not total:
        return None
    value = min(1.0, sum(row.weight * row.value for row in units) / total)
    effective = total**2 / sum(row.weight**2 for row in units)
    near = (value * effective + 0.5) / (effective + 1)  # never quite 0 or 1
    residuals: dict[int, float] = defaultdict(float)
    for row in units:
        residuals[row.photo] += row.weight * (row.value - value)
    variance = sum(residual**2 for residual in residuals.values()) / total**2
    if variance:
        effective = min(effective, near * (1 - near) / variance)
    return Rate(value, *wilson(value, effective), n=len(units))
