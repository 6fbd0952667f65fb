"""Rank the noun senses of a scene class, most likely to be photographed first.

The score of a sense is a sum of general signals; none is about a particular class:

- its lexicographer file: artifacts, places and natural objects can be photographed, acts and ideas cannot;
- a place, building, vehicle or plants among its hypernyms (PLACES), and whether it is inside or outside, as
  the name of the class ("/indoor") or the group of its data set says;
- WordNet's order, and the share of this sense in WordNet's tagged texts;
- words that its gloss, lemmas and hypernyms share with the rest of the class's name or group: "airplane"
  leads "cabin" to the compartment of an aircraft;
- negative signals: a single thing (a city), a technical term ("(chess) …"), a low position in WordNet's list.

With the optional embeddings, the similarity of "name, group" and gloss is added. The weights are the best of
a dozen combinations on benchmarks/sense_key.csv, so the figures there are slightly optimistic. Measured by
`python -m benchmarks.senses --embeddings`: the right sense is first for .944 of 395 classes and in the first
two for .985; with embeddings .957 and .985; WordNet's own first sense .866 and .927.
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

# How likely a sense of this lexicographer file is a place that can be photographed.
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
STOP_WORDS = frozenset(
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
# The weight of each signal.
RANK, FREQUENCY, PLACE, SIDE, NATURE = 0.04, 0.2, 0.15, 0.2, 0.15
NAME, GROUP, SUBJECT, INSTANCE, LIKENESS = 0.3, 0.1, 0.1, 1.0, 0.5
MAX_SHARED_WORDS = 2  # further shared words add no evidence
SHORTEST = 4  # letters of a noun that is cut off the end of a compound


def of_class(key: str, level1: str = "", level2: str = "", *, embed: Embed | None = None) -> list[Sense]:
    """The senses of a class, most likely first. Empty if WordNet has no noun for it.

    key: "a/airplane_cabin"; level1, level2: its data set's groups. Raises WordNetMissing.
    """
    terms = lookup_terms(key)
    senses = _rank_senses(terms, _Class(key, level1, level2), embed)
    return senses or _rank_senses(_parts(terms[0] if terms else ""), _Class(key, level1, level2), embed)


@lru_cache(maxsize=30_000)  # ranking those of 22,000 classes takes seconds
def likeliest_sense(key: str, level1: str, level2: str) -> str:
    """The key of the class's first sense, ranked without embeddings; blank if it has none."""
    senses = of_class(key, level1, level2)
    return senses[0].key if senses else ""


class _Class:
    """The context of a class besides the term that is looked up."""

    def __init__(self, key: str, level1: str, level2: str) -> None:
        self.name, self.level1 = clean(key), level1
        self.words = _words(self.name)
        self.group = _words(level2.replace("_", " "))
        self.text = f"{self.name}, {level1} {level2}".replace("_", " ")
        inside = level1 == "indoor" or bool(re.search("indoor|interior", key))
        self.inside = inside and level1 != "outdoor_natural"  # the inside of a cavern is not a room
        self.outside = not self.inside and bool(
            level1.startswith("outdoor") or re.search("outdoor|exterior", key)
        )


def _rank_senses(terms: Sequence[str], scene: _Class, embed: Embed | None) -> list[Sense]:
    """The senses of the first two terms that have any; further terms are not looked up."""
    nouns = wordnet.nouns()
    senses: dict[int, Sense] = {}
    terms_with_senses = 0
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
            if numbers[at] not in senses:
                senses[numbers[at]] = wordnet.sense_of(numbers[at], via=term)
        terms_with_senses += 1
        if terms_with_senses == 2:
            break
    return list(senses.values())


def _scores(numbers: list[int], term: str, scene: _Class, nouns: Nouns) -> list[float]:
    uses = sum(int(nouns.counts[i]) + 1 for i in numbers)
    rest = _add_hypernym_words(scene.words - _words(term))
    group = _add_hypernym_words(scene.group)
    scores = []
    for rank, i in enumerate(numbers):
        lexname, above, about = nouns.lexname(i), nouns.closure(i).keys(), _about(i)
        score = LEXNAMES.get(lexname, 0.0) - RANK * rank - INSTANCE * nouns.is_instance(i)
        score += FREQUENCY * (int(nouns.counts[i]) + 1) / uses
        score += PLACE * (not above.isdisjoint(_numbers(PLACES)))
        score += NAME * min(MAX_SHARED_WORDS, len(rest & about))
        score += GROUP * min(MAX_SHARED_WORDS, len(group & about))
        score -= SUBJECT * (nouns.gloss(i).startswith("(") or bool(nouns.topics(i)))
        if scene.level1:
            natural = scene.level1 == "outdoor_natural"
            score += NATURE * (lexname == ("noun.object" if natural else "noun.artifact"))
        score += SIDE * _side(scene, set(above), about)
        scores.append(score)
    return scores


def _side(scene: _Class, above: set[int], about: frozenset[str]) -> int:
    """1 if the sense is on the same side (inside or outside) as the class, -1 if it is on the other."""
    inside = not above.isdisjoint(_numbers(INSIDE))
    if scene.inside:
        return int(inside)
    if scene.outside:
        outside = not above.isdisjoint(_numbers(OUTSIDE)) or not about.isdisjoint(OUTSIDE_WORDS)
        return outside - inside
    return 0


def _parts(name: str) -> list[str]:
    """Terms for a name that is not in WordNet: its words, last first, then the endings of its last word."""
    words = name.split()
    ends = [words[-1][cut:] for cut in range(2, len(words[-1]) - SHORTEST + 1)] if words else []
    return [*reversed(words), *ends]


@lru_cache(maxsize=8)
def _numbers(keys: tuple[str, ...]) -> frozenset[int]:
    numbers = (wordnet.nouns().index(key) for key in keys)
    return frozenset(number for number in numbers if number is not None)


def _words(text: str) -> frozenset[str]:
    words = re.findall("[a-z]+", text.lower())
    return frozenset(_singular(word) for word in words if word not in STOP_WORDS)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _add_hypernym_words(words: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(_more_general(word) for word in words))


@lru_cache(maxsize=10_000)
def _more_general(word: str) -> frozenset[str]:
    """The word and the words of up to two steps above its first sense: airplane, aircraft, craft."""
    nouns = wordnet.nouns()
    words = {word}
    for first in nouns.synsets(word)[:1]:
        for up, steps in nouns.closure(first).items():
            if steps <= 2:
                words |= _words(" ".join(nouns.lemmas(up)))
    return frozenset(words)


@lru_cache(maxsize=50_000)
def _about(i: int) -> frozenset[str]:
    """The words of a sense's gloss, of its lemmas and of its direct hypernyms' lemmas."""
    nouns = wordnet.nouns()
    numbers = [i, *map(int, nouns.parents(i))]
    return _words(" ".join([nouns.gloss(i), *(lemma for noun in numbers for lemma in nouns.lemmas(noun))]))
