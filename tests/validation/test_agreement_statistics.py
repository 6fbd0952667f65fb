"""Known answers and the edges of a rate; how rates are made of photos is in test_statistics.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.agreement import FEW, Rate, majority, wilson


def test_majority() -> None:
    assert [majority(2, 1), majority(1, 2), majority(1, 1)] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 12), (12, 12), (7, 10), (86, 100), (129, 150)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    from scipy.stats import binomtest

    known = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k / n, n) == pytest.approx((known.low, known.high), abs=1e-12)


@given(st.integers(1, 300), st.floats(0, 1))
def test_every_share_lies_inside_its_interval(n: int, share: float) -> None:
    low, high = wilson(share, n)
    assert 0 <= low <= share <= high <= 1


def test_few() -> None:
    assert Rate(1, 0, 1, FEW - 1).is_few
    assert not Rate(1, 0, 1, FEW).is_few
