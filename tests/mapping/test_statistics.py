"""Against published examples and scipy's figures."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mapping.statistics import krippendorff_alpha, wilson


@pytest.mark.parametrize(
    ("raters", "alpha"),
    [  # K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: sections A, B and C
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_published_examples(raters: tuple[str, ...], alpha: float) -> None:
    units = [(Counter(value for value in unit if value != "."), 1) for unit in zip(*raters, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=0.0005)


def test_alike_units_may_be_counted_together() -> None:
    split, whole = {"a": 2, "b": 1}, {"b": 2}
    singly = krippendorff_alpha([(split, 1), (split, 1), (whole, 1)])
    assert krippendorff_alpha([(split, 2), (whole, 1)]) == singly


@pytest.mark.parametrize("units", [[], [({"a": 1}, 5), ({}, 2)], [({"a": 3}, 1), ({"a": 2}, 4)]])
def test_no_alpha_without_two_answers_or_two_values(units: list[tuple[dict[str, int], int]]) -> None:
    assert krippendorff_alpha(units) is None


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 12), (12, 12), (7, 10), (86, 100), (129, 150)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    interval = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k / n, n) == pytest.approx((interval.low, interval.high), abs=1e-12)


@given(st.integers(1, 300), st.floats(0, 1))
def test_every_share_lies_inside_its_interval(n: int, share: float) -> None:
    low, high = wilson(share, n)
    assert 0 <= low <= share <= high <= 1


def test_wilson_takes_halves() -> None:
    """As proportion_confint of statsmodels 0.15 does."""
    assert wilson(6.5 / 10, 10) == pytest.approx((0.35367072351116874, 0.8630694365299645), abs=1e-12)
