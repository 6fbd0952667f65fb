"""Do people agree with each other? Three measures, because each alone misleads.

Input is how many said fits and does not fit for each question; who said it does not matter to these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import krippendorff_alpha


@dataclass(frozen=True)
class Reliability:
    """percent: share of equal pairs among votes on the same question; alpha and ac1 allow for chance."""

    questions: int  # with two votes or more
    percent: float
    alpha: float | None  # None where everybody always said the same: it is not defined
    ac1: float


def reliability(counts: NDArray[np.int64]) -> Reliability | None:
    """Of counts (n, 2): fits and does not fit of each question. None without a question of two votes.

    Alpha is K. Krippendorff's for nominal data; AC1 is K. L. Gwet's (2008): chance agreement is 2·π·(1 − π)
    with π the mean share of fits, which does not collapse where nearly everything fits.
    """
    counts = np.asarray(counts)
    rated = counts[counts.sum(1) >= 2].astype(float)
    if not len(rated):
        return None
    votes = rated.sum(1)
    percent = float(((rated**2).sum(1) - votes).dot(1 / (votes * (votes - 1))) / len(rated))
    every = counts[counts.sum(1) >= 1].astype(float)
    share = float((every[:, 0] / every.sum(1)).mean())
    chance = 2 * share * (1 - share)
    # One number for each pair of counts: np.unique by rows would take ten times as long.
    base = int(counts.max()) + 1
    pairs, questions = np.unique(counts[:, 0] * base + counts[:, 1], return_counts=True)
    alpha = krippendorff_alpha(
        ({"fits": pair // base, "not": pair % base}, n)
        for pair, n in zip(pairs.tolist(), questions.tolist(), strict=True)
    )
    return Reliability(len(rated), percent, alpha, (percent - chance) / (1 - chance))
