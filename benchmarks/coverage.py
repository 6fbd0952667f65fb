"""How often the 95 % interval on the dashboard covers the truth, in simulated crowds.

    python -m benchmarks.coverage [--repetitions 1000] [--people 40] [--votes 5]

The population has photos in 7 hashtags × 3 bands of confidence, which differ in size and in how often the
hashtag fits. Questions are a random sample of each band, with more about rare hashtags and unsure photos.
Photos are easy or hard; people are strict or lenient, careful or not. Each photo gets its votes from people
drawn at random or ("in turn") from a quarter of the crowd at a time, with unsure photos first. The truth is
the share of all photos that the same kind of crowd would find fitting, and its mean over hashtags ("by
class"), from a very large sample. Baseline in the same run: Wilson's interval on raw votes.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapping.statistics import wilson
from validation.statistics.headline import Stratum, class_weighted, headline
from validation.statistics.people import between_people
from validation.statistics.rate import Rate

HASHTAGS = 7
SAMPLING = (2.0, 1.0, 0.5)  # relative share of questions per band, the unsure band first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--votes", type=int, default=5)
    options = parser.parse_args()
    head = ("photos", "rate", "covered", "width", "bias", "by class", "in turn", "width", "raw votes")
    print("".join(f"{word:>10}" for word in head))
    rows = []
    for logit in (1.0, 2.5, 4.5):
        for photos in (60, 300, 1000):
            row = measure(photos, logit, options.repetitions, options.people, options.votes)
            rows.append(row)
            keys = ("covered", "width", "bias", "class_covered", "in_turn_covered", "in_turn_width")
            values = [row["rate"], *(row[key] for key in keys), row["votes_covered"]]
            print(f"{photos:>10}" + "".join(f"{value:>10.3f}" for value in values), flush=True)
    shares = [row[key] for row in rows for key in ("covered", "class_covered", "in_turn_covered")]
    result = {
        "benchmark": "coverage",
        "people": options.people,
        "votes": options.votes,
        "repetitions": options.repetitions,
        "least": min(shares),
        "most": max(shares),
        "mean": round(float(np.mean(shares)), 4),
        "baseline_votes_mean": round(float(np.mean([row["votes_covered"] for row in rows])), 4),
        "rows": rows,
    }
    print(json.dumps(result))


class Population:
    """Strata with a size and a difficulty each. All repetitions of a row use the same ones."""

    def __init__(self, logit: float) -> None:
        sizes = np.geomspace(1, 20, HASHTAGS)
        self.size = np.repeat(sizes, 3) / 3
        self.size /= self.size.sum()
        spread = np.random.default_rng(1).normal(0, 0.7, HASHTAGS)
        self.centre = logit + np.repeat(spread, 3) + np.tile([-1.0, 0.0, 1.0], HASHTAGS)

    def photos(self, strata: NDArray[np.int64], numbers: np.random.Generator) -> NDArray[np.float64]:
        """How clearly the hashtag fits each photo: mostly a clear yes or a clear no, sometimes in between."""
        wrong = numbers.random(len(strata)) > 1 / (1 + np.exp(-self.centre[strata]))
        return np.where(wrong, -1, 1) * numbers.gamma(2.0, 1.2, len(strata))


def vote(
    clarity: NDArray[np.float64],
    people: int,
    votes: int,
    numbers: np.random.Generator,
    at_a_time: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """The number of yes votes per photo (n,); and the voter and the answer of each vote (n, votes).

    Each photo gets `votes` different voters. With `at_a_time`, people come in groups of this size.
    """
    lenience, care = numbers.normal(0.2, 0.5, people), numbers.lognormal(0, 0.3, people)
    turn = numbers.random((len(clarity), people))
    if at_a_time:
        group = np.arange(len(clarity)) * (people // at_a_time) // max(1, len(clarity))
        turn += np.arange(people) // at_a_time != group[:, None]
    voters = turn.argsort(1)[:, :votes]
    chance = 1 / (1 + np.exp(-(clarity[:, None] * care[voters] + lenience[voters])))
    answers = numbers.random(chance.shape) < chance
    return np.asarray(answers.sum(1)), voters, answers


def outcome(yes: NDArray[np.int64], votes: int) -> NDArray[np.float64]:
    return np.where(2 * yes == votes, 0.5, (2 * yes > votes).astype(float))


def truth(population: Population, people: int, votes: int) -> tuple[float, float]:
    """What the two headlines estimate: the share of fitting photos, and its mean over hashtags."""
    numbers = np.random.default_rng(2)
    sums, counts = np.zeros(len(population.size)), np.zeros(len(population.size))
    for _ in range(400):  # crowds
        strata = numbers.integers(len(population.size), size=2000)
        yes, *_ = vote(population.photos(strata, numbers), people, votes, numbers)
        sums += np.bincount(strata, outcome(yes, votes), len(sums))
        counts += np.bincount(strata, minlength=len(sums))
    rates = sums / counts
    by_hashtag = (population.size * rates).reshape(-1, 3).sum(1) / population.size.reshape(-1, 3).sum(1)
    return float(population.size @ rates), float(by_hashtag.mean())


class Estimates:
    """Estimates of one quantity, compared with the truth."""

    def __init__(self, true: float) -> None:
        self.true = true
        self.covered: list[bool] = []
        self.widths: list[float] = []
        self.values: list[float] = []

    def add(self, rate: Rate | None) -> None:
        assert rate is not None
        self.covered.append(rate.low <= self.true <= rate.high)
        self.widths.append(rate.high - rate.low)
        self.values.append(rate.value)

    def row(self, name: str) -> dict[str, float]:
        means = np.mean(self.covered), np.mean(self.widths), np.mean(self.values) - self.true
        keys = (f"{name}covered", f"{name}width", f"{name}bias")
        return {key: round(float(mean), 4) for key, mean in zip(keys, means, strict=True)}


def measure(photos: int, logit: float, repetitions: int, people: int, votes: int) -> dict[str, Any]:
    population = Population(logit)
    micro, macro = truth(population, people, votes)
    numbers = np.random.default_rng(photos)
    shares = np.sqrt(population.size) * np.tile(SAMPLING, HASHTAGS)
    shares /= shares.sum()
    overall, by_class, in_turn, raw = (
        Estimates(micro),
        Estimates(macro),
        Estimates(micro),
        Estimates(micro),
    )
    for _ in range(repetitions):
        strata = numbers.choice(len(shares), photos, p=shares)
        for at_a_time in (None, max(votes, people // 4)):
            if at_a_time:  # people who come early get the unsure photos
                strata = strata[np.argsort(strata % 3 + numbers.random(photos))]
            yes, voters, answers = vote(population.photos(strata, numbers), people, votes, numbers, at_a_time)
            _, person = np.unique(voters, return_inverse=True)
            between = between_people(person.ravel(), np.repeat(strata, votes), answers.ravel())
            parts = count_outcomes(population, strata, outcome(yes, votes))
            estimate = headline(parts, between)
            (in_turn if at_a_time else overall).add(estimate.rate if estimate else None)
            if not at_a_time:
                by_class.add(class_weighted(parts, between))
                share, n = float(yes.sum()) / (votes * photos), votes * photos
                raw.add(Rate(share, *wilson(share, n), n=n))
    return (
        {"photos": photos, "rate": round(micro, 4)}
        | overall.row("")
        | by_class.row("class_")
        | in_turn.row("in_turn_")
        | {"votes_covered": raw.row("")["covered"]}
    )


def count_outcomes(
    population: Population, strata: NDArray[np.int64], outcomes: NDArray[np.float64]
) -> list[Stratum]:
    parts = []
    for at, size in enumerate(population.size):
        fits, ties, misfits = (int(((strata == at) & (outcomes == value)).sum()) for value in (1.0, 0.5, 0.0))
        parts.append(Stratum(f"{at // 3}", at % 3, round(100_000 * size), fits, ties, misfits))
    return parts


if __name__ == "__main__":
    main()
