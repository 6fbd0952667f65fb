"""Which sense of a word a scene class means: its noun senses, the likeliest to be photographed first.

The score of a sense is a sum of signals, each one general; none is about a certain class:

- its lexicographer file: artifacts, places and natural objects can be photographed, acts and ideas cannot;
- a place, building, vehicle or plants above it (PLACES), and whether it lies inside or outside, as the class
  says by its name ("/indoor") or by its data set's group;
- WordNet's order, and its share of the uses of the word in WordNet's tagged texts;
- words of its gloss, its lemmas and what is above it that stand in the rest of the class's name or group:
  "airplane" leads "cabin" to the compartment of an aircraft;
- against it: one certain thing (a city), a subject's own term ("(chess) …"), each place down WordNet's list.

With the optional embeddings the likeness of "name, group" and gloss is added. Weights were set by trying a
dozen combinations on benchmarks/sense_key.csv, so its figures are a little kinder than a new data set's.
Measured by `python -m benchmarks.senses --embeddings`: right first for .944 of 395 classes, in the first two
for .985; with embeddings .957 and .985; WordNet's own first sense .866 and .927.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from mapping.lexicon import wordnet
from mapping.lexicon.names import clean, lookup_terms
from mapping.lexicon.nouns import Nouns
from mapping.lexicon.wordnet import Sense

Embed = Callable[[Sequence[str]], Any]

# How likely a sense of this lexicographer file is a place one can photograph.
LEXNAMES = {
    "noun.artifact": 0.5,
    "noun.location": 0.45,
    "noun.object": 0.45,
    "noun.Tops": 0.17,
    "noun.group": 0.1,
    "noun.phenomenon": 0.08,
    "noun.shape": 0.03,
}
PLACES = (
    *("structure.n.01", "location.n.01", "geological_formation.n.01", "body_of_water.n.01", "land.n.04"),
    *("way.n.06", "area.n.05", "facility.n.01", "conveyance.n.03", "vegetation.n.01"),
)
INSIDE = ("room.n.01", "compartment.n.02", "area.n.05")
OUTSIDE = (
    "building.n.01",
    "tract.n.01",
    "geological_formation.n.01",
    "body_of_water.n.01",
    "thoroughfare.n.01",
)
OUTSIDE_WORDS = frozenset({"outdoor", "outside", "street", "town", "land", "building"})
SAYS_NOTHING = frozenset(
    {
        *(
            "a",
            "an",
            "and",
            "any",
            "as",
            "at",
            "be",
            "by",
            "especially",
            "etc",
            "for",
            "from",
            "in",
            "is",
            "it",
        ),
        *("its", "of", "on", "one", "or", "other", "that", "the", "to", "used", "usually", "where", "which"),
        *("with", "artifact", "entity", "instrumentality", "object", "thing", "unit", "whole"),
        *("indoor", "outdoor", "place", "area"),
    }
)
# What each signal counts.
RANK, FREQUENCY, PLACE, SIDE, NATURE = 0.04, 0.2, 0.15, 0.2, 0.15
NAME, GROUP, SUBJECT, INSTANCE, LIKENESS = 0.3, 0.1, 0.1, 1.0, 0.5
WORDS_COUNTED = 2  # more of them say nothing new
SHORTEST = 4  # letters of a noun that is cut from the end of a compound


def of_class(key: str, level1: str = "", level2: str = "", *, embed: Embed | None = None) -> list[Sense]:
    """The senses of a class, the likeliest first; none where WordNet has no noun for it.

    key: "a/airplane_cabin"; level1, level2: its data set's groups. Raises WordNetMissing.
    """
    terms = lookup_terms(key)
    found = _ranked(terms, _Class(key, level1, level2), embed)
    return found or _ranked(_parts(terms[0] if terms else ""), _Class(key, level1, level2), embed)


class _Class:
    """What a class says of itself besides the term that is looked up."""

    def __init__(self, key: str, level1: str, level2: str) -> None:
        self.name, self.level1 = clean(key), level1
        self.words = _words(self.name)
        self.group = _words(level2.replace("_", " "))
        self.text = f"{self.name}, {level1} {level2}".replace("_", " ")
        inside = level1 == "indoor" or bool(re.search("indoor|interior", key))
        self.inside = inside and level1 != "outdoor_natural"  # a cavern's inside is no room
        self.outside = not self.inside and bool(
            level1.startswith("outdoor") or re.search("outdoor|exterior", key)
        )


def _ranked(terms: Sequence[str], scene: _Class, embed: Embed | None) -> list[Sense]:
    """Senses of the first term that has any, then of the next that has; further terms are not asked."""
    nouns = wordnet.nouns()
    found: dict[int, Sense] = {}
    answered = 0
    for term in terms:
        numbers = nouns.synsets(term)
        if not numbers:
            continue
        scores = _scores(numbers, term, scene, nouns)
        if embed is not None and (vectors := embed([scene.text, *map(nouns.gloss, numbers)])) is not None:
            scores = [
                score + LIKENESS * float(v @ vectors[0]) for score, v in zip(scores, vectors[1:], strict=True)
            ]
        for at in sorted(range(len(numbers)), key=lambda at: -scores[at]):
            if numbers[at] not in found:
                found[numbers[at]] = wordnet.sense_of(numbers[at], via=term)
        answered += 1
        if answered == 2:
            break
    return list(found.values())


def _scores(numbers: list[int], term: str, scene: _Class, nouns: Nouns) -> list[float]:
    uses = sum(int(nouns.counts[i]) + 1 for i in numbers)
    rest = _widened(scene.words - _words(term))
    group = _widened(scene.group)
    scores = []
    for rank, i in enumerate(numbers):
        lexname, above, about = nouns.lexname(i), nouns.closure(i).keys(), _about(i)
        score = LEXNAMES.get(lexname, 0.0) - RANK * rank - INSTANCE * nouns.is_instance(i)
        score += FREQUENCY * (int(nouns.counts[i]) + 1) / uses
        score += PLACE * (not above.isdisjoint(_numbers(PLACES)))
        score += NAME * min(WORDS_COUNTED, len(rest & about))
        score += GROUP * min(WORDS_COUNTED, len(group & about))
        score -= SUBJECT * (nouns.gloss(i).startswith("(") or bool(nouns.topics(i)))
        if scene.level1:
            natural = scene.level1 == "outdoor_natural"
            score += NATURE * (lexname == ("noun.object" if natural else "noun.artifact"))
        score += SIDE * _side(scene, set(above), about)
        scores.append(score)
    return scores


def _side(scene: _Class, above: set[int], about: frozenset[str]) -> int:
    """1 where the sense lies on the class's side of the door, -1 where it lies on the other."""
    inside = not above.isdisjoint(_numbers(INSIDE))
    if scene.inside:
        return int(inside)
    if scene.outside:
        outside = not above.isdisjoint(_numbers(OUTSIDE)) or not about.isdisjoint(OUTSIDE_WORDS)
        return outside - inside
    return 0


def _parts(name: str) -> list[str]:
    """For a name that is no term: its words from the last to the first, then nouns that end its last word."""
    words = name.split()
    ends = [words[-1][cut:] for cut in range(2, len(words[-1]) - SHORTEST + 1)] if words else []
    return [*reversed(words), *ends]


@lru_cache(maxsize=8)
def _numbers(keys: tuple[str, ...]) -> frozenset[int]:
    numbers = (wordnet.nouns().index(key) for key in keys)
    return frozenset(number for number in numbers if number is not None)


def _words(text: str) -> frozenset[str]:
    found = re.findall("[a-z]+", text.lower())
    return frozenset(_singular(word) for word in found if word not in SAYS_NOTHING)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _widened(words: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(_more_general(word) for word in words))


@lru_cache(maxsize=10_000)
def _more_general(word: str) -> frozenset[str]:
    """The word and those of up to two steps above its first sense: airplane, aircraft, craft."""
    nouns = wordnet.nouns()
    found = {word}
    for first in nouns.synsets(word)[:1]:
        for up, steps in nouns.closure(first).items():
            if steps <= 2:
                found |= _words(" ".join(nouns.lemmas(up)))
    return frozenset(found)


@lru_cache(maxsize=50_000)
def _about(i: int) -> frozenset[str]:
    """The words of a sense's gloss, of its lemmas and of those right above it."""
    nouns = wordnet.nouns()
    near = [i, *map(int, nouns.parents(i))]
    return _words(" ".join([nouns.gloss(i), *(lemma for noun in near for lemma in nouns.lemmas(noun))]))
