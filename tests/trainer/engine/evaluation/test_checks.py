"""Does a hashtag fit? Accusations are as rare as they say, and few photos accuse nobody."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binomtest

from trainer.engine.evaluation import checks
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.report import softmax

LABELS = ["cafe", "church", "sky", "other"]


def photos(count: int, seed: int, strength: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities (n, 4) of photos whose true label mostly has the largest, and true (n,)."""
    numbers = np.random.default_rng(seed)
    probabilities = softmax(numbers.normal(0, strength, (count, len(LABELS))))
    true = (probabilities.cumsum(1) > numbers.random((count, 1))).argmax(1)
    return probabilities, true.astype(np.int64)


def test_accusations_of_fitting_hashtags_stay_below_their_limit_on_other_photos() -> None:
    """A limit that only keeps 1 % of the photos it was chosen on would be missed by every second draw."""
    everything = photos(40_000, seed=99)
    missed = 0
    for seed in range(20):
        found = checks.fit_checks(*photos(1_000, seed), LABELS)
        accused, _ = checks.verdicts(everything[0], LABELS, found)
        missed += accused[everything[1][:, None] == np.arange(3)].mean() > checks.ACCUSED_HERE
        assert accused.mean() > 0.05
    assert missed <= 3


def test_the_limit_is_the_highest_that_the_exact_bound_allows() -> None:
    chances = np.linspace(0.001, 0.999, 800)
    below = int((chances < checks._lowest(chances, 0.01)).sum())
    bounds = [
        binomtest(k, 800, alternative="less").proportion_ci(0.95, method="exact").high
        for k in (below, below + 1)
    ]
    assert bounds[0] <= 0.01 < bounds[1]


def test_a_photo_that_shows_something_else_too_is_rarely_accused_of_its_own_hashtag() -> None:
    """The limits of photos with one label alone would accuse it ten times as often."""
    hashtags = np.arange(3)
    both, lesser = checks.laid_over(*photos(40_000, seed=98), hashtags)
    missed = 0
    for seed in range(10):
        accused, _ = checks.verdicts(both, LABELS, checks.fit_checks(*photos(1_000, seed), LABELS))
        missed += accused[lesser[:, None] == hashtags].mean() > checks.FALSELY_ACCUSED
    assert missed <= 2


def test_each_photo_with_a_hashtag_lies_under_one_of_another_label() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    both, lesser = checks.laid_over(probabilities, np.array([0, 1, 2]), np.array([0, 1]))
    assert set(lesser.tolist()) <= {0, 1}
    for row, own in zip(both, lesser, strict=True):
        assert row.sum() == pytest.approx(1)
        assert sorted(row)[1] == row[own]  # neither the likeliest, which lies over it, nor the least


def test_one_hashtag_is_compared_with_other() -> None:
    probabilities, true = photos(4_000, seed=5)
    true = np.where(true < 2, 0, 1)
    two = np.stack([probabilities[:, :2].sum(1), probabilities[:, 2:].sum(1)], 1)
    assert checks.fit_checks(two, true, ["cafe", "other"])["cafe"].does_not_fit_below > checks.NOTHING


@pytest.mark.parametrize(("count", "accuses"), [(299, True), (298, False)])
def test_too_few_photos_accuse_nobody(count: int, accuses: bool) -> None:
    assert (checks._lowest(np.linspace(0.1, 0.9, count), 0.01) > checks.NOTHING) == accuses


def test_probabilities_mean_what_they_say() -> None:
    probabilities, true = photos(20_000, seed=1)
    found = checks.fit_checks(probabilities, true, LABELS)
    numbers = checks.evidence(probabilities)
    chances = np.array(
        [[found[x].probability(row[at]) for at, x in enumerate(LABELS[:3])] for row in numbers]
    )
    fits = true[:, None] == np.arange(3)
    for low in (0.05, 0.3, 0.6, 0.85):
        inside = (chances >= low) & (chances < low + 0.1)
        assert fits[inside].mean() == pytest.approx(chances[inside].mean(), abs=0.05)


def test_a_likelier_label_takes_less_from_another_than_its_share_loses() -> None:
    """A church is architecture, too: that the network is sure of #church says little against #cafe."""
    unsure, sure = softmax(np.array([[2.0, 3.0, -3.0, -3.0], [2.0, 9.0, -3.0, -3.0]]))
    shares = np.log(unsure[0] / (1 - unsure[0])) - np.log(sure[0] / (1 - sure[0]))
    numbers = checks.evidence(np.array([unsure, sure]))
    assert 0 < numbers[0, 0] - numbers[1, 0] < 0.85 * shares


def test_a_hashtag_with_three_photos_follows_the_others() -> None:
    probabilities, true = photos(3_000, seed=2)
    rare = (true != 2) | (np.cumsum(true == 2) <= 3)
    found = checks.fit_checks(probabilities[rare], true[rare], LABELS)
    others = (found["cafe"].slope + found["church"].slope) / 2
    assert found["sky"].slope == pytest.approx(others, rel=0.5)
    assert found["sky"].fits_from >= 0.5
    assert found["sky"].does_not_fit_below <= max(found[x].does_not_fit_below for x in ("cafe", "church"))


def test_a_hashtag_that_is_accused_more_often_gets_a_lower_limit() -> None:
    chances = np.full((2_000, 2), 0.5)
    fits = np.zeros((2_000, 2), bool)
    fits[:1_900, 0] = fits[1_900:, 1] = True
    chances[:1_900, 0] = np.linspace(0.2, 0.9, 1_900)
    chances[1_900:, 1] = np.linspace(0.01, 0.9, 100)  # one in five is below all of the other hashtag's
    usual, lower = checks._accusing(chances, fits, checks._lowest(chances[fits], 0.01))
    assert lower < usual
    assert (chances[1_900:, 1] < lower).mean() <= 0.02


def test_verdicts_and_their_limits() -> None:
    check = checks.Check(1.0, 0.0, does_not_fit_below=0.1, fits_from=0.7)
    assert [check.verdict(p) for p in (0.09, 0.1, 0.69, 0.7)] == [
        "does_not_fit",
        "doubtful",
        "doubtful",
        "fits",
    ]
    assert checks.Check(1.0, 0.0).verdict(0.0) == checks.Check(1.0, 0.0).verdict(1.0) == "doubtful"
    assert checks.Check(1.0, 0.0).fits_from == NEVER


def test_what_a_manifest_says_is_read_back_as_it_was() -> None:
    probabilities, true = photos(2_000, seed=3)
    facts = json.loads(json.dumps(checks.check_facts(probabilities, true, LABELS)))
    found = checks.fit_checks(probabilities, true, LABELS)
    assert {name: asdict(check) for name, check in checks.read_checks(facts).items()} == {
        name: asdict(check) for name, check in found.items()
    }
    assert facts["held_out"]["photos"] == 2_000
    assert facts["held_out"]["falsely_accused"] < 0.03
    assert facts["held_out"]["right"] == pytest.approx(0.9, abs=0.05)
