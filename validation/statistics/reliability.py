"""Do people agree with each other? Three measures, because each one alone misleads.

The input is how many people answered "fits" and "does not fit" to each question, not who they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import krippendorff_alpha


@dataclass(frozen=True)
class Reliability:
    """percent: share of equal pairs among votes on the same question. alpha, ac1: corrected for chance."""

    questions: int  # with two votes or more
    percent: float
    alpha: float | None  # None if all answers are equal: it is undefined then
    ac1: float


def reliability(counts: NDArray[np.int64]) -> Reliability | None:
    """From counts (n, 2) of fits and does not fit by question. None if no question has two votes.

    Alpha is K. Krippendorff's for nominal data. AC1 is K. L. Gwet's (2008): chance agreement is 2·π·(1 − π)
    with π the mean share of fits, so it stays meaningful where nearly everything fits.
    """
    counts = np.asarray(counts)
    pairable = counts[counts.sum(1) >= 2].astype(float)
    if not len(pairable):
        return None
    votes = pairable.sum(1)
    percent = float(((pairable**2).sum(1) - votes).dot(1 / (votes * (votes - 1))) / len(pairable))
    with_votes = counts[counts.sum(1) >= 1].astype(float)
    share = float((with_votes[:, 0] / with_votes.sum(1)).mean())
    chance = 2 * share * (1 - share)
    # Each pair of counts becomes one number, because np.unique by rows would take ten times as long.
    base = int(counts.max()) + 1
    pairs, questions = np.unique(counts[:, 0] * base + counts[:, 1], return_counts=True)
    alpha = krippendorff_alpha(
        ({"fits": pair // base, "not": pair % base}, n)
        for pair, n in zip(pairs.tolist(), questions.tolist(), strict=True)
    )
    return Reliability(len(pairable), percent, alpha, (percent - chance) / (1 - chance))
