"""Krippendorff's α and Wilson's interval, for those who map and for those who vote: no database, no Django.

α asks how much of an agreement chance alone would give: 1 is full agreement, 0 what values drawn at random
from the same pot would reach. Nominal metric, missing answers allowed (K. Krippendorff, Computing
Krippendorff's Alpha-Reliability, 2011, C):

    α = 1 − (n − 1) · (n − Σ o_cc) / (n² − Σ n_c²)

n answers about units with at least two, n_c of them with value c, and o_cc = Σ over units of
n_uc (n_uc − 1) / (m_u − 1), n_uc of a unit's m_u answers being c. It is our own, because the package
`krippendorff` is under the GPL.
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
    """None where no unit has two answers, or only one value occurs: then agreement cannot be told from
    chance.
    """
    observed, expected = disagreement(units)
    return 1 - observed / expected if expected else None


def disagreement(units: Iterable[Unit]) -> tuple[float, float]:
    """Observed, and expected by chance, as shares; (0, 0) where no unit has two answers."""
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
