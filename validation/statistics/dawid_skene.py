"""Whose votes weigh more? A. P. Dawid and A. M. Skene (1979): truth and people's errors, estimated together.

The result is shown beside the majority, never instead of it: with few votes per person it says little, and
nobody can check it by looking at a photo. The code is our own because of its smoothing, without which one
vote can make somebody infallible. crowd-kit has no smoothing, takes ten times as long and needs pandas,
pyarrow and transformers (docs/decisions/0018-libraries-and-what-stays-our-own.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS, CLOSE = 100, 1e-6
SMOOTHING = (
    1.0  # pseudo-counts of right and wrong answers per person, so that one vote makes nobody infallible
)


@dataclass(frozen=True)
class Estimate:
    """fits (n,): the probability that the hashtag fits. sensitivity and specificity (people,): how often a
    person says yes to what fits, and no to what does not. prevalence: the share that fits.
    """

    fits: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]
    prevalence: float


def dawid_skene(
    questions: NDArray[np.int64], people: NDArray[np.int64], is_yes: NDArray[np.bool_]
) -> Estimate:
    """From votes (v,), each a question 0…n−1, a person 0…m−1 and an answer. Expectation–maximisation that
    starts at the share of yeses. Raises ValueError without votes.
    """
    if not len(questions):
        raise ValueError("There are no votes to learn from.")
    from scipy.special import expit, logit  # takes 0.2 s, which most commands need not wait for

    yes = is_yes.astype(float)
    n, m = int(questions.max()) + 1, int(people.max()) + 1
    votes = np.bincount(questions, minlength=n)
    fits = np.bincount(questions, yes, n) / np.maximum(votes, 1)
    has_votes = votes > 0
    for _ in range(ROUNDS):
        prevalence = float(np.clip(fits[has_votes].mean(), 1e-6, 1 - 1e-6))
        weight = fits[questions]
        sensitivity = _share(people, yes * weight, weight, m)
        specificity = _share(people, (1 - yes) * (1 - weight), 1 - weight, m)
        odds = np.where(
            is_yes,
            np.log(sensitivity[people] / (1 - specificity[people])),
            np.log((1 - sensitivity[people]) / specificity[people]),
        )
        before, fits = fits, expit(logit(prevalence) + np.bincount(questions, odds, n))
        if np.abs(fits - before).max() < CLOSE:
            break
    return Estimate(fits, sensitivity, specificity, prevalence)


def _share(
    people: NDArray[np.int64], right: NDArray[np.float64], of: NDArray[np.float64], m: int
) -> NDArray[np.float64]:
    """Each person's share of right answers, smoothed towards one wrong in three."""
    shares: NDArray[np.float64] = (np.bincount(people, right, m) + 2 * SMOOTHING) / (
        np.bincount(people, of, m) + 3 * SMOOTHING
    )
    return shares
