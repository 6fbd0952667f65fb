"""Suggest hashtags for a class, learned from confirmed rows only.

Two steps (docs/decisions/0006-suggester.md): a ridge regression from the features of a class to its answer,
and a conditional logit over the answers of a row. All hashtags share the weights of the logit, so a hashtag
that was confirmed only twice profits from the others. If nothing is confirmed, the words and synsets of the
hashtags decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formats.classes import OTHER
from mapping.lexicon.nouns import Nouns
from mapping.suggester.evidence import Evidence, Facts
from mapping.suggester.facts import (
    ClassFacts,
    Embed,
    Floats,
    HashtagFacts,
    profile_of_class,
    profile_of_hashtag,
)
from mapping.suggester.pairs import fit, probabilities
from mapping.suggester.reasons import Reasons
from mapping.suggester.space import Rows, Space

STRENGTH = 2.0
# Prior weights of the evidence, before anything is confirmed. All others are 0.
PRIOR = {
    **{"ridge all": 5.0, "nearest all": 2.0, "ridge photo": 2.0, "ridge gloss": 2.0, "above": 4.0},
    **{"tag words": 3.0, "tag photo": 3.0, "tag gloss": 3.0, "tag rank": 1.0},
}
# The same for the evidence of photos, which only classes with photos have.
LOOKS = {"ridge looks": 4.0, "nearest looks": 2.0}
AT_ONCE = 1000  # classes whose evidence is in memory at the same time
TEACHERS = 400  # the logit learns from at most this many confirmed rows
# The suggester abstains if nothing is similar to the class, or if no answer is likely and no hashtag
# stands out.
NOTHING = 0.05
LIKELY = 0.55
UNSURE = 0.18
NEAR = 0.15  # least similarity to a hashtag's own words and senses to name it as a reason
LIKE = 0.2  # least similarity to a confirmed class to name it as a reason
LOOKS_LIKE = 0.3  # least similarity of the photos of two classes to say that they look alike
NEAREST = 5  # confirmed classes that may be named for their looks

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Suggestion:
    """A hashtag, its probability among all answers including other, and the reason in words."""

    hashtag: str
    probability: float
    reason: str


@dataclass(frozen=True)
class Suggestions:
    """hashtags: best first. other: the probability that none fits. abstains: too little evidence. further:
    the names of the hashtags that come next, without reasons.
    """

    hashtags: tuple[Suggestion, ...]
    other: float
    abstains: bool
    further: tuple[str, ...] = ()


@dataclass(frozen=True)
class LearnedState:
    """weights, seeing (columns of the evidence,): for classes without and with photos. Weights that rely on
    looks would be too low for the words of a class that has none.
    """

    evidence: Evidence
    weights: Array
    seeing: Array

    def chances(self, numbers: Array, seen: NDArray[np.bool_]) -> Array:
        chances = probabilities(numbers, self.weights)
        if seen.any():
            chances[seen] = probabilities(numbers[seen], self.seeing)
        return chances


class Suggester:
    """Learns from confirmed classes. A class is named by its place in `classes`."""

    def __init__(
        self,
        classes: Sequence[ClassFacts],
        hashtags: Sequence[HashtagFacts],
        nouns: Nouns,
        embeddings: Embed | None = None,
        looks: Floats | None = None,
    ) -> None:
        """looks: see mapping.suggester.looks.coordinates."""
        self._nouns = nouns
        self._classes, self._hashtags = list(classes), list(hashtags)
        self._names = [*(tag.name for tag in hashtags), OTHER]
        self._numbers = {name: at for at, name in enumerate(self._names)}
        self._profiles = [profile_of_class(facts, nouns) for facts in classes]
        self._tags = tags = [profile_of_hashtag(facts, nouns) for facts in hashtags]
        self._reasons = Reasons(self._profiles, self._names, nouns)
        self._space = Space(
            [*self._profiles, *tags], nouns, classes=len(classes), embed=embeddings, looks=looks
        )
        self._facts = Facts(self._profiles, tags, nouns, self._space)
        self._labels = np.full(len(classes), -1, np.int64)
        self._learned = self._learn(None)

    # ---- learning

    def learn(self, confirmed: Mapping[int, str]) -> None:
        """Learn from these confirmed classes only: place of a class → hashtag, or "other".

        In the meantime, other threads get answers from the state before. Raises KeyError for an unknown
        hashtag, IndexError for an unknown place.
        """
        labels = np.full(len(self._classes), -1, np.int64)
        for row, name in confirmed.items():
            labels[row] = self._numbers[name]
        self._labels = labels
        self._learned = self._learn(self._learned.evidence)

    def _learn(self, previous: Evidence | None) -> LearnedState:
        labels = self._labels
        evidence = Evidence(self._facts, labels, previous)
        is_look = np.array([name in LOOKS for name in evidence.names])
        prior = np.array([PRIOR.get(name, 0.0) for name in evidence.names])
        # Without evidence, other is as likely as all hashtags together.
        prior[-1] = np.log(max(1, len(self._names) - 1))
        looks = np.array([LOOKS.get(name, 0.0) for name in evidence.names])
        teachers = evidence.confirmed[:: max(1, -(-len(evidence.confirmed) // TEACHERS))]
        if not len(teachers):
            return LearnedState(evidence, prior, prior + looks)
        numbers, candidates = evidence.of(teachers)
        matches = candidates == labels[teachers][:, None]
        has_match = matches.any(1)
        numbers, truth = numbers[has_match], matches[has_match].argmax(1)
        weights = fit(np.where(is_look, 0.0, numbers), truth, prior, STRENGTH, prior)
        seen = self._space.seen(teachers[has_match])
        seeing = weights + looks
        if seen.any():
            seeing = fit(numbers[seen], truth[seen], seeing, STRENGTH, seeing)
        return LearnedState(evidence, weights, seeing)

    def chances(self, rows: Rows) -> tuple[Array, Rows]:
        state = self._learned
        numbers, candidates = state.evidence.of(rows)
        return state.chances(numbers, self._space.seen(rows)), candidates

    def evidence(self, index: int) -> tuple[dict[str, Array], Array]:
        """For inspection: the evidence for each candidate of a class by name, and the probabilities."""
        rows = np.array([index])
        numbers, _ = self._learned.evidence.of(rows)
        chances = self._learned.chances(numbers, self._space.seen(rows))[0]
        return dict(zip(self._learned.evidence.names, numbers[0].T, strict=True)), chances

    def suggest(
        self, index: int, n: int = 3, *, further: int = 0, without: Collection[str] = ()
    ) -> Suggestions:
        """The n best hashtags for a class, which may be confirmed or not, and the names of so many further
        ones. without: hashtags that are learned from, but not suggested; nobody gets their probability.
        """
        (chances,), (candidates,) = self.chances(np.array([index]))
        other = len(self._names) - 1
        tags = ~np.isin(candidates, [other, *self._numbers_of(without)])
        order = [int(at) for at in np.argsort(-chances) if tags[at]]
        suggestions = tuple(
            Suggestion(
                self._names[candidates[at]], float(chances[at]), self.reason(index, int(candidates[at]))
            )
            for at in order[:n]
        )
        share = float(chances[candidates == other].sum())
        return Suggestions(
            suggestions,
            share,
            abstains=self._abstains(index, chances, tags),
            further=tuple(self._names[candidates[at]] for at in order[n : n + further]),
        )

    def _numbers_of(self, names: Collection[str]) -> list[int]:
        return [self._numbers[name] for name in names if name in self._numbers]

    def _abstains(self, index: int, chances: Array, tags: NDArray[np.bool_]) -> bool:
        count = len(self._classes)
        compared_rows = np.append(
            np.flatnonzero(self._labels >= 0), np.arange(count, count + len(self._names) - 1)
        )
        similarity = self._space.products("all", np.array([index]), compared_rows[compared_rows != index])
        if float(similarity.max(initial=0.0)) < NOTHING and not self.lookalikes(index):
            return True
        hashtag = float(chances[tags].max(initial=0.0))
        return float(chances.max()) < LIKELY and hashtag < UNSURE * float(chances[tags].sum())

    def answers(
        self,
        refused_answers: Mapping[int, Collection[str]] | None = None,
        *,
        without: Collection[str] = (),
    ) -> list[tuple[str, float]]:
        """The most likely answer of every class, which may be "other", and its probability.

        refused_answers: place of a class → answers that a curator unticked; the others share their chances.
        without: as for suggest.
        """
        refused_numbers = {
            row: {self._numbers[name] for name in names} for row, names in (refused_answers or {}).items()
        }
        hidden = self._numbers_of(without)
        answers: list[tuple[str, float]] = []
        for start in range(0, len(self._classes), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(self._classes)))
            chances, candidates = self.chances(rows)
            for at in [at for at, row in enumerate(rows) if int(row) in refused_numbers]:
                chances[at][np.isin(candidates[at], list(refused_numbers[int(rows[at])]))] = 0
            total = np.maximum(chances.sum(1), 1e-12)
            chances[np.isin(candidates, hidden)] = 0
            best = chances.argmax(1)
            shares = chances.max(1) / total
            names = [self._names[candidates[at, one]] for at, one in enumerate(best)]
            answers += zip(names, shares.tolist(), strict=True)
        return answers

    def replace(self, index: int, facts: ClassFacts) -> None:
        """Replace the facts about a class, such as its sense. Other classes profit after the next learn()."""
        self._classes[index] = facts
        self._profiles[index] = profile_of_class(facts, self._nouns)
        self._facts.replace(index, self._profiles[index])
        self._reasons.replace(index, self._profiles[index])

    def reason(self, index: int, tag: int) -> str:
        """The reason for this answer to a class, from confirmed classes."""
        rows = np.flatnonzero(self._labels == tag)
        rows = rows[rows != index]
        similarity = self._space.products("all", np.array([index]), rows)[0]
        nearest = [int(rows[at]) for at in np.argsort(-similarity)[:2] if similarity[at] >= LIKE]
        own = np.array([len(self._classes) + tag])
        is_similar = float(self._space.products("all", np.array([index]), own)[0, 0]) >= NEAR
        return self._reasons.say(
            index,
            tag,
            self._tags[tag],
            self._labels,
            similar_rows=nearest,
            lookalikes=[row for row in self.lookalikes(index) if self._labels[row] == tag][:2],
            is_similar=is_similar,
        )

    def lookalikes(self, index: int) -> list[int]:
        """The confirmed classes whose photos look most like those of a class, nearest first; at most NEAREST.
        Empty without photos.
        """
        if "looks" not in self._space.views:
            return []
        rows = np.flatnonzero(self._labels >= 0)
        rows = rows[rows != index]
        similarity = self._space.products("looks", np.array([index]), rows)[0]
        order = np.argsort(-similarity)[:NEAREST]
        return [int(rows[at]) for at in order if similarity[at] >= LOOKS_LIKE]
