"""The evidence for each answer of a class, as numbers that the logit of mapping.suggester.pairs weighs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.counts import Counts, Traits
from mapping.suggester.facts import DECAY, Profile
from mapping.suggester.ridge import Ridge
from mapping.suggester.space import Rows, Space

RIDGE = 0.6
NEIGHBOURS = 7
CANDIDATES = 40  # of many hashtags, only those with the best ridge scores are compared

Array = NDArray[np.float64]


class Facts:
    """The facts about classes 0..len(profiles) − 1 and about the tags, before any answer."""

    def __init__(
        self, profiles: Sequence[Profile], tags: Sequence[Profile], nouns: Nouns, space: Space
    ) -> None:
        self._profiles, self.space = list(profiles), space
        self.answers = len(tags) + 1  # the last answer is other
        self.traits = Traits(profiles, nouns)
        self._tag_of: dict[int, list[int]] = {}
        for number, tag in enumerate(tags):
            for sense in tag.senses:
                self._tag_of.setdefault(sense, []).append(number)

    def replace(self, row: int, profile: Profile) -> None:
        self._profiles[row] = profile
        self.traits.replace(row, profile)
        self.space.replace(row, profile)

    def tags_above(self, row: int) -> dict[int, int]:
        """Tags that name a sense of the class or a hypernym, nearest first → number of steps."""
        steps = self._profiles[row].above
        tags: dict[int, int] = {}
        for up in sorted(self._tag_of.keys() & steps.keys(), key=steps.__getitem__):
            for tag in self._tag_of[up]:
                tags.setdefault(tag, steps[up])
        return tags


class Evidence:
    """Evidence from confirmed rows. No confirmed row is evidence for itself. names: the columns.

    Immutable once built, so one thread can use an old object while another builds a new one.
    """

    def __init__(self, facts: Facts, labels: Rows, previous: Evidence | None = None) -> None:
        """labels (classes,): number of the confirmed answer, or -1. previous: the evidence to update."""
        self._facts, self._space, self.answers = facts, facts.space, facts.answers
        self.labels = labels
        self.confirmed = np.flatnonzero(labels >= 0)
        truth = {len(labels) + tag: tag for tag in range(self.answers - 1)}
        truth |= {int(row): int(labels[row]) for row in self.confirmed}
        self._ridges: dict[str, Ridge] = {
            view: Ridge(
                self._space, view, truth, self.answers, RIDGE, previous._ridges[view] if previous else None
            )
            for view in self._space.views
        }
        self._counts = Counts(facts.traits, labels, self.answers)
        self._answer_counts = np.log1p(np.bincount(labels[self.confirmed], minlength=self.answers))
        views = self._space.views
        # Hashtags have no group of a data set, and no photos.
        self._tag_views = [view for view in views if view not in ("groups", "looks")]
        self.names = [f"ridge {view}" for view in views] + ["best"]
        self.names += [f"nearest {view}" for view in views] + ["votes"]
        self.names += [f"tag {view}" for view in self._tag_views] + ["tag rank", "above"]
        self.names += ["traits", "share", "many", "other"]

    def of(self, rows: Rows) -> tuple[Array, Rows]:
        """The evidence (rows, candidates, columns), and the compared answers (rows, candidates)."""
        columns = [ridge.scores(rows) for ridge in self._ridges.values()]
        columns.append((columns[0] >= columns[0].max(1, keepdims=True)).astype(float))
        candidates = self._candidates(columns[0])
        columns += self._nearest(rows)
        columns += self._tags(rows)
        columns += self._counts.scores(rows)
        shape = columns[0].shape
        columns.append(np.broadcast_to(self._answer_counts, shape))
        columns.append(np.broadcast_to(np.arange(self.answers) == self.answers - 1, shape))
        candidate_columns = [np.take_along_axis(column, candidates, 1) for column in columns]
        return np.stack(candidate_columns, axis=2).astype(float), candidates

    def _candidates(self, ridge: Array) -> Rows:
        if self.answers <= CANDIDATES:
            return np.tile(np.arange(self.answers), (len(ridge), 1))
        best = np.argpartition(-ridge[:, :-1], CANDIDATES - 2, axis=1)[:, : CANDIDATES - 1]
        return np.column_stack([best, np.full(len(ridge), self.answers - 1)])

    def _nearest(self, rows: Rows) -> list[Array]:
        """Per view, the similarity to the nearest confirmed row of each answer; then votes of the nearest."""
        order = self.confirmed[np.argsort(self.labels[self.confirmed], kind="stable")]
        labels = self.labels[order]
        present, starts = np.unique(labels, return_index=True)
        best_by_view = [np.zeros((len(rows), self.answers)) for _ in self._space.views]
        votes = np.zeros((len(rows), self.answers))
        if not len(order):
            return [*best_by_view, votes]
        same = rows[:, None] == order[None, :]
        for best, view in zip(best_by_view, self._space.views, strict=True):
            similarity = self._space.products(view, rows, order)
            similarity[same] = 0
            best[:, present] = np.maximum.reduceat(similarity, starts, axis=1)
            if view == "all":
                last = min(NEIGHBOURS, len(order)) - 1
                nearest = np.argpartition(-similarity, last, axis=1)[:, :NEIGHBOURS]
                each = np.arange(len(rows))[:, None]
                np.add.at(votes, (each, labels[nearest]), similarity[each, nearest])
        return [*best_by_view, votes]

    def _tags(self, rows: Rows) -> list[Array]:
        """Evidence from the words and senses of the hashtags themselves."""
        count = len(self.labels)
        tags = np.arange(count, count + self.answers - 1)
        columns = []
        for view in self._tag_views:
            similarity = np.zeros((len(rows), self.answers))
            similarity[:, :-1] = self._space.products(view, rows, tags)
            columns.append(similarity)
        rank = np.zeros((len(rows), self.answers))
        rank[:, :-1] = 1 / (1 + np.argsort(np.argsort(-columns[0][:, :-1], axis=1), axis=1))
        under = np.zeros((len(rows), self.answers))
        for at, row in enumerate(rows):
            for tag, depth in self._facts.tags_above(int(row)).items():
                under[at, tag] = DECAY**depth
        return [*columns, rank, under]
