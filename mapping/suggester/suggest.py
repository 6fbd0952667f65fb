"""Which hashtags a class may get, learned from the rows curators confirmed and from nothing else.

Two steps (docs/decisions/0006-suggester.md): a ridge regression from all that is known of a class to its
answer, and a conditional logit over the answers of a row whose weights all hashtags share, so that a hashtag
confirmed twice profits from what was learned of the others. With nothing confirmed the words and synsets of
the hashtags decide alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.evidence import Evidence, Facts
from mapping.suggester.facts import ClassFacts, Embed, HashtagFacts, of_class, of_hashtag
from mapping.suggester.pairs import fit, probabilities
from mapping.suggester.reasons import Reasons
from mapping.suggester.space import Rows, Space

OTHER = "other"
STRENGTH = 2.0
# What is believed of evidence's numbers before anything is confirmed; of all others nothing.
PRIOR = {
    **{"ridge all": 5.0, "nearest all": 2.0, "ridge photo": 2.0, "ridge gloss": 2.0, "above": 4.0},
    **{"tag words": 3.0, "tag photo": 3.0, "tag gloss": 3.0, "tag rank": 1.0},
}
AT_ONCE = 1000  # classes whose numbers are in memory together
TEACHERS = 400  # the logit learns from at most so many confirmed rows
# It abstains when nothing is like the class, or when no answer is likely and no hashtag stands out.
NOTHING = 0.05
LIKELY = 0.55
UNSURE = 0.18
NEAR = 0.15  # so much like a hashtag's own words and senses to be named as a reason
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


@dataclass(frozen=True)
class Learned:
    evidence: Evidence
    weights: Array


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
        self._facts = Facts(self._known, tags, nouns, self._space)
        self._labels = np.full(len(classes), -1, np.int64)
        self._learned = self._learn(None)

    # ---- learning

    def learn(self, confirmed: Mapping[int, str]) -> None:
        """Forget what was confirmed before and learn from these: place of a class → hashtag, or "other".

        Meanwhile other threads are answered from what was learned before. Raises KeyError for a hashtag that
        is not among them, IndexError for a place beyond the classes.
        """
        labels = np.full(len(self._classes), -1, np.int64)
        for row, name in confirmed.items():
            labels[row] = self._numbers[name]
        self._labels = labels
        self._learned = self._learn(self._learned.evidence)

    def _learn(self, last: Evidence | None) -> Learned:
        labels = self._labels
        evidence = Evidence(self._facts, labels, last)
        prior = np.array([PRIOR.get(name, 0.0) for name in evidence.names])
        prior[-1] = np.log(len(self._names) - 1)  # nothing known: as likely as all hashtags together
        teachers = evidence.confirmed[:: max(1, -(-len(evidence.confirmed) // TEACHERS))]
        if not len(teachers):
            return Learned(evidence, prior)
        numbers, candidates = evidence.of(teachers)
        found = candidates == labels[teachers][:, None]
        there = found.any(1)
        weights = fit(numbers[there], found[there].argmax(1), prior, STRENGTH, prior)
        return Learned(evidence, weights)

    def chances(self, rows: Rows) -> tuple[Array, Rows]:
        learned = self._learned
        numbers, candidates = learned.evidence.of(rows)
        return probabilities(numbers, learned.weights), candidates

    def evidence(self, index: int) -> tuple[dict[str, Array], Array]:
        """For inspection: by name what speaks for each candidate of that class, and its probability."""
        numbers, _ = self._learned.evidence.of(np.array([index]))
        chances = probabilities(numbers, self._learned.weights)[0]
        return dict(zip(self._learned.evidence.names, numbers[0].T, strict=True)), chances

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
        return Suggestions(found, share, abstains=self._abstains(index, chances, candidates != other))

    def _abstains(self, index: int, chances: Array, tags: NDArray[np.bool_]) -> bool:
        count = len(self._classes)
        known = np.append(np.flatnonzero(self._labels >= 0), np.arange(count, count + len(self._names) - 1))
        alike = self._space.products("all", np.array([index]), known[known != index])
        if float(alike.max(initial=0.0)) < NOTHING:
            return True
        hashtag = float(chances[tags].max(initial=0.0))
        return float(chances.max()) < LIKELY and hashtag < UNSURE * float(chances[tags].sum())

    def answers(self, refused: Mapping[int, Collection[str]] | None = None) -> list[tuple[str, float]]:
        """For every class the most likely answer, "other" included, and its probability.

        refused: place of a class → answers a curator has said are wrong; the others share their probability.
        """
        wrong = {row: {self._numbers[name] for name in names} for row, names in (refused or {}).items()}
        found: list[tuple[str, float]] = []
        for start in range(0, len(self._classes), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(self._classes)))
            chances, candidates = self.chances(rows)
            for at in [at for at, row in enumerate(rows) if int(row) in wrong]:
                chances[at][np.isin(candidates[at], list(wrong[int(rows[at])]))] = 0
            best = chances.argmax(1)
            sure = chances.max(1) / np.maximum(chances.sum(1), 1e-12)
            names = [self._names[candidates[at, one]] for at, one in enumerate(best)]
            found += zip(names, sure.tolist(), strict=True)
        return found

    def replace(self, index: int, facts: ClassFacts) -> None:
        """The class as it is now known, with another sense. The others gain at the next learn()."""
        self._classes[index] = facts
        self._known[index] = of_class(facts, self._nouns)
        self._facts.replace(index, self._known[index])
        self._reasons.replace(index, self._known[index])

    def hypernyms(self, index: int) -> tuple[str, ...]:
        """Hashtags that name something above the class in WordNet, nearest first."""
        return tuple(self._names[tag] for tag in self._facts.named_above(index))

    def reason(self, index: int, tag: int) -> str:
        """Why that class may get that answer, by what is confirmed."""
        rows = np.flatnonzero(self._labels == tag)
        rows = rows[rows != index]
        alike = self._space.products("all", np.array([index]), rows)[0]
        nearest = [int(rows[at]) for at in np.argsort(-alike)[:2] if alike[at] >= LIKE]
        own = np.array([len(self._classes) + tag])
        near = float(self._space.products("all", np.array([index]), own)[0, 0]) >= NEAR
        return self._reasons.say(index, tag, self._tags[tag], self._labels, alike=nearest, near=near)
