"""McNemar's exact test: do two networks differ on the same photos by more than chance?"""

from __future__ import annotations


def exact_p(only_first: int, only_second: int) -> float:
    """The two-sided p-value, from how many photos only the one and only the other network gets right.

    Under the null hypothesis each such photo falls to either side with probability 1/2 (binomial test).
    """
    from scipy import stats  # takes half a second, and web processes import this module

    pairs = only_first + only_second
    return float(stats.binomtest(only_first, pairs).pvalue) if pairs else 1.0
