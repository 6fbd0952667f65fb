"""The reason for a suggestion, in words. Only confirmed classes count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.facts import Profile, words

COMMON = 0.25  # a hypernym of more than this share of all classes explains nothing
VAGUE = 5  # a hypernym with at most this many nouns on its path, like "object", explains nothing
FEW = 12  # a hypernym of at most this many classes is never too common
GUESS = gettext_noop("a guess: no confirmed class is similar")
LOOKS_LIKE = gettext_noop("looks like")
CLOSE = gettext_noop(
    "its description is close to"
)  # no more than a guess while nothing else speaks for the hashtag
ENOUGH = 2  # confirmed classes needed for a reason
SHARE = 0.5  # share of the confirmed classes below the hypernym needed for a reason


class Reasons:
    def __init__(self, profiles: Sequence[Profile], names: Sequence[str], nouns: Nouns) -> None:
        """profiles: of the classes. names: of the answers; a label is a place in this list."""
        self._profiles, self._names, self._nouns = list(profiles), names, nouns
        self._under: dict[int, set[int]] = {}
        for row in range(len(profiles)):
            self._enter(row)

    def _enter(self, row: int) -> None:
        for up in self._profiles[row].above:
            self._under.setdefault(up, set()).add(row)

    def replace(self, row: int, profile: Profile) -> None:
        for up in self._profiles[row].above:
            self._under[up].discard(row)
        self._profiles[row] = profile
        self._enter(row)

    def _vague(self, notion: int) -> bool:
        return len(self._nouns.path(notion)) <= VAGUE

    def naming_word(self, row: int, tag: Profile) -> str:
        """The word of a sense or hypernym of the class that the hashtag names, or blank."""
        steps = self._profiles[row].above
        shared_senses = [sense for sense in tag.senses if sense in steps]
        if not shared_senses:
            return ""
        lemmas = self._nouns.lemmas(min(shared_senses, key=steps.__getitem__))
        same_name = [lemma for lemma in lemmas if tag.name.startswith(lemma.lower())]
        return (same_name or list(lemmas))[0]

    def group(self, row: int, label: int, labels: NDArray[np.int64]) -> tuple[str, int]:
        """The hypernym with the most typical use of this answer, and the number of its classes with it."""
        best, word, count = 0.0, "", 0
        for up, depth in self._profiles[row].above.items():
            below = self._under[up] - {row}
            if len(below) > max(FEW, COMMON * len(self._profiles)) or len(below) < ENOUGH or self._vague(up):
                continue
            answers = labels[np.fromiter(below, np.int64, len(below))]
            matching, total = int((answers == label).sum()), int((answers >= 0).sum())
            score = matching / (total + 2) - 0.01 * depth
            if matching >= ENOUGH and matching >= SHARE * total and score > best:
                best, word, count = score, self._nouns.lemmas(up)[0], matching
        return word, count

    def word(self, row: int, tag: Profile) -> str:
        """The word of the class's name that equals the hashtag, or blank."""
        matches = [
            word for word in words(self._profiles[row].name) if word in (tag.name, tag.name.rstrip("s"))
        ]
        return matches[0] if matches else ""

    def like(self, rows: Sequence[int]) -> str:
        return _(" and ").join(dict.fromkeys(self._profiles[row].name for row in rows))

    def say(
        self,
        row: int,
        label: int,
        tag: Profile,
        labels: NDArray[np.int64],
        *,
        similar_rows: Sequence[int],
        lookalikes: Sequence[int],
        is_similar: bool,
    ) -> str:
        """The first reason of words that applies, and what the class looks like.

        similar_rows, lookalikes: the nearest confirmed rows with this answer, by words and by photos, nearest
        first. is_similar: whether class and hashtag have similar words and descriptions.
        """
        reasons = [self._of_words(row, label, tag, labels, similar_rows, is_similar=is_similar)]
        if lookalikes:
            reasons.append(f"{_(LOOKS_LIKE)} {self.like(lookalikes)}")
        return "; ".join(reason for reason in reasons if reason) or _(GUESS)

    def _of_words(
        self,
        row: int,
        label: int,
        tag: Profile,
        labels: NDArray[np.int64],
        similar_rows: Sequence[int],
        *,
        is_similar: bool,
    ) -> str:
        if name := self.naming_word(row, tag):
            is_own = any(sense in tag.senses for sense in self._profiles[row].senses)
            if is_own:
                return _("its sense %(name)s is itself the hashtag") % {"name": name}
            return _("its hypernym %(name)s is itself the hashtag") % {"name": name}
        word, count = self.group(row, label, labels)
        if word:
            return _("%(n)s classes under %(word)s are #%(hashtag)s") % {
                "n": count,
                "word": word,
                "hashtag": self._names[label],
            }
        if word := self.word(row, tag):
            return _("its name contains %(word)s") % {"word": word}
        if similar_rows:
            return _("similar to %(names)s") % {"names": self.like(similar_rows)}
        return f"{_(CLOSE)} {tag.name}" if is_similar else ""
