"""How often thresholds from people's votes miss their target, in simulated crowds, and what they cost.

    python -m benchmarks.people_thresholds [--repetitions 1000] [--target 0.9] [--votes 3] [--people 40 8]

A campaign has photos of 7 hashtags, which differ in size and in how often they fit. The surer the model, the
more often a suggestion fits. People are strict or lenient, careful or not, as in benchmarks.coverage. Half of
the questions are drawn at random, half where an answer teaches most (validation.voting.teaching), and each
photo gets its votes from people drawn at random. A campaign "bold" suggests for nearly every photo, so
thresholds must rise; a "shy" one only where it is sure, so they may fall.

The truth is the precision that other crowds of the same kind would find, from a very large sample. A miss is
a precision below the target: of all suggestions, or of any group of hashtags with a threshold in common.
"oracle" is the coverage of the lowest thresholds that keep the target. Baselines in the same run: the lowest
threshold whose share of fitting photos reaches the target ("estimate"); the exact test on the same photos, as
if all people were alike ("alike"), and on all answered photos, as if these had been drawn evenly ("uneven").
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import vote
from benchmarks.photos import print_table
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.promise import KINDS, Kind
from validation.statistics import risk
from validation.statistics.people import between_people
from validation.statistics.risk import CrowdGroup, Drawn

HASHTAGS = [f"tag{number}" for number in range(7)]
SILENCE_SHARE = 0.3  # silent suggestions asked about, as a share of the suggestions
AT_ONCE = 25  # questions between two looks at which stratum teaches most
PRIOR = 2.0  # as in validation.voting.teaching
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """Photos (n,): hashtag, the model's confidence, and whether most people find that it fits."""

    hashtag: NDArray[np.int64]
    confidence: Floats
    right: Bools
    voters: NDArray[np.int64]  # (n, votes)
    answers: Bools  # (n, votes)


def draw(count: int, people: int, votes: int, numbers: np.random.Generator) -> World:
    sizes = np.geomspace(1, 20, len(HASHTAGS))
    hashtag = numbers.choice(len(HASHTAGS), count, p=sizes / sizes.sum())
    offset = np.random.default_rng(1).normal(0, 0.5, len(HASHTAGS))
    confidence = np.round(0.3 + 0.7 * numbers.beta(2.5, 1.2, count), 4)
    fits = numbers.random(count) < 1 / (1 + np.exp(-(offset[hashtag] + 9 * (confidence - 0.55))))
    clarity = np.where(fits, 1, -1) * (1.5 + numbers.gamma(2.0, 2.0, count))
    yes, voters, answers = vote(clarity, people, votes, numbers)
    return World(hashtag, confidence, 2 * yes > votes, voters, answers)


class Truth:
    """The precision of other crowds at any thresholds, from many of them."""

    def __init__(self, people: int, votes: int) -> None:
        numbers = np.random.default_rng(2)
        worlds = [draw(2000, people, votes, numbers) for _ in range(100)]
        self.hashtag = np.concatenate([one.hashtag for one in worlds])
        self.confidence = np.concatenate([one.confidence for one in worlds])
        self.right = np.concatenate([one.right for one in worlds])

    def said(self, thresholds: dict[str, float]) -> Bools:
        limits = np.array([thresholds.get(name, NEVER) for name in HASHTAGS])
        return np.asarray(self.confidence >= limits[self.hashtag])

    def precision(self, said: Bools, hashtags: tuple[str, ...] = tuple(HASHTAGS)) -> float:
        of_group = said & np.isin(self.hashtag, [HASHTAGS.index(name) for name in hashtags])
        return float(self.right[of_group].mean()) if of_group.any() else 1.0

    def oracle(self, target: float, kind: Kind) -> float:
        """The greatest coverage that keeps the target, with one threshold or one for each hashtag."""
        everything = np.ones(len(self.right), bool)
        groups = [everything] if kind == "overall" else [self.hashtag == at for at in range(len(HASHTAGS))]
        return sum(_most_kept(self.confidence[one], self.right[one], target) for one in groups) / len(
            self.right
        )


def _most_kept(confidence: Floats, right: Bools, target: float) -> int:
    order = np.argsort(-confidence, kind="stable")
    places = np.flatnonzero(right[order].cumsum() / np.arange(1, len(right) + 1) >= target)
    return int(places[-1]) + 1 if len(places) else 0


def ask(world: World, least: float, asked: int, numbers: np.random.Generator) -> tuple[Drawn, Drawn, Bools]:
    """A campaign of these photos, whose model suggests from `least` on: the judged suggestions with their
    edges, the judged silent suggestions, and which suggestions (n,) were answered.
    """
    rank = numbers.random(len(world.right))
    suggested = world.confidence >= least
    edges = np.quantile(world.confidence[suggested], (1 / 3, 2 / 3))
    stratum = world.hashtag * 3 + np.searchsorted(edges, world.confidence, side="right")
    answered = np.zeros(len(rank), bool)
    queue = np.flatnonzero(suggested)[np.argsort(rank[suggested])]
    sizes = np.bincount(stratum[suggested], minlength=3 * len(HASHTAGS)).astype(float)
    of_hashtag = np.maximum(1, np.repeat(sizes.reshape(-1, 3).sum(1), 3))
    for _ in range(asked // AT_ONCE):
        n = np.bincount(stratum[answered], minlength=len(sizes))
        share = (np.bincount(stratum[answered], world.right[answered], len(sizes)) + PRIOR / 2) / (n + PRIOR)
        worth = (sizes / of_hashtag) ** 2 * share * (1 - share) / ((n + 1) * (n + 2)) * (n < sizes)
        if not worth.any():
            break
        audit = numbers.random(AT_ONCE) < 0.5
        answered[queue[~answered[queue]][: int(audit.sum())]] = True
        for one in numbers.choice(len(sizes), int((~audit).sum()), p=worth / worth.sum()):
            waiting = queue[(stratum[queue] == one) & ~answered[queue]]
            answered[waiting[:1]] = True
    silent = np.flatnonzero(~suggested)
    silent = numbers.permutation(silent)[: int(SILENCE_SHARE * suggested.sum())]
    is_silent = np.zeros(len(rank), bool)
    is_silent[silent] = True
    return _drawn(world, rank, suggested, answered), _drawn(world, rank, is_silent, is_silent), answered


def _drawn(world: World, rank: Floats, questions: Bools, answered: Bools) -> Drawn:
    waiting = questions & ~answered
    names = np.array(HASHTAGS, object)[world.hashtag]
    edges, sizes = {}, {}
    for at, name in enumerate(HASHTAGS):
        sizes[name] = int((questions & (world.hashtag == at)).sum())
        ranks = rank[waiting & (world.hashtag == at)]
        if len(ranks):
            edges[name] = float(ranks.min())
    return Drawn(
        names[answered], rank[answered], world.confidence[answered], world.right[answered], sizes, edges
    )


def estimate(world: World, answered: Bools, target: float, least: float) -> dict[str, float]:
    confidence, right = world.confidence[answered], world.right[answered]
    kept = _most_kept(confidence, right, target)
    if kept < 10:
        return {}
    return dict.fromkeys(HASHTAGS, max(least, float(np.sort(confidence)[-kept])))


def measure(
    truth: Truth, *, kind: Kind, least: float, asked: int, people: int, votes: int, options: Any
) -> dict[str, float]:
    numbers = np.random.default_rng(asked + people)
    target, present = options.target, dict.fromkeys(HASHTAGS, least)
    missed = {"people": 0, "estimate": 0, "uneven": 0, "alike": 0}
    coverage, used, silent, lowered = [], [], 0, 0
    for _ in range(options.repetitions):
        world = draw(3 * asked, people, votes, numbers)
        suggested, quiet, answered = ask(world, least, asked, numbers)
        _, person = np.unique(world.voters[answered], return_inverse=True)
        strata = np.repeat(world.hashtag[answered], votes)
        between = between_people(person.ravel(), strata, world.answers[answered].ravel())
        groups = risk.choose(suggested, quiet, HASHTAGS, target=target, kind=kind, between=between)
        said = truth.said(risk.thresholds(groups, present))
        missed["people"] += _misses(truth, said, groups, target)
        coverage.append(float(said.mean()))
        used.append(sum(group.judged for group in groups))
        silent += not said.any()
        lowered += any(group.lowered for group in groups)
        groups = risk.choose(suggested, quiet, HASHTAGS, target=target, kind=kind)
        missed["alike"] += _misses(truth, truth.said(risk.thresholds(groups, present)), groups, target)
        groups = risk.choose(replace(suggested, edges={}), quiet, HASHTAGS, target=target, kind=kind)
        missed["uneven"] += _misses(truth, truth.said(risk.thresholds(groups, present)), groups, target)
        plain = truth.said(estimate(world, answered, target, least))
        missed["estimate"] += truth.precision(plain) < target
    return {
        "missed": missed["people"] / options.repetitions,
        "estimate": missed["estimate"] / options.repetitions,
        "uneven": missed["uneven"] / options.repetitions,
        "alike": missed["alike"] / options.repetitions,
        "coverage": float(np.mean(coverage)),
        "oracle": truth.oracle(target, kind),
        "photos used": float(np.mean(used)) / asked,
        "lowered": lowered / options.repetitions,
        "all silent": silent / options.repetitions,
    }


def _misses(truth: Truth, said: Bools, groups: list[CrowdGroup], target: float) -> bool:
    return any(truth.precision(said, group.hashtags) < target for group in groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--target", type=float, default=0.9)
    parser.add_argument("--votes", type=int, default=3)
    parser.add_argument("--people", type=int, nargs="+", default=[40, 8])
    parser.add_argument("--asked", type=int, nargs="+", default=[300, 1200])
    options = parser.parse_args()
    rows = {}
    for people in options.people:
        truth = Truth(people, options.votes)
        for least, name in ((0.35, "bold"), (0.8, "shy")):
            for asked in options.asked:
                for kind in KINDS[1:]:
                    key = f"{name}, {people} people, {asked} photos, {kind}"
                    rows[key] = measure(
                        truth,
                        kind=kind,
                        least=least,
                        asked=asked,
                        people=people,
                        votes=options.votes,
                        options=options,
                    )
                    print_table({key: rows[key]})
    worst = {
        word: max(row[word] for row in rows.values()) for word in ("missed", "estimate", "uneven", "alike")
    }
    result = {"benchmark": "people_thresholds", "target": options.target, "votes": options.votes}
    print(json.dumps(result | {"repetitions": options.repetitions, "worst": worst, "rows": rows}))


if __name__ == "__main__":
    main()
