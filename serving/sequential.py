"""Is the difference of two shares real, however often one looks? No database, no Django.

An interval that is computed anew each day is left by the truth on some day far more often than 5 % of the
time. A confidence sequence holds for all days at once. This one is the mixture sequential probability ratio
test turned round (R. Johari, P. Koomen, L. Pekelis and D. Walsh, Always valid inference: continuous
monitoring of A/B tests, Operations Research 70, 2022): with d the observed difference and V its variance, all
differences δ belong to it for which

    sqrt(V / (V + τ²)) · exp(τ² (d − δ)² / (2 V (V + τ²)))  <  1 / α

τ is the size of difference for which it is narrowest. The variance is estimated from the shares, so it holds
once both sides have FEWEST of each outcome. `python -m benchmarks.peeking` checks it on trials without a
difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

ALPHA = 0.05
TAU = 0.05
FEWEST = 20  # of each outcome on each side


@dataclass(frozen=True)
class Difference:
    """Of the second share from the first, with the ends of its confidence sequence at this moment."""

    value: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        return self.low > 0 or self.high < 0


def difference(first: tuple[int, int], second: tuple[int, int]) -> Difference | None:
    """Each is (successes, trials). None while either side has fewer than FEWEST successes or failures."""
    if any(min(yes, n - yes) < FEWEST for yes, n in (first, second)):
        return None
    p, q = first[0] / first[1], second[0] / second[1]
    variance = p * (1 - p) / first[1] + q * (1 - q) / second[1]
    wide = variance + TAU**2
    half = sqrt(2 * variance * wide / TAU**2 * log(sqrt(wide / variance) / ALPHA))
    return Difference(q - p, max(-1.0, q - p - half), min(1.0, q - p + half))
