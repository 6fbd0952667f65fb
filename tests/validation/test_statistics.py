"""Estimators against published examples, brute force, and made-up crowds whose truth is known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.agreement import Rate
from validation.statistics.dawid_skene import dawid_skene
from validation.statistics.headline import (
    Person,
    Stratum,
    between_people,
    class_weighted,
    headline,
)
from validation.statistics.plan import photos_needed, still_needed
from validation.statistics.reliability import reliability
from validation.statistics.yes_saying import Known, corrected

# --- headline


def test_strata_weigh_by_their_size_not_by_how_many_were_asked() -> None:
    """90 % of the common hashtag fits and half of the rare one, which was asked about far more."""
    common = Stratum("cafe", 0, size=900, fits=9, misfits=1)
    rare = Stratum("bar", 0, size=100, fits=50, misfits=50)
    found = headline([common, rare])
    assert found is not None
    assert found.rate.value == pytest.approx(0.9 * 0.9 + 0.1 * 0.5)
    assert found.rate.n == 110
    weighted = class_weighted([common, rare])
    assert weighted is not None
    assert weighted.value == pytest.approx((0.9 + 0.5) / 2)


def test_a_tie_is_half_and_nothing_is_nothing() -> None:
    found = headline([Stratum("cafe", 0, 2, ties=2)])
    assert found is not None
    assert found.rate.value == 0.5
    assert headline([Stratum("cafe", 0, 5)]) is None
    assert headline([]) is None
    assert class_weighted([Stratum("cafe", 0, 5)]) is None


def test_an_empty_band_is_as_its_hashtag_and_an_empty_hashtag_is_told() -> None:
    strata = [
        Stratum("cafe", 0, 50),
        Stratum("cafe", 2, 50, fits=3, misfits=1),
        Stratum("bar", 1, 100),
    ]
    found = headline(strata)
    assert found is not None
    assert found.rate.value == 0.75
    assert found.unjudged == 0.5


def test_the_interval_has_width_where_everything_fits_and_shrinks_with_photos() -> None:
    widths = []
    for n in (10, 100, 1000):
        found = headline([Stratum("cafe", 0, n, fits=n)])
        assert found is not None
        assert found.rate.value == found.rate.high == 1
        widths.append(found.rate.high - found.rate.low)
    assert widths[0] > widths[1] > widths[2] > 0


def test_people_who_differ_make_the_interval_wider_and_like_people_do_not() -> None:
    """However many photos there are: the same few people judged them all."""
    strata = [Stratum("cafe", 0, 10_000, fits=8_000, misfits=2_000)]
    same = [Person(800, 1000)] * 10
    unlike = [Person(fits, 1000) for fits in (600, 700, 750, 780, 800, 820, 850, 860, 900, 940)]
    assert between_people(same) == 0
    spread = np.var([person.fits / 1000 for person in unlike], ddof=1)
    assert between_people(unlike) == pytest.approx(spread / 10, rel=0.05)
    narrow, wide = headline(strata, same), headline(strata, unlike)
    assert narrow is not None
    assert wide is not None
    assert narrow.rate.high - narrow.rate.low < 0.02 < 0.1 < wide.rate.high - wide.rate.low


# --- yes-saying


def test_rogan_and_gladen() -> None:
    """(0.30 + 0.80 − 1) / (0.90 + 0.80 − 1) = 1/7."""
    found = corrected(Rate(0.3, 0.25, 0.35, 300), Known(90, 100), Known(20, 100))
    assert found is not None
    assert found.value == pytest.approx(1 / 7)
    assert found.high - found.low > 0.1  # wider than the raw one: it carries three errors


def test_no_correction_from_few_known_answers_or_by_people_who_cannot_tell() -> None:
    raw = Rate(0.9, 0.88, 0.92, 500)
    assert corrected(raw, Known(19, 19), Known(1, 100)) is None
    assert corrected(raw, Known(90, 100), Known(1, 19)) is None
    assert corrected(raw, Known(50, 100), Known(50, 100)) is None


def test_perfect_people_need_no_correction() -> None:
    found = corrected(Rate(0.9, 0.88, 0.92, 500), Known(100, 100), Known(0, 100))
    assert found is not None
    assert found.value == pytest.approx(0.9)
    assert found.low <= 0.88
    assert found.high >= 0.92


# --- reliability


def test_gwets_own_example() -> None:
    """125 subjects, two raters, 118 + 5 + 2 + 0 (K. L. Gwet 2002): 94.4 %, AC1 0.9408; alpha sees nothing."""
    counts = np.array([(2, 0)] * 118 + [(1, 1)] * 7)
    found = reliability(counts)
    assert found is not None
    assert found.percent == pytest.approx(0.944)
    assert found.ac1 == pytest.approx(0.9408, abs=5e-5)
    assert found.alpha is not None
    assert found.alpha < 0


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_percent_is_the_share_of_equal_pairs(counts: list[tuple[int, int]]) -> None:
    shares = []
    for fits, not_ in counts:
        pairs = list(combinations([1] * fits + [0] * not_, 2))
        if pairs:
            shares.append(sum(a == b for a, b in pairs) / len(pairs))
    found = reliability(np.array(counts))
    if not shares:
        assert found is None
    else:
        assert found is not None
        assert found.percent == pytest.approx(np.mean(shares))


def test_alpha_is_not_defined_where_all_say_the_same() -> None:
    found = reliability(np.array([(3, 0), (2, 0)]))
    assert found is not None
    assert found.alpha is None
    assert found.percent == found.ac1 == 1


# --- Dawid and Skene


def test_a_careless_half_of_the_crowd_is_found_and_outvoted() -> None:
    numbers = np.random.default_rng(0)
    truth = numbers.random(400) < 0.7
    skill = np.array([0.95] * 5 + [0.55] * 6)
    questions, people = (grid.ravel() for grid in np.meshgrid(range(400), range(11), indexing="ij"))
    right = numbers.random(len(questions)) < skill[people]
    said_yes = np.where(right, truth[questions], ~truth[questions])
    found = dawid_skene(questions, people, said_yes)
    majority = np.bincount(questions, said_yes) / 11 > 0.5
    assert ((found.fits > 0.5) == truth).mean() > max(0.985, (majority == truth).mean())
    assert found.sensitivity[:5].min() > 0.9 > 0.7 > found.sensitivity[5:].max()
    assert found.prevalence == pytest.approx(truth.mean(), abs=0.02)


def test_no_votes_no_judgement() -> None:
    with pytest.raises(ValueError, match="no votes"):
        dawid_skene(np.array([], int), np.array([], int), np.array([], bool))


# --- plan


def test_five_points_at_ninety_percent_take_139_photos() -> None:
    assert photos_needed() == 139
    assert still_needed(100, 500) == 39
    assert still_needed(100, 120) == 20
    assert still_needed(300, 500) == 0
    with pytest.raises(ValueError, match="between"):
        photos_needed(1.0)
