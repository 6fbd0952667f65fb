"""How often the shown 95 % interval holds the truth, in made-up crowds.

    python -m benchmarks.coverage [--repetitions 1000] [--people 40] [--votes 5]

A population of photos in 7 hashtags × 3 bands, unlike in size and in how often they fit. Of each band a
random part is asked about, unevenly: rare hashtags and unsure photos more. Photos are easy or hard, people
strict or lenient and of differing care; each photo gets its votes from people drawn at random. The truth is
the share that the same kind of crowd would find fitting over all photos, from a very large sample.
Baseline in the same run: Wilson's interval on raw votes.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.agreement import wilson
from validation.statistics.headline import Person, Stratum, headline

HASHTAGS = 7
ASKED = (2.0, 1.0, 0.5)  # how eagerly the bands are asked about, the unsure first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--votes", type=int, default=5)
    options = parser.parse_args()
    print(f"{'photos':>7}{'rate':>7}{'covered':>9}{'width':>7}{'bias':>8}{'votes covered':>15}")
    rows = []
    for logit in (1.0, 2.5, 4.5):
        for photos in (60, 300, 1000):
            row = measure(photos, logit, options.repetitions, options.people, options.votes)
            rows.append(row)
            print(
                f"{photos:>7}{row['rate']:>7.3f}{row['covered']:>9.3f}{row['width']:>7.3f}"
                f"{row['bias']:>8.4f}{row['votes_covered']:>15.3f}",
                flush=True,
            )
    covered = [row["covered"] for row in rows]
    result = {
        "benchmark": "coverage",
        "people": options.people,
        "votes": options.votes,
        "repetitions": options.repetitions,
        "least": min(covered),
        "most": max(covered),
        "mean": round(float(np.mean(covered)), 4),
        "baseline_votes_mean": round(float(np.mean([row["votes_covered"] for row in rows])), 4),
        "rows": rows,
    }
    print(json.dumps(result))


class Population:
    """Strata with a size and a difficulty each; the same for all repetitions of a row."""

    def __init__(self, logit: float) -> None:
        sizes = np.geomspace(1, 20, HASHTAGS)
        self.size = np.repeat(sizes, 3) / 3
        self.size /= self.size.sum()
        spread = np.random.default_rng(1).normal(0, 0.7, HASHTAGS)
        self.centre = logit + np.repeat(spread, 3) + np.tile([-1.0, 0.0, 1.0], HASHTAGS)

    def photos(self, strata: NDArray[np.int64], numbers: np.random.Generator) -> NDArray[np.float64]:
        """How clearly the hashtag fits each photo: most clearly or clearly not, some in between."""
        wrong = numbers.random(len(strata)) > 1 / (1 + np.exp(-self.centre[strata]))
        return np.where(wrong, -1, 1) * numbers.gamma(2.0, 1.2, len(strata))


def vote(
    clarity: NDArray[np.float64], people: int, votes: int, numbers: np.random.Generator
) -> tuple[NDArray[np.int64], list[Person]]:
    """Yeses (n,) of `votes` different people a photo: lenient or strict, careful or not. And the people."""
    lenience, care = numbers.normal(0.2, 0.5, people), numbers.lognormal(0, 0.3, people)
    who = numbers.random((len(clarity), people)).argsort(1)[:, :votes]
    chance = 1 / (1 + np.exp(-(clarity[:, None] * care[who] + lenience[who])))
    said = numbers.random(chance.shape) < chance
    fits, answers = (np.bincount(who.ravel(), weights, people) for weights in (said.ravel(), None))
    crowd = [Person(int(yes), int(n)) for yes, n in zip(fits, answers, strict=True)]
    return np.asarray(said.sum(1)), crowd


def outcome(yes: NDArray[np.int64], votes: int) -> NDArray[np.float64]:
    return np.where(2 * yes == votes, 0.5, (2 * yes > votes).astype(float))


def truth(population: Population, people: int, votes: int) -> float:
    numbers = np.random.default_rng(2)
    means = []
    for _ in range(400):  # crowds
        strata = numbers.choice(len(population.size), 2000, p=population.size)
        yes, _ = vote(population.photos(strata, numbers), people, votes, numbers)
        means.append(outcome(yes, votes).mean())
    return float(np.mean(means))


def measure(photos: int, logit: float, repetitions: int, people: int, votes: int) -> dict[str, Any]:
    population = Population(logit)
    true = truth(population, people, votes)
    numbers = np.random.default_rng(photos)
    asked = np.sqrt(population.size) * np.tile(ASKED, HASHTAGS)
    asked /= asked.sum()
    covered, widths, values, by_votes = [], [], [], []
    for _ in range(repetitions):
        strata = numbers.choice(len(asked), photos, p=asked)
        yes, crowd = vote(population.photos(strata, numbers), people, votes, numbers)
        said = outcome(yes, votes)
        found = headline(
            [
                Stratum(
                    f"{at // 3}",
                    at % 3,
                    round(100_000 * population.size[at]),
                    *(int(((strata == at) & (said == value)).sum()) for value in (1.0, 0.5, 0.0)),
                )
                for at in range(len(asked))
            ],
            crowd,
        )
        assert found is not None
        covered.append(found.rate.low <= true <= found.rate.high)
        widths.append(found.rate.high - found.rate.low)
        values.append(found.rate.value)
        low, high = wilson(float(yes.sum()) / (votes * photos), votes * photos)
        by_votes.append(low <= true <= high)
    return {
        "photos": photos,
        "rate": round(true, 4),
        "covered": round(float(np.mean(covered)), 4),
        "width": round(float(np.mean(widths)), 4),
        "bias": round(float(np.mean(values)) - true, 4),
        "votes_covered": round(float(np.mean(by_votes)), 4),
    }


if __name__ == "__main__":
    main()
