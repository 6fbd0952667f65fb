"""Shares of hashtags that were drawn with different chances."""

from __future__ import annotations

import random

import pytest

from mapping.statistics import wilson
from validation.statistics.weighted import Weighed, share


def test_equal_weights_give_wilsons_interval() -> None:
    rate = share([Weighed(photo, 2.0, float(photo < 3)) for photo in range(60)])
    assert rate
    assert (rate.value, rate.n) == (0.05, 60)
    assert (rate.low, rate.high) == pytest.approx(wilson(0.05, 60))


def test_nothing_and_weights_of_nothing_give_no_share() -> None:
    assert share([]) is None
    assert share([Weighed(1, 0.0, 1.0)]) is None


def test_a_rare_draw_counts_for_what_it_stands_for_and_is_less_certain() -> None:
    """Of 100 doubted hashtags all were judged, of 900 others a tenth: ten times the weight each."""
    doubted = [Weighed(number, 1.0, 0.0) for number in range(100)]
    others = [Weighed(100 + number, 10.0, 1.0) for number in range(90)]
    rate = share(doubted + others)
    assert rate
    assert rate.value == pytest.approx(0.9)
    assert rate.high - rate.low > wilson(0.9, 190)[1] - wilson(0.9, 190)[0]


def test_hashtags_of_one_photo_that_are_alike_say_less() -> None:
    alike = share([Weighed(number // 5, 1.0, float(number < 50)) for number in range(100)])
    apart = share([Weighed(number, 1.0, float(number < 50)) for number in range(100)])
    assert alike
    assert apart
    assert alike.value == apart.value
    assert alike.high - alike.low > 1.8 * (apart.high - apart.low)


def test_the_interval_covers_the_truth_when_the_check_chooses() -> None:
    """A tenth is doubted and all of it judged, of the others a tenth; 300 campaigns of 1,000 hashtags."""
    chance, hits = random.Random(7), 0
    for _ in range(300):
        units = []
        for number in range(1000):
            is_doubted = number < 100
            value = float(chance.random() < (0.4 if is_doubted else 0.97))
            if is_doubted or chance.random() < 0.1:
                units.append(Weighed(number, 1.0 if is_doubted else 10.0, value))
        rate = share(units)
        assert rate
        hits += rate.low <= 0.1 * 0.4 + 0.9 * 0.97 <= rate.high
    assert hits >= 0.93 * 300
