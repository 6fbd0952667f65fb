"""Why a hashtag is suggested, in words. Only confirmed classes are counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.facts import Known, words

COMMON = 0.25  # a notion that has more than this share of all classes under it explains nothing
VAGUE = 5  # steps below entity at least: under "object" nothing is meant
FEW = 12  # ... unless these are few
ENOUGH = 2  # so many confirmed classes make a reason
SHARE = 0.5  # and at least so many of those under the notion


class Reasons:
    def __init__(self, known: Sequence[Known], names: Sequence[str], nouns: Nouns) -> None:
        """known: the classes; names: the answers, whose numbers are the labels."""
        self._known, self._names, self._nouns = list(known), names, nouns
        self._under: dict[int, set[int]] = {}
        for row in range(len(known)):
            self._enter(row)

    def _enter(self, row: int) -> None:
        for up in self._known[row].above:
            self._under.setdefault(up, set()).add(row)

    def replace(self, row: int, known: Known) -> None:
        for up in self._known[row].above:
            self._under[up].discard(row)
        self._known[row] = known
        self._enter(row)

    def _vague(self, notion: int) -> bool:
        return len(self._nouns.path(notion)) <= VAGUE

    def bears(self, row: int, tag: Known) -> str:
        """The word of what lies above the class, itself included, and bears the hashtag's name; or blank."""
        steps = self._known[row].above
        found = [sense for sense in tag.senses if sense in steps]
        if not found:
            return ""
        lemmas = self._nouns.lemmas(min(found, key=steps.__getitem__))
        named = [lemma for lemma in lemmas if tag.name.startswith(lemma.lower())]
        return (named or list(lemmas))[0]

    def group(self, row: int, label: int, labels: NDArray[np.int64]) -> tuple[str, int]:
        """The notion above the class under which this answer is most at home, and how many have it there."""
        best, word, count = 0.0, "", 0
        for up, depth in self._known[row].above.items():
            below = self._under[up] - {row}
            if len(below) > max(FEW, COMMON * len(self._known)) or len(below) < ENOUGH or self._vague(up):
                continue
            given = labels[np.fromiter(below, np.int64, len(below))]
            same, all_ = int((given == label).sum()), int((given >= 0).sum())
            worth = same / (all_ + 2) - 0.01 * depth
            if same >= ENOUGH and same >= SHARE * all_ and worth > best:
                best, word, count = worth, self._nouns.lemmas(up)[0], same
        return word, count

    def word(self, row: int, tag: Known) -> str:
        """The word of the class's name that is the hashtag's, or blank."""
        shared = [word for word in words(self._known[row].name) if word in (tag.name, tag.name.rstrip("s"))]
        return shared[0] if shared else ""

    def like(self, rows: Sequence[int]) -> str:
        return " and ".join(dict.fromkeys(self._known[row].name for row in rows))

    def say(
        self, row: int, label: int, tag: Known, labels: NDArray[np.int64], *, alike: Sequence[int], near: bool
    ) -> str:
        """The first reason there is. alike: the nearest confirmed rows with this answer, nearest first; near:
        whether the words and descriptions of class and hashtag are alike at all."""
        if name := self.bears(row, tag):
            is_own = any(sense in tag.senses for sense in self._known[row].senses)
            return f"its {'sense' if is_own else 'hypernym'} {name} is itself the hashtag"
        word, count = self.group(row, label, labels)
        if word:
            return f"{count} classes under {word} are #{self._names[label]}"
        if name := self.word(row, tag):
            return f"its name says {name}"
        if alike:
            return f"like {self.like(alike)}"
        return f"its description is near to {tag.name}" if near else "a guess: nothing confirmed is like it"
