"""How often confirmed classes with a shared trait have the same answer: naive Bayes, leaving one row out.

Our own, because scikit-learn's cannot leave out the row that is being scored.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.facts import Profile, domains_of, words

SMOOTH = 2.0  # pseudo-count of confirmed classes per trait, distributed like all answers

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


def traits(profile: Profile, nouns: Nouns) -> list[Hashable]:
    """The traits that a class may share with others: hypernyms, words, groups, domains."""
    group = profile.level2 or profile.level1
    names: list[Hashable] = [("above", up) for up in profile.above]
    names += [("word", word) for word in words(profile.name)]
    names += [("domain", name) for name in domains_of(profile, nouns)]
    if profile.level2:
        names.append(("group", profile.level2))
    if profile.senses:
        names.append(("kind", group, nouns.lexname(profile.senses[0])))
    return names


class Traits:
    """The traits of all classes, as numbers."""

    def __init__(self, profiles: Sequence[Profile], nouns: Nouns) -> None:
        self._nouns = nouns
        self._numbers: dict[Hashable, int] = {}
        self._rows = [self._traits(row) for row in profiles]

    def __len__(self) -> int:
        return len(self._numbers)

    def _traits(self, profile: Profile) -> Ints:
        names = dict.fromkeys(traits(profile, self._nouns))
        numbers = [self._numbers.setdefault(name, len(self._numbers)) for name in names]
        return np.array(numbers, np.int64)

    def replace(self, row: int, profile: Profile) -> None:
        self._rows[row] = self._traits(profile)

    def pairs_of(self, rows: Ints) -> tuple[Ints, Ints]:
        """All pairs of a row and one of its traits: places in rows, numbers of traits."""
        lengths = [len(self._rows[row]) for row in rows]
        numbers = [self._rows[row] for row in rows] or [np.empty(0, np.int64)]
        return np.repeat(np.arange(len(rows)), lengths), np.concatenate(numbers)


class Counts:
    """Immutable once built, so that threads can share it."""

    def __init__(self, traits: Traits, labels: Ints, answers: int) -> None:
        """labels (classes,): number of the confirmed answer, or -1."""
        self._traits, self._answers = traits, answers
        confirmed_rows = np.flatnonzero(labels >= 0)
        at, trait = traits.pairs_of(confirmed_rows)
        pairs, self._seen = np.unique(trait * self._answers + labels[confirmed_rows][at], return_counts=True)
        self._trait, self._answer = pairs // self._answers, pairs % self._answers
        self._total = np.bincount(trait, minlength=len(traits))
        answer_counts = np.bincount(labels[confirmed_rows], minlength=self._answers)
        self._usual = (answer_counts + 0.5) / (len(confirmed_rows) + 0.5 * self._answers)
        self._labels = labels

    def scores(self, rows: Ints) -> tuple[Array, Array]:
        """Two matrices (rows, answers): log-odds by all traits, where rare traits count more; and the largest
        share of the answer among classes with one of the traits. A confirmed row does not count itself."""
        at, trait = self._traits.pairs_of(rows)
        was_counted = trait < len(self._total)  # not the traits of a sense that was chosen later
        at, trait = at[was_counted], trait[was_counted]
        first = np.searchsorted(self._trait, trait)
        pair_counts = np.searchsorted(self._trait, trait, "right") - first
        total = self._total[trait] - (self._labels[rows][at] >= 0)
        weight = 1 / np.log(2.0 + np.maximum(total, 0))
        start = first - np.cumsum(pair_counts) + pair_counts
        pair = np.repeat(start, pair_counts) + np.arange(pair_counts.sum())
        at_pair, answer = np.repeat(at, pair_counts), self._answer[pair]
        occurrences = self._seen[pair] - (self._labels[rows][at_pair] == answer)
        usual = self._usual[answer]
        cell = at_pair * self._answers + answer
        size = len(rows) * self._answers
        odds = np.repeat(weight, pair_counts) * np.log1p(occurrences / (SMOOTH * usual))
        weights = np.bincount(at, weight, minlength=len(rows))
        whole = np.bincount(cell, odds, minlength=size).reshape(len(rows), -1)
        score = whole / np.maximum(weights, 1e-9)[:, None]
        share = np.zeros(size)
        smoothed = (occurrences + SMOOTH * usual) / (np.repeat(total, pair_counts) + SMOOTH)
        # 0 without occurrences, or a row would reveal its own answer.
        np.maximum.at(share, cell, np.where(occurrences > 0, smoothed, 0.0))
        return score, share.reshape(len(rows), -1)
