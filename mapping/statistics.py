"""Krippendorff's α and Wilson's interval, for curators and for voters. No database, no Django.

α corrects agreement for chance: 1 is full agreement, 0 is what the same answers would reach if they were
shuffled at random. Nominal metric, missing answers allowed (K. Krippendorff, Computing
Krippendorff's Alpha-Reliability, 2011, C):

    α = 1 − (n − 1) · (n − Σ o_cc) / (n² − Σ n_c²)

n is the number of answers about units with at least two answers; n_c of these have value c. o_cc is the sum
over units of n_uc (n_uc − 1) / (m_u − 1), where n_uc of a unit's m_u answers are c. Our own, because the
package `krippendorff` is under the GPL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import sqrt
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)  # two-sided 95 %

# How often each value was given to a unit, and how many units have the same counts.
Unit = tuple[Mapping[str, int], int]


def krippendorff_alpha(units: Iterable[Unit]) -> float | None:
    """None if no unit has two answers, or if only one value occurs: agreement then cannot be told from
    chance.
    """
    observed, expected = disagreement(units)
    return 1 - observed / expected if expected else None


def disagreement(units: Iterable[Unit]) -> tuple[float, float]:
    """Observed disagreement and that expected by chance, as shares; (0, 0) if no unit has two answers."""
    same, answers = 0.0, Counter[str]()
    for counts, units_alike in units:
        total = sum(counts.values())
        if total < 2:
            continue
        for value, n in counts.items():
            answers[value] += n * units_alike
            same += units_alike * n * (n - 1) / (total - 1)
    n = answers.total()
    if not n:
        return 0.0, 0.0
    expected = (n * n - sum(count * count for count in answers.values())) / (n * (n - 1))
    return 1 - same / n, expected


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n ≥ 1 observations (E. B. Wilson 1927, no continuity correction).

    Our own, because scipy's takes whole counts only: a tie counts as half, and n may be the number of
    observations that a weighted share is worth. statsmodels would cost each process 66 MB (decision 0018).
    """
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
