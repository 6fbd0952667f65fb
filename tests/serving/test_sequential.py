"""The difference of two shares, under peeking."""

from __future__ import annotations

import numpy as np
import pytest

from serving.sequential import ALPHA, FEWEST, TAU, Difference, difference


def test_the_ends_satisfy_the_formula() -> None:
    found = difference((400, 1000), (500, 1000))
    assert found
    variance = 0.4 * 0.6 / 1000 + 0.5 * 0.5 / 1000
    for end in (found.low, found.high):
        exponent = TAU**2 * (found.value - end) ** 2 / (2 * variance * (variance + TAU**2))
        ratio = np.sqrt(variance / (variance + TAU**2)) * np.exp(exponent)
        assert ratio == pytest.approx(1 / ALPHA)
    assert found.value == pytest.approx(0.1)
    assert found.is_real


def test_too_few_say_nothing() -> None:
    assert difference((FEWEST - 1, 1000), (500, 1000)) is None
    assert difference((500, 1000), (1000, 1000)) is None
    assert difference((0, 0), (0, 0)) is None


def test_a_real_difference_has_a_direction() -> None:
    assert Difference(0.1, 0.01, 0.2).is_real
    assert Difference(-0.1, -0.2, -0.01).is_real
    assert not Difference(0.1, -0.01, 0.2).is_real


@pytest.mark.parametrize(("rate", "share"), [(0.5, 0.5), (0.1, 0.5), (0.86, 0.1)])
def test_looking_100_times_finds_a_false_winner_in_5_percent_at_most(rate: float, share: float) -> None:
    rng = np.random.default_rng(1)
    trials, looks, photos = 1000, 100, 100
    n = rng.binomial(photos, share, (trials, looks))
    yes = rng.binomial(photos - n, rate).cumsum(1), rng.binomial(n, rate).cumsum(1)
    of = (photos - n).cumsum(1), n.cumsum(1)

    def has_winner(trial: int) -> bool:
        counts = zip(*(map(int, row[trial]) for row in (yes[0], of[0], yes[1], of[1])), strict=True)
        found = (difference((a, b), (c, d)) for a, b, c, d in counts)
        return any(one is not None and one.is_real for one in found)

    assert sum(map(has_winner, range(trials))) <= 50
