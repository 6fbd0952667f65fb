"""What speaks for each answer of a class, as numbers the logit of mapping.suggester.pairs weighs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.counts import Counts, Traits
from mapping.suggester.facts import DECAY, Known
from mapping.suggester.ridge import Ridge
from mapping.suggester.space import Rows, Space

RIDGE = 0.6
NEIGHBOURS = 7
CANDIDATES = 40  # of a thousand hashtags only those the ridge likes best are compared

Array = NDArray[np.float64]


class Facts:
    """What is known of classes 0..len(known) − 1 and of the tags before anybody answers."""

    def __init__(self, known: Sequence[Known], tags: Sequence[Known], nouns: Nouns, space: Space) -> None:
        self._known, self.space = list(known), space
        self.answers = len(tags) + 1  # the last is other
        self.traits = Traits(known, nouns)
        self._tag_of: dict[int, list[int]] = {}
        for number, tag in enumerate(tags):
            for sense in tag.senses:
                self._tag_of.setdefault(sense, []).append(number)

    def replace(self, row: int, known: Known) -> None:
        self._known[row] = known
        self.traits.replace(row, known)
        self.space.replace(row, known)

    def named_above(self, row: int) -> dict[int, int]:
        """Tags that name what the class is or what lies above it, nearest first, and how many steps up."""
        steps = self._known[row].above
        found: dict[int, int] = {}
        for up in sorted(self._tag_of.keys() & steps.keys(), key=steps.__getitem__):
            for tag in self._tag_of[up]:
                found.setdefault(tag, steps[up])
        return found


class Evidence:
    """By what is confirmed; `names` says what each number is. No confirmed row is evidence for itself.

    Learned once, and then only asked: one thread may ask an old one while another learns a new one.
    """

    def __init__(self, facts: Facts, labels: Rows, last: Evidence | None = None) -> None:
        """labels (classes,): number of the confirmed answer, or -1; last: what was learned before."""
        self._facts, self._space, self.answers = facts, facts.space, facts.answers
        self.labels = labels
        self.confirmed = np.flatnonzero(labels >= 0)
        truth = {len(labels) + tag: tag for tag in range(self.answers - 1)}
        truth |= {int(row): int(labels[row]) for row in self.confirmed}
        self._ridges: dict[str, Ridge] = {
            view: Ridge(self._space, view, truth, self.answers, RIDGE, last._ridges[view] if last else None)
            for view in self._space.views
        }
        self._counts = Counts(facts.traits, labels, self.answers)
        self._many = np.log1p(np.bincount(labels[self.confirmed], minlength=self.answers))
        views = self._space.views
        self._asked = [view for view in views if view != "groups"]  # hashtags are in no group of a data set
        self.names = [f"ridge {view}" for view in views] + ["best"]
        self.names += [f"nearest {view}" for view in views] + ["votes"]
        self.names += [f"tag {view}" for view in self._asked] + ["tag rank", "above"]
        self.names += ["traits", "share", "many", "other"]

    def of(self, rows: Rows) -> tuple[Array, Rows]:
        """(rows, candidates, numbers) and the candidates (rows, candidates): which answers are compared."""
        columns = [ridge.scores(rows) for ridge in self._ridges.values()]
        columns.append((columns[0] >= columns[0].max(1, keepdims=True)).astype(float))
        candidates = self._candidates(columns[0])
        columns += self._nearest(rows)
        columns += self._tags(rows)
        columns += self._counts.scores(rows)
        shape = columns[0].shape
        columns.append(np.broadcast_to(self._many, shape))
        columns.append(np.broadcast_to(np.arange(self.answers) == self.answers - 1, shape))
        chosen = [np.take_along_axis(column, candidates, 1) for column in columns]
        return np.stack(chosen, axis=2).astype(float), candidates

    def _candidates(self, ridge: Array) -> Rows:
        if self.answers <= CANDIDATES:
            return np.tile(np.arange(self.answers), (len(ridge), 1))
        best = np.argpartition(-ridge[:, :-1], CANDIDATES - 2, axis=1)[:, : CANDIDATES - 1]
        return np.column_stack([best, np.full(len(ridge), self.answers - 1)])

    def _nearest(self, rows: Rows) -> list[Array]:
        """By view the likeness to the nearest confirmed row of each answer; votes of the nearest by "all"."""
        order = self.confirmed[np.argsort(self.labels[self.confirmed], kind="stable")]
        labels = self.labels[order]
        present, starts = np.unique(labels, return_index=True)
        found = [np.zeros((len(rows), self.answers)) for _ in self._space.views]
        votes = np.zeros((len(rows), self.answers))
        if not len(order):
            return [*found, votes]
        same = rows[:, None] == order[None, :]
        for best, view in zip(found, self._space.views, strict=True):
            alike = self._space.products(view, rows, order)
            alike[same] = 0
            best[:, present] = np.maximum.reduceat(alike, starts, axis=1)
            if view == "all":
                near = np.argpartition(-alike, min(NEIGHBOURS, len(order)) - 1, axis=1)[:, :NEIGHBOURS]
                each = np.arange(len(rows))[:, None]
                np.add.at(votes, (each, labels[near]), alike[each, near])
        return [*found, votes]

    def _tags(self, rows: Rows) -> list[Array]:
        """What the words and senses of the hashtags themselves say."""
        count = len(self.labels)
        tags = np.arange(count, count + self.answers - 1)
        found = []
        for view in self._asked:
            alike = np.zeros((len(rows), self.answers))
            alike[:, :-1] = self._space.products(view, rows, tags)
            found.append(alike)
        rank = np.zeros((len(rows), self.answers))
        rank[:, :-1] = 1 / (1 + np.argsort(np.argsort(-found[0][:, :-1], axis=1), axis=1))
        under = np.zeros((len(rows), self.answers))
        for at, row in enumerate(rows):
            for tag, depth in self._facts.named_above(int(row)).items():
                under[at, tag] = DECAY**depth
        return [*found, rank, under]
