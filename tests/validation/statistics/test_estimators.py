"""Estimators against published examples, brute force, and made-up crowds whose truth is known."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.statistics.dawid_skene import dawid_skene
from validation.statistics.headline import Stratum, class_weighted, headline
from validation.statistics.people import between_people
from validation.statistics.plan import photos_needed, still_needed
from validation.statistics.reliability import reliability
from validation.statistics.yes_saying import YesCount, correct, count_yes, share_of_yes

# --- headline


def test_strata_weigh_by_their_size_not_by_their_answers() -> None:
    """90 % of the common hashtag fits and half of the rare one, which was asked about far more."""
    common = Stratum("cafe", 0, size=900, fits=9, misfits=1)
    rare = Stratum("bar", 0, size=100, fits=50, misfits=50)
    estimate = headline([common, rare])
    assert estimate is not None
    assert estimate.rate.value == pytest.approx(0.9 * 0.9 + 0.1 * 0.5)
    assert estimate.rate.n == 110
    weighted = class_weighted([common, rare])
    assert weighted is not None
    assert weighted.value == pytest.approx((0.9 + 0.5) / 2)


def test_tie_counts_half_and_no_answers_give_no_rate() -> None:
    estimate = headline([Stratum("cafe", 0, 2, ties=2)])
    assert estimate is not None
    assert estimate.rate.value == 0.5
    assert headline([Stratum("cafe", 0, 5)]) is None
    assert headline([]) is None
    assert class_weighted([Stratum("cafe", 0, 5)]) is None


def test_other_bands_represent_an_empty_band_and_an_empty_hashtag_is_unjudged() -> None:
    strata = [
        Stratum("cafe", 0, 50),
        Stratum("cafe", 2, 50, fits=3, misfits=1),
        Stratum("bar", 1, 100),
    ]
    estimate = headline(strata)
    assert estimate is not None
    assert estimate.rate.value == 0.75
    assert estimate.unjudged == 0.5


def test_an_empty_band_leaves_the_others_their_weights() -> None:
    """The unsure third was asked about most, the sure one not yet: rates .5 and .9, not 145 of 250."""
    strata = [
        Stratum("beach", 0, 300, fits=100, misfits=100),
        Stratum("beach", 1, 300, fits=45, misfits=5),
        Stratum("beach", 2, 300),
    ]
    estimate, weighted = headline(strata), class_weighted(strata)
    assert estimate is not None
    assert weighted is not None
    assert estimate.rate.value == pytest.approx(0.7) == weighted.value
    assert estimate.unjudged == 0


def test_bands_do_not_represent_bands_of_another_part() -> None:
    """Another campaign's photos, or photos that joined late: nobody has answered, nothing is known."""
    strata = [Stratum("beach", band, 300, 270, 0, 30, part=(1,)) for band in range(3)]
    estimate = headline([*strata, Stratum("beach", 0, 100, part=(2,))])
    assert estimate is not None
    assert estimate.rate.value == pytest.approx(0.9)
    assert estimate.unjudged == pytest.approx(0.1)


def test_the_interval_has_width_where_everything_fits_and_shrinks_with_photos() -> None:
    widths = []
    for n in (10, 100, 1000):
        estimate = headline([Stratum("cafe", 0, n, fits=n)])
        assert estimate is not None
        assert estimate.rate.value == estimate.rate.high == 1
        widths.append(estimate.rate.high - estimate.rate.low)
    assert widths[0] > widths[1] > widths[2] > 0


def answers_of(*people: tuple[int, int, int]) -> tuple[Any, Any, Any]:
    """(stratum, yes, no) of each person → person, stratum and answer of each vote."""
    who = np.repeat(np.arange(len(people)), [yes + no for _, yes, no in people])
    strata = np.repeat([stratum for stratum, *_ in people], [yes + no for _, yes, no in people])
    answers = np.concatenate([np.arange(yes + no) < yes for _, yes, no in people])
    return who, strata, answers


def test_interval_is_wider_only_if_people_differ() -> None:
    """Whatever the number of photos: the same few people judged them all."""
    strata = [Stratum("cafe", 0, 10_000, fits=8_000, misfits=2_000)]
    same = between_people(*answers_of(*[(0, 800, 200)] * 10))
    yes = (600, 700, 750, 780, 800, 820, 850, 860, 900, 940)
    unlike = between_people(*answers_of(*((0, n, 1000 - n) for n in yes)))
    assert same == 0
    spread = np.var([n / 1000 for n in yes], ddof=1)
    assert unlike == pytest.approx(spread / 10, rel=0.05)
    narrow, wide = headline(strata, same), headline(strata, unlike)
    assert narrow is not None
    assert wide is not None
    assert narrow.rate.high - narrow.rate.low < 0.02 < 0.1 < wide.rate.high - wide.rate.low


def test_person_who_was_asked_about_unsure_photos_is_not_strict() -> None:
    assert between_people(*answers_of(*[(0, 500, 500)] * 5, *[(1, 950, 50)] * 5)) == 0
    assert between_people(*answers_of((0, 5, 5))) == 0
    assert between_people(*answers_of((0, 0, 0))) == 0


# --- yes-saying


def sure(yes: int, n: int, photos: int = 50) -> YesCount:
    return YesCount(yes, n, photos, variance=0.001)


def test_correction_follows_rogan_and_gladen() -> None:
    """(0.30 + 0.80 − 1) / (0.90 + 0.80 − 1) = 1/7."""
    estimate = correct(0.3, 0.0006, 300, sure(90, 100), sure(20, 100))
    assert estimate is not None
    assert estimate.value == pytest.approx(1 / 7)
    assert estimate.high - estimate.low > 0.1  # wider than the raw one: it carries three errors


def test_few_known_answers_or_people_who_cannot_tell_give_no_correction() -> None:
    few = (sure(19, 19), sure(1, 100))
    assert correct(0.9, 0.0001, 500, *few) is None
    assert correct(0.9, 0.0001, 500, sure(90, 100), sure(1, 19)) is None
    assert correct(0.9, 0.0001, 500, sure(90, 100, 4), sure(1, 100)) is None
    assert correct(0.9, 0.0001, 500, sure(50, 100), sure(50, 100)) is None


def test_perfect_people_need_no_correction() -> None:
    estimate = correct(0.9, 0.0001, 500, sure(100, 100), sure(0, 100))
    assert estimate is not None
    assert estimate.value == pytest.approx(0.9)
    assert estimate.low <= 0.88
    assert estimate.high >= 0.92


def test_similar_answers_about_a_photo_increase_the_variance() -> None:
    """Ten photos, ten answers each: on five everybody says yes, on five nobody does."""
    apart, together = count_yes([(10, 0, 5), (0, 10, 5)]), count_yes([(5, 5, 10)])
    assert (apart.yes, apart.n, apart.photos, apart.share) == (50, 100, 10, 0.5)
    assert apart.variance == pytest.approx(0.25 / 9)
    assert together.variance < apart.variance / 5
    assert count_yes([]) == count_yes([(0, 0, 7)]) == YesCount(0, 0)


def test_correction_uses_single_answers_and_finds_the_truth() -> None:
    """People of sensitivity .9 who say yes to one wrong hashtag in ten; 80 % of the photos fit. The majority
    of three is right more often than any of them, and would be corrected twice.
    """
    numbers = np.random.default_rng(0)
    fits = numbers.random(4000) < 0.8
    yes = numbers.binomial(3, np.where(fits, 0.9, 0.1))
    strata = [Stratum("cafe", 0, 4000, int((yes > 1).sum()), 0, int((yes < 2).sum()))]
    estimate = share_of_yes(strata, np.zeros(4000, int), yes / 3)
    assert estimate is not None
    rate = correct(*estimate, 4000, count_yes([(90, 10, 50)]), count_yes([(10, 90, 50)]))
    assert rate is not None
    assert rate.value == pytest.approx(fits.mean(), abs=0.01)
    assert rate.low < 0.8 < rate.high
    assert share_of_yes([Stratum("cafe", 0, 9)], np.array([], int), np.array([])) is None


# --- reliability


def test_ac1_matches_gwets_published_example() -> None:
    """125 subjects, two raters, 118 + 5 + 2 + 0 (K. L. Gwet 2002): 94.4 %, AC1 0.9408; alpha sees nothing."""
    counts = np.array([(2, 0)] * 118 + [(1, 1)] * 7)
    estimate = reliability(counts)
    assert estimate is not None
    assert estimate.percent == pytest.approx(0.944)
    assert estimate.ac1 == pytest.approx(0.9408, abs=5e-5)
    assert estimate.alpha is not None
    assert estimate.alpha < 0


def test_alpha_matches_the_published_value_and_the_package_krippendorff() -> None:
    """K. Krippendorff 2011, section A; and what version 0.9.0 of the package said of six questions."""
    example = reliability(np.array([(0, 2), *[(1, 1)] * 4, *[(2, 0)] * 5]))
    assert example is not None
    assert example.alpha == pytest.approx(0.095, abs=0.0005)
    uneven = reliability(np.array([(3, 0), (2, 1), (0, 4), (5, 2), (1, 1), (1, 5), (1, 0), (0, 0)]))
    assert uneven is not None
    assert uneven.alpha == pytest.approx(0.28205128205128205, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_percent_is_the_share_of_equal_pairs(counts: list[tuple[int, int]]) -> None:
    shares = []
    for fits, not_ in counts:
        pairs = list(combinations([1] * fits + [0] * not_, 2))
        if pairs:
            shares.append(sum(a == b for a, b in pairs) / len(pairs))
    estimate = reliability(np.array(counts))
    if not shares:
        assert estimate is None
    else:
        assert estimate is not None
        assert estimate.percent == pytest.approx(np.mean(shares))


def test_alpha_is_undefined_if_all_answers_are_equal() -> None:
    estimate = reliability(np.array([(3, 0), (2, 0)]))
    assert estimate is not None
    assert estimate.alpha is None
    assert estimate.percent == estimate.ac1 == 1


# --- Dawid and Skene


def test_a_careless_half_of_the_crowd_is_found_and_outvoted() -> None:
    numbers = np.random.default_rng(0)
    truth = numbers.random(400) < 0.7
    skill = np.array([0.95] * 5 + [0.55] * 6)
    questions, people = (grid.ravel() for grid in np.meshgrid(range(400), range(11), indexing="ij"))
    right = numbers.random(len(questions)) < skill[people]
    is_yes = np.where(right, truth[questions], ~truth[questions])
    estimate = dawid_skene(questions, people, is_yes)
    majority = np.bincount(questions, is_yes) / 11 > 0.5
    assert ((estimate.fits > 0.5) == truth).mean() > max(0.985, (majority == truth).mean())
    assert estimate.sensitivity[:5].min() > 0.9 > 0.7 > estimate.sensitivity[5:].max()
    assert estimate.prevalence == pytest.approx(truth.mean(), abs=0.02)
    assert estimate.prevalence == pytest.approx(0.6399, abs=0.0005)  # crowd-kit 1.4.2, which does not smooth


def test_dawid_skene_refuses_an_empty_set_of_votes() -> None:
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
