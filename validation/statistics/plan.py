"""How many photos must still be judged for a precise enough rate."""

from __future__ import annotations

from math import ceil

from mapping.statistics import Z

HALF_WIDTH = 0.05
EXPECTED = 0.9


def photos_needed(expected: float = EXPECTED, half_width: float = HALF_WIDTH) -> int:
    """Photos needed for a 95 % interval of ± half_width around an expected share: z²·p·(1 − p) / half_width².

    139 for ± 5 points at 90 %. Raises ValueError for a share or width outside (0, 1).
    """
    if not (0 < expected < 1 and 0 < half_width < 1):
        raise ValueError("A share and a width lie between 0 and 1.")
    return ceil(Z * Z * expected * (1 - expected) / half_width**2)


def still_needed(judged: int, available: int, expected: float = EXPECTED) -> int:
    """How many more photos of a hashtag to judge until its interval is narrow enough; `available` at most."""
    return max(0, min(available, photos_needed(expected)) - judged)
