"""What is left of a share of yeses when people who say yes to anything are allowed for."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from validation.agreement import Rate, Z

ENOUGH = 20  # known answers of each kind, under which nothing is corrected


@dataclass(frozen=True)
class Known:
    """Votes on questions whose answer is known: yes of `n`, skips apart."""

    yes: int
    n: int

    @property
    def share(self) -> float:
        return self.yes / self.n


def corrected(raw: Rate, fitting: Known, wrong: Known) -> Rate | None:
    """The share that fits, from the share called fitting (W. J. Rogan, B. Gladen 1978).

    (p + specificity − 1) / (sensitivity + specificity − 1), where sensitivity is the share of yeses to what
    is known to fit and 1 − specificity that to what is known not to. The interval is by the delta method and
    carries the errors of all three. None with fewer than ENOUGH known answers of a kind, or when people say
    yes as often to the wrong as to the right: then votes tell nothing.
    """
    if fitting.n < ENOUGH or wrong.n < ENOUGH or fitting.share <= wrong.share:
        return None
    scale = fitting.share - wrong.share
    value = (raw.value - wrong.share) / scale
    variances = (
        ((raw.high - raw.low) / (2 * Z) / scale) ** 2,
        _variance(wrong) * ((1 - value) / scale) ** 2,
        _variance(fitting) * (value / scale) ** 2,
    )
    half = Z * sqrt(sum(variances))
    value = min(1.0, max(0.0, value))
    return Rate(value, max(0.0, min(value, value - half)), min(1.0, value + half), n=raw.n)


def _variance(known: Known) -> float:
    """Of a share, a half photo added to each side: never nothing."""
    share = (known.yes + 0.5) / (known.n + 1)
    return share * (1 - share) / (known.n + 1)
