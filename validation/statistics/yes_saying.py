"""What is left of a share of yeses when people who say yes to anything are allowed for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import Z
from validation.statistics.headline import SHRINK, Stratum, weights
from validation.statistics.rate import Rate

ENOUGH = 20  # answers about what is known, of each kind, under which nothing is corrected
ENOUGH_PHOTOS = 5  # behind them


@dataclass(frozen=True)
class Known:
    """Answers about what is known: yes of `n`, skips apart, on `photos` photos; `variance` of the share."""

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


def known(counts: Iterable[tuple[int, int, int]]) -> Known:
    """From (yes, no, how many photos have these counts). Answers about one photo are alike, so the variance
    is of a ratio of photos' sums (Cochran 1977, 6.3), and at least that of as many unlike answers.
    """
    rows = np.array([row for row in counts if row[0] + row[1]], float).reshape(-1, 3)
    yes, n, photos = rows[:, 0], rows[:, 0] + rows[:, 1], rows[:, 2]
    total, k = float(n @ photos), int(photos.sum())
    if not k:
        return Known(0, 0)
    said = float(yes @ photos)
    near = (said + 0.5) / (total + 1)  # a half answer on each side: never nothing
    variance = near * (1 - near) / (total + 1)
    if k > 1:
        apart = float((yes - said / total * n) ** 2 @ photos) * k / (k - 1) / total**2
        variance = max(variance, apart)
    return Known(int(said), int(total), k, variance)


def share_of_yes(
    strata: Sequence[Stratum],
    stratum_of: NDArray[np.int64],
    shares: NDArray[np.float64],
    between: float = 0.0,
) -> tuple[float, float] | None:
    """The post-stratified mean share of yeses among a photo's answers, and its variance; None without any.

    `shares` (n,) of photos, `stratum_of` (n,) which of the strata each is in. Of answers, not of majorities:
    known answers say how often single answers err, and a majority of three errs less often.
    """
    seen = np.bincount(stratum_of, minlength=len(strata)).astype(float)
    weight = weights(strata) * (seen > 0)
    if not weight.any():
        return None
    weight = weight / weight.sum()
    n = np.maximum(seen, 1)
    means = np.bincount(stratum_of, shares, len(strata)) / n
    value = float(weight @ means)
    apart = np.bincount(stratum_of, (shares - means[stratum_of]) ** 2, len(strata))
    spread = (apart + SHRINK * float(((shares - value) ** 2).mean())) / (n + SHRINK)
    return value, float(weight**2 @ (spread / n)) + between


def corrected(value: float, variance: float, n: int, fitting: Known, wrong: Known) -> Rate | None:
    """The share that fits, from the share of yeses (W. J. Rogan, B. Gladen 1978), `n` photos behind it.

    (p + specificity − 1) / (sensitivity + specificity − 1), where sensitivity is the share of yeses to what
    is known to fit and 1 − specificity that to what is known not to. The interval is by the delta method and
    carries the errors of all three. None without enough known answers of each kind, or when people say yes
    as often to the wrong as to the right: then votes tell nothing.
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
