"""Corrects a share of yeses for yes-saying: people say yes to some wrong hashtags, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import Z
from validation.statistics.headline import SHRINK, Stratum, weights
from validation.statistics.rate import Rate

ENOUGH = 20  # known answers of each kind without which nothing is corrected
ENOUGH_PHOTOS = 5  # photos that these must be about


@dataclass(frozen=True)
class YesCount:
    """`yes` of `n` answers, without skips, on `photos` photos, and the `variance` of their share."""

    yes: int
    n: int
    photos: int = 0
    variance: float = 0.0

    @property
    def share(self) -> float:
        return self.yes / self.n

    @property
    def is_enough(self) -> bool:
        return self.n >= ENOUGH and self.photos >= ENOUGH_PHOTOS


def count_yes(counts: Iterable[tuple[int, int, int]]) -> YesCount:
    """From (yes, no, how many photos have these counts). Answers about one photo are similar, so the variance
    is that of a ratio of sums over photos (Cochran 1977, 6.3). It is at least that of independent answers.
    """
    rows = np.array([row for row in counts if row[0] + row[1]], float).reshape(-1, 3)
    yes, n, photos = rows[:, 0], rows[:, 0] + rows[:, 1], rows[:, 2]
    total, k = float(n @ photos), int(photos.sum())
    if not k:
        return YesCount(0, 0)
    total_yes = float(yes @ photos)
    near = (total_yes + 0.5) / (total + 1)  # half an answer on each side, so that the variance is never 0
    variance = near * (1 - near) / (total + 1)
    if k > 1:
        ratio_variance = float((yes - total_yes / total * n) ** 2 @ photos) * k / (k - 1) / total**2
        variance = max(variance, ratio_variance)
    return YesCount(int(total_yes), int(total), k, variance)


def share_of_yes(
    strata: Sequence[Stratum],
    stratum_of: NDArray[np.int64],
    shares: NDArray[np.float64],
    between: float = 0.0,
) -> tuple[float, float] | None:
    """The post-stratified mean share of yeses among a photo's answers, and its variance; None if there are no
    answers.

    `shares` (n,) are those of photos, `stratum_of` (n,) the index of each photo's stratum. They are shares
    of answers, not majorities: known answers show how often single answers err, and majorities err less.
    """
    counts = np.bincount(stratum_of, minlength=len(strata)).astype(float)
    weight = weights(strata) * (counts > 0)
    if not weight.any():
        return None
    weight = weight / weight.sum()
    n = np.maximum(counts, 1)
    means = np.bincount(stratum_of, shares, len(strata)) / n
    value = float(weight @ means)
    squares = np.bincount(stratum_of, (shares - means[stratum_of]) ** 2, len(strata))
    spread = (squares + SHRINK * float(((shares - value) ** 2).mean())) / (n + SHRINK)
    return value, float(weight**2 @ (spread / n)) + between


def correct(value: float, variance: float, n: int, fitting: YesCount, wrong: YesCount) -> Rate | None:
    """The share that fits, from the share of yeses on `n` photos (W. J. Rogan, B. Gladen 1978).

    It is (p + specificity − 1) / (sensitivity + specificity − 1), where sensitivity is the share of yeses to
    what is known to fit, and 1 − specificity the share of yeses to what is known not to fit. The interval is
    by the delta method and includes the errors of all three. None without enough known answers of each kind,
    or if people say yes to wrong hashtags as often as to right ones: then votes say nothing.
    """
    if not (fitting.is_enough and wrong.is_enough) or fitting.share <= wrong.share:
        return None
    scale = fitting.share - wrong.share
    fit = (value - wrong.share) / scale
    variances = (
        variance / scale**2,
        wrong.variance * ((1 - fit) / scale) ** 2,
        fitting.variance * (fit / scale) ** 2,
    )
    half = Z * sqrt(sum(variances))
    fit = min(1.0, max(0.0, fit))
    return Rate(fit, max(0.0, min(fit, fit - half)), min(1.0, fit + half), n=n)
