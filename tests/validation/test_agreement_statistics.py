"""Known answers, the edges, and whether the intervals cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from validation.agreement import (
    FEW,
    Rate,
    Tally,
    by_hashtag,
    class_weighted,
    majority,
    overall,
    wilson,
)


def said(hashtag: str, *answers: tuple[int, int], first: int = 0) -> list[Tally]:
    return [Tally(first + i, hashtag, fits, not_) for i, (fits, not_) in enumerate(answers)]


def test_majority() -> None:
    assert [majority(2, 1), majority(1, 2), majority(1, 1), majority(0, 0)] == [1.0, 0.0, 0.5, None]


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 12), (12, 12), (7, 10), (86, 100), (129, 150)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    known = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k / n, n) == pytest.approx((known.low, known.high), abs=1e-12)


def test_overall_counts_photos_not_votes() -> None:
    # Twelve people at one photo weigh as much as one person at another.
    rate = overall(said("cafe", (12, 0), (0, 1), (1, 0), (1, 0)))
    assert rate is not None
    assert (rate.value, rate.n) == (0.75, 4)


def test_ties_count_as_half_and_unanswered_photos_not_at_all() -> None:
    rate = overall(said("cafe", (1, 0), (1, 1), (0, 0)))
    assert rate is not None
    assert (rate.value, rate.n) == (0.75, 2)


def test_a_photo_with_two_hashtags_counts_once() -> None:
    rate = overall([Tally(1, "cafe", 1, 0), Tally(1, "bar", 0, 1), Tally(2, "bar", 1, 0)])
    assert rate is not None
    assert (rate.value, rate.n) == (0.75, 2)


def test_nothing_answered_is_no_rate() -> None:
    assert overall([]) is None
    assert class_weighted(said("cafe", (0, 0))) is None
    assert by_hashtag([]) == {}


def test_one_photo_and_all_fit_keep_a_width() -> None:
    one = overall(said("cafe", (1, 0)))
    assert one == Rate(1.0, pytest.approx(0.2065, abs=1e-4), 1.0, 1)  # type: ignore[arg-type]
    twenty = overall(said("cafe", *[(1, 0)] * 20))
    assert twenty == Rate(1.0, pytest.approx(0.8389, abs=1e-4), 1.0, 20)  # type: ignore[arg-type]
    macro = class_weighted(said("cafe", (1, 0)) + said("bar", (1, 0), first=9))
    assert macro is not None
    assert (macro.value, macro.high) == (1.0, 1.0)
    assert macro.low < 0.5


def test_class_weighted_is_the_mean_of_the_hashtags() -> None:
    rate = class_weighted(said("cafe", (1, 0), (1, 0), (1, 0), (0, 1)) + said("bar", (0, 1), first=9))
    assert rate is not None
    assert rate.value == pytest.approx(0.375)
    assert rate.n == 5


def test_class_weighted_with_one_hashtag_is_the_overall_rate() -> None:
    tallies = said("cafe", (1, 0), (1, 0), (0, 1))
    assert class_weighted(tallies) == overall(tallies)


def test_few() -> None:
    assert Rate(1, 0, 1, FEW - 1).is_few
    assert not Rate(1, 0, 1, FEW).is_few


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from(["cafe", "bar", "sport"]), st.integers(0, 3), st.integers(0, 3)
        ),
        max_size=30,
    )
)
def test_every_rate_lies_inside_its_interval(rows: list[tuple[int, str, int, int]]) -> None:
    tallies = [Tally(*row) for row in rows]
    for rate in (overall(tallies), class_weighted(tallies), *by_hashtag(tallies).values()):
        if rate is not None:
            assert 0 <= rate.low <= rate.value <= rate.high <= 1


def test_intervals_cover_the_truth() -> None:
    """Small and unequal hashtags: at least 92 % of 400 campaigns, where a bootstrap covers 58 %."""
    random = np.random.default_rng(1)
    sizes, fits = [1, 2, 3, 4, 5, 8, 10], [0.8, 0.9, 0.85, 0.95, 0.9, 0.8, 0.9]
    truth = float(np.mean(fits))
    covered = 0
    for _ in range(400):
        tallies = [
            Tally(100 * h + i, str(h), 3 * int(random.random() < fits[h]), 1)
            for h, size in enumerate(sizes)
            for i in range(size)
        ]
        rate = class_weighted(tallies)
        assert rate is not None
        covered += rate.low <= truth <= rate.high
    assert covered / 400 >= 0.92
