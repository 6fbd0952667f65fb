"""Do two sets of counts differ by more than chance, and by enough to matter? No database, no Django.

The population stability index of shares a and b over k bins is PSI = Σ (a − b) ln(a / b). If both come from
the same distribution, PSI ÷ (1/n + 1/m) follows χ² with k − 1 degrees of freedom (B. Yurdakul and J. Naranjo,
Statistical properties of the population stability index, Journal of Risk Model Validation 14, 2020). So a few
photos never alarm, however different they look; and a million never alarm about a difference that is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from statistics import NormalDist

LEVEL = 0.001  # share of false alarms
LARGE = 0.2  # PSI from which a shift counts as large, by custom
TIMES = 2.0  # from which one share is much larger than another


@dataclass(frozen=True)
class Shift:
    psi: float
    bound: float  # that PSI stays below in all but LEVEL of the cases without a shift

    @property
    def is_large(self) -> bool:
        return self.psi > max(LARGE, self.bound)


def shift(judged: Mapping[str, int], now: Mapping[str, int]) -> Shift | None:
    """None if either has no counts, or if there is one bin only. Half a count is added to each bin."""
    bins = {name for counts in (judged, now) for name, count in counts.items() if count}
    n, m = sum(judged.values()), sum(now.values())
    if not n or not m or len(bins) < 2:
        return None
    from scipy.special import chdtri  # takes 0.2 s, which most pages do not need

    psi = 0.0
    for name in bins:
        a = (judged.get(name, 0) + 0.5) / (n + len(bins) / 2)
        b = (now.get(name, 0) + 0.5) / (m + len(bins) / 2)
        psi += (b - a) * log(b / a)
    return Shift(psi, (1 / n + 1 / m) * float(chdtri(len(bins) - 1, LEVEL)))


@dataclass(frozen=True)
class Moved:
    """A bin whose share has changed at least TIMES. `times` is below 1 if it became smaller."""

    bin: str
    before: float
    after: float
    times: float


def moved(judged: Mapping[str, int], now: Mapping[str, int]) -> list[Moved]:
    """The bins whose shares differ much, and by more than chance when all bins are looked at (Bonferroni).

    Each share is tested by the χ² test of a fourfold table with Yates' correction (F. Yates, 1934), which a
    few answers do not fool.
    """
    bins = {name for counts in (judged, now) for name, count in counts.items() if count}
    n, m = sum(judged.values()), sum(now.values())
    if not n or not m:
        return []
    z = NormalDist().inv_cdf(1 - LEVEL / (2 * len(bins)))
    per_photo = 1 / n + 1 / m
    found = []
    for name in sorted(bins):
        a, b = judged.get(name, 0), now.get(name, 0)
        times = ((b + 0.5) / (m + 1)) / ((a + 0.5) / (n + 1))
        pooled = (a + b) / (n + m)
        error = sqrt(pooled * (1 - pooled) * per_photo)
        if abs(log(times)) >= log(TIMES) and abs(b / m - a / n) - per_photo / 2 > z * error:
            found.append(Moved(name, a / n, b / m, times))
    return sorted(found, key=lambda one: -abs(log(one.times)))
