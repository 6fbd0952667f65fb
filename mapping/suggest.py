"""Which hashtags a class may get, learned from the rows curators confirmed and from nothing else.

Two steps (docs/decisions/0006-suggester.md): a ridge regression from all that is known of a class to its
answer, and a conditional logit over the answers of a row whose weights all hashtags share, so that a hashtag
confirmed twice profits from what was learned of the others. With nothing confirmed the words and synsets of
the hashtags decide alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.facts import ClassFacts, Embed, HashtagFacts, above, of_class, of_hashtag
from mapping.nouns import Nouns
from mapping.pairs import fit, probabilities
from mapping.reasons import Reasons
from mapping.space import Rows, Space

OTHER = "other"
RIDGE = 0.6
STRENGTH = 3.0
NEIGHBOURS = 7
CANDIDATES = 40  # of a thousand hashtags only those the ridge likes best are compared
TEACHERS = 800  # the logit learns from at most so many confirmed rows
UNSURE = 0.25
LIKE = 0.2  # at least so alike to be named as a reason

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Suggested:
    """hashtag: its name; probability: 0..1 among all answers, other included; reason: in words."""

    hashtag: str
    probability: float
    reason: str


@dataclass(frozen=True)
class Suggestions:
    """hashtags: best first; other: the probability that none fits; abstains: too little is known to say."""

    hashtags: tuple[Suggested, ...]
    other: float
    abstains: bool


class Suggester:
    """Learns from confirmed classes; every answer is for a class by its place in `classes`."""

    def __init__(
        self,
        classes: Sequence[ClassFacts],
        hashtags: Sequence[HashtagFacts],
        nouns: Nouns,
        embeddings: Embed | None = None,
    ) -> None:
        self._nouns = nouns
        self._classes, self._hashtags = list(classes), list(hashtags)
        self._names = [*(tag.name for tag in hashtags), OTHER]
        self._numbers = {name: at for at, name in enumerate(self._names)}
        self._known = [of_class(facts, nouns) for facts in classes]
        self._tags = tags = [of_hashtag(facts, nouns) for facts in hashtags]
        self._reasons = Reasons(self._known, self._names, nouns)
        self._space = Space([*self._known, *tags], nouns, classes=len(classes), embed=embeddings)
        self._tag_of: dict[int, list[int]] = {}
        for number, tag in enumerate(tags):
            for sense in tag.senses:
                self._tag_of.setdefault(sense, []).append(number)
        self._labels = np.full(len(classes), -1, np.int64)
        self._weights: Array | None = None
        self.learn({})

    # ---- learning

    def learn(self, confirmed: Mapping[int, str]) -> None:
        """Forget what was confirmed before and learn from these: place of a class → hashtag, or "other".

        Raises KeyError for a hashtag that is not among them, IndexError for a place beyond the classes.
        """
        labels = np.full(len(self._classes), -1, np.int64)
        for row, name in confirmed.items():
            labels[row] = self._numbers[name]
        self._labels = labels
        self._refit()

    def _refit(self) -> None:
        labels = self._labels
        count, answers = len(labels), len(self._names)
        self._confirmed = np.flatnonzero(labels >= 0)
        self._counts = np.bincount(labels[self._confirmed], minlength=answers)
        X = self._space.coordinates()
        seeds = np.arange(answers - 1)
        taught = X[np.concatenate([self._confirmed, count + seeds])].astype(float)
        truth = np.concatenate([labels[self._confirmed], seeds])
        inverse = np.linalg.inv(taught.T @ taught + RIDGE * np.eye(X.shape[1]))
        sums = np.zeros((answers, X.shape[1]))
        np.add.at(sums, truth, taught)
        self._inverse, self._ridge = inverse, inverse @ sums.T
        teachers = self._confirmed[:: max(1, -(-len(self._confirmed) // TEACHERS))]
        features, candidates = self._features(teachers)
        prior = self._prior(features.shape[2])
        self._weights = prior
        if len(teachers):
            found = candidates == labels[teachers][:, None]
            there = found.any(1)
            self._weights = fit(features[there], found[there].argmax(1), prior, STRENGTH, prior)

    def _prior(self, size: int) -> Array:
        prior = np.zeros(size)
        prior[0] = 3.0
        return prior

    def _features(self, rows: Rows) -> tuple[Array, Rows]:
        """(rows, candidates, f) and the candidates (rows, candidates); no confirmed row sees itself."""
        labels, answers = self._labels, len(self._names)
        X = self._space.coordinates()[rows].astype(float)
        ridge = X @ self._ridge
        own = labels[rows]
        known = np.flatnonzero(own >= 0)
        lever = np.einsum("rd,rd->r", X[known] @ self._inverse, X[known])[:, None]
        truth = np.eye(answers)[own[known]]
        ridge[known] = (ridge[known] - lever * truth) / (1 - lever)
        if answers <= CANDIDATES:
            candidates = np.tile(np.arange(answers), (len(rows), 1))
        else:
            candidates = np.argpartition(-ridge[:, :-1], CANDIDATES - 1, axis=1)[:, : CANDIDATES - 1]
            candidates = np.column_stack([candidates, np.full(len(rows), answers - 1)])
        columns = [ridge, ridge >= ridge.max(1, keepdims=True)]
        columns += self._neighbours(rows)
        columns += self._zero(rows)
        columns += [np.broadcast_to(np.log1p(self._counts), ridge.shape)]
        columns += [np.broadcast_to(np.arange(answers) == answers - 1, ridge.shape)]
        chosen = [np.take_along_axis(column.astype(float), candidates, 1) for column in columns]
        return np.stack(chosen, axis=2), candidates

    def _neighbours(self, rows: Rows) -> list[Array]:
        """For each view the greatest likeness to a confirmed row of each answer, and votes of the nearest."""
        answers = len(self._names)
        order = self._confirmed[np.argsort(self._labels[self._confirmed], kind="stable")]
        labels = self._labels[order]
        present, starts = np.unique(labels, return_index=True)
        found: list[Array] = []
        for view in self._space.views:
            best = np.zeros((len(rows), answers))
            votes = np.zeros((len(rows), answers))
            if len(order):
                alike = self._space.products(view, rows, order)
                alike = np.where(rows[:, None] == order[None, :], 0, alike)
                best[:, present] = np.maximum.reduceat(alike, starts, axis=1)
                if view == "all":
                    near = np.argsort(-alike, axis=1)[:, :NEIGHBOURS]
                    for column in near.T:
                        np.add.at(
                            votes,
                            (np.arange(len(rows)), labels[column]),
                            np.take_along_axis(alike, column[:, None], 1)[:, 0],
                        )
            found.append(best)
            if view == "all":
                found.append(votes)
        return found

    def _zero(self, rows: Rows) -> list[Array]:
        """What words and synsets of the hashtags say, with nothing confirmed."""
        count, answers = len(self._classes), len(self._names)
        tags = np.arange(count, count + answers - 1)
        found: list[Array] = []
        for view in self._space.views:
            if view == "groups":
                continue
            alike = np.zeros((len(rows), answers))
            alike[:, :-1] = self._space.products(view, rows, tags)
            found.append(alike)
            if view == "all":
                ranks = np.argsort(np.argsort(-alike[:, :-1], axis=1), axis=1)
                rank = np.zeros((len(rows), answers))
                rank[:, :-1] = 1 / (1 + ranks)
                found.append(rank)
        under = np.zeros((len(rows), answers))
        for at, row in enumerate(rows):
            for up, depth in above(self._known[int(row)], self._nouns).items():
                for tag in self._tag_of.get(up, ()):
                    under[at, tag] = max(under[at, tag], 0.85**depth)
        found.append(under)
        return found

    # ---- answers

    def chances(self, rows: Rows) -> tuple[Array, Rows]:
        features, candidates = self._features(rows)
        assert self._weights is not None
        return probabilities(features, self._weights), candidates

    def suggest(self, index: int, n: int = 3) -> Suggestions:
        """The n best hashtags for that class, whether it is confirmed or not."""
        (chances,), (candidates,) = self.chances(np.array([index]))
        other = len(self._names) - 1
        order = [int(at) for at in np.argsort(-chances) if candidates[at] != other][:n]
        found = tuple(
            Suggested(
                self._names[candidates[at]], float(chances[at]), self.reason(index, int(candidates[at]))
            )
            for at in order
        )
        share = float(chances[candidates == other].sum())
        return Suggestions(found, share, abstains=float(chances.max()) < UNSURE)

    def answers(self) -> list[tuple[str, float]]:
        """For every class the most likely answer, "other" included, and its probability."""
        found: list[tuple[str, float]] = []
        for start in range(0, len(self._classes), 1000):
            rows = np.arange(start, min(start + 1000, len(self._classes)))
            chances, candidates = self.chances(rows)
            best = chances.argmax(1)
            found += [
                (self._names[candidates[at, one]], float(chances[at, one])) for at, one in enumerate(best)
            ]
        return found

    def replace(self, index: int, facts: ClassFacts) -> None:
        """The class as it is now known, for example with another sense."""
        self._classes[index] = facts
        self._known[index] = of_class(facts, self._nouns)
        self._reasons.replace(index, self._known[index])
        self._space.replace(index, self._known[index])
        self._refit()

    def hypernyms(self, index: int) -> tuple[str, ...]:
        """Hashtags that name something above the class in WordNet, nearest first."""
        steps = above(self._known[index], self._nouns)
        found = (
            self._names[tag]
            for up in sorted(steps, key=steps.__getitem__)
            for tag in self._tag_of.get(up, ())
        )
        return tuple(dict.fromkeys(found))

    def reason(self, index: int, tag: int) -> str:
        """Why that class may get that answer, by what is confirmed."""
        rows = self._confirmed[self._labels[self._confirmed] == tag]
        rows = rows[rows != index]
        alike = self._space.products("all", np.array([index]), rows)[0]
        nearest = [int(rows[at]) for at in np.argsort(-alike)[:2] if alike[at] >= LIKE]
        return self._reasons.say(index, tag, self._tags[tag], self._labels, nearest)
