"""How often confirmed classes that share something have the same answer: naive Bayes, one row left out.

Our own, because scikit-learn's cannot leave out the row that is asked about.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.facts import Known, domains_of, words

SMOOTH = 2.0  # as if so many confirmed classes more had what they share, spread like all answers

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


def traits(known: Known, nouns: Nouns) -> list[Hashable]:
    """What a class may share with another: notions above it, words, groups, domains."""
    group = known.level2 or known.level1
    found: list[Hashable] = [("above", up) for up in known.above]
    found += [("word", word) for word in words(known.name)]
    found += [("domain", name) for name in domains_of(known, nouns)]
    if known.level2:
        found.append(("group", known.level2))
    if known.senses:
        found.append(("kind", group, nouns.lexname(known.senses[0])))
    return found


class Traits:
    """The traits of all classes, by number."""

    def __init__(self, known: Sequence[Known], nouns: Nouns) -> None:
        self._nouns = nouns
        self._numbers: dict[Hashable, int] = {}
        self._rows = [self._traits(row) for row in known]

    def __len__(self) -> int:
        return len(self._numbers)

    def _traits(self, known: Known) -> Ints:
        names = dict.fromkeys(traits(known, self._nouns))
        numbers = [self._numbers.setdefault(name, len(self._numbers)) for name in names]
        return np.array(numbers, np.int64)

    def replace(self, row: int, known: Known) -> None:
        self._rows[row] = self._traits(known)

    def joined(self, rows: Ints) -> tuple[Ints, Ints]:
        """Every trait of these rows: where in rows, and which."""
        lengths = [len(self._rows[row]) for row in rows]
        found = [self._rows[row] for row in rows] or [np.empty(0, np.int64)]
        return np.repeat(np.arange(len(rows)), lengths), np.concatenate(found)


class Counts:
    """Counted once, and then only asked."""

    def __init__(self, traits: Traits, labels: Ints, answers: int) -> None:
        """labels (classes,): number of the answer, -1 where none is confirmed."""
        self._traits, self._answers = traits, answers
        confirmed = np.flatnonzero(labels >= 0)
        at, trait = traits.joined(confirmed)
        pairs, self._seen = np.unique(trait * self._answers + labels[confirmed][at], return_counts=True)
        self._trait, self._answer = pairs // self._answers, pairs % self._answers
        self._total = np.bincount(trait, minlength=len(traits))
        given = np.bincount(labels[confirmed], minlength=self._answers)
        self._usual = (given + 0.5) / (len(confirmed) + 0.5 * self._answers)
        self._labels = labels

    def scores(self, rows: Ints) -> tuple[Array, Array]:
        """Two of (rows, answers): log-odds for each answer by all traits, rarer ones counting more, and the
        greatest share of an answer among those with one trait. A confirmed row does not count itself."""
        at, trait = self._traits.joined(rows)
        at, trait = (
            at[trait < len(self._total)],
            trait[trait < len(self._total)],
        )  # not those of a sense chosen since
        first = np.searchsorted(self._trait, trait)
        many = np.searchsorted(self._trait, trait, "right") - first
        total = self._total[trait] - (self._labels[rows][at] >= 0)
        weight = 1 / np.log(2.0 + np.maximum(total, 0))
        pair = np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum())
        at_pair, answer = np.repeat(at, many), self._answer[pair]
        seen = self._seen[pair] - (self._labels[rows][at_pair] == answer)
        usual = self._usual[answer]
        cell = at_pair * self._answers + answer
        size = len(rows) * self._answers
        odds = np.repeat(weight, many) * np.log1p(seen / (SMOOTH * usual))
        weights = np.bincount(at, weight, minlength=len(rows))
        whole = np.bincount(cell, odds, minlength=size).reshape(len(rows), -1)
        summed = whole / np.maximum(weights, 1e-9)[:, None]
        share = np.zeros(size)
        likely = (seen + SMOOTH * usual) / (np.repeat(total, many) + SMOOTH)
        np.maximum.at(share, cell, np.where(seen > 0, likely, 0.0))  # or a row would know its own answer
        return summed, share.reshape(len(rows), -1)
