"""Shifts of counts: few photos never alarm, large differences of many do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from serving.shift import moved, shift


def test_psi_by_hand() -> None:
    found = shift({"a": 5000, "b": 5000}, {"a": 8000, "b": 2000})
    assert found
    assert found.psi == pytest.approx(0.3 * np.log(1.6) + 0.3 * np.log(2.5), rel=1e-3)
    assert found.is_large


def test_few_photos_and_small_differences_do_not_alarm() -> None:
    few = shift({"a": 50, "b": 50}, {"a": 3})
    assert few
    assert (few.psi > 0.2, few.is_large) == (True, False)
    many = shift({"a": 500_000, "b": 500_000}, {"a": 520_000, "b": 480_000})
    assert many
    assert not many.is_large
    assert moved({"a": 500_000, "b": 500_000}, {"a": 520_000, "b": 480_000}) == []


def test_false_alarms_are_rare() -> None:
    """The same distribution twice: 1,000 times, some with few photos."""
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.1, 0.05, 0.03, 0.02])
    alarms = 0
    for n in (60, 300, 3000, 30_000) * 250:
        judged, now = (
            dict(zip("abcdef", map(int, rng.multinomial(k, shares)), strict=True)) for k in (500, n)
        )
        found = shift(judged, now)
        assert found
        alarms += found.is_large or bool(moved(judged, now))
    assert alarms <= 5


def test_what_moved_is_named_with_how_much() -> None:
    found = moved(Counter(bar=100, beach=900), Counter(bar=300, beach=700))
    assert [(one.bin, round(one.times)) for one in found] == [("bar", 3)]
    gone, new = moved({"a": 500, "b": 500}, {"a": 500, "c": 500})
    assert {(one.bin, one.times > 1) for one in (gone, new)} == {("b", False), ("c", True)}


def test_without_counts_there_is_no_shift() -> None:
    assert shift({}, {"a": 1}) is None
    assert shift({"a": 3}, {"a": 1}) is None
    assert moved({}, {"a": 1}) == []
