"""The features of classes and hashtags, as numbers that can be compared. Numpy only.

Each block of features is a sparse matrix with one row of length 1 per class, followed by one per hashtag. A
view is a weighted sum of blocks; the suggester learns from the products of its rows. Up to EXACT rows, the
products are exact. Beyond, rows are sketched (each feature is added with a random sign to one of SKETCH
columns; Charikar et al. 2002), which keeps products right on average.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon import domains
from mapping.lexicon.nouns import Nouns

EXACT = 1200
SKETCH = 512
DECAY = 0.85
SENSES_OF_HASHTAG = 3  # nobody has chosen the sense of a hashtag, so the first few count

Floats = NDArray[np.float32]
Features = dict[str, float]
Embed = Callable[[Sequence[str]], Floats | None]


@dataclass(frozen=True)
class ClassFacts:
    """A scene class. name: cleaned, "shoe shop". sense: key of its noun. level1, level2: groups of its data
    set. All but key and name may be blank."""

    key: str
    name: str
    sense: str = ""
    level1: str = ""
    level2: str = ""


@dataclass(frozen=True)
class HashtagFacts:
    """A hashtag. name: without #. posts: their number in any unit, 0 if unknown."""

    name: str
    posts: float = 0.0


@dataclass(frozen=True)
class Profile:
    """The source of all blocks: a class, or a hashtag with the possible senses of its word."""

    name: str
    senses: tuple[int, ...]
    above: dict[int, int]
    """Its senses and their hypernyms, with the number of steps; each further sense adds two steps."""
    level1: str = ""
    level2: str = ""


def profile_of_class(facts: ClassFacts, nouns: Nouns) -> Profile:
    sense = nouns.index(facts.sense) if facts.sense else None
    senses = (sense,) if sense is not None else ()
    return Profile(facts.name, senses, _above(senses, nouns), facts.level1, facts.level2)


def profile_of_hashtag(facts: HashtagFacts, nouns: Nouns) -> Profile:
    senses = tuple(nouns.synsets(facts.name)[:SENSES_OF_HASHTAG])
    return Profile(facts.name, senses, _above(senses, nouns))


def _above(senses: tuple[int, ...], nouns: Nouns) -> dict[int, int]:
    steps: dict[int, int] = {}
    for rank, sense in enumerate(senses):
        for up, depth in nouns.closure(sense).items():
            steps[up] = min(steps.get(up, 99), depth + 2 * rank)
    return steps


def _closure(profile: Profile, nouns: Nouns) -> Features:
    return {str(up): 1.0 for up in profile.above}


def _decayed(profile: Profile, nouns: Nouns) -> Features:
    return {str(up): DECAY**depth for up, depth in profile.above.items()}


def words(name: str) -> list[str]:
    return name.lower().replace("_", " ").replace("-", " ").split()


def _tokens(profile: Profile, nouns: Nouns) -> Features:
    """The words of the name and, with less weight, those of the sense and its gloss."""
    weights = dict.fromkeys(words(profile.name), 1.0)
    for sense in profile.senses[:1]:
        for lemma in nouns.lemmas(sense):
            for word in words(lemma):
                weights.setdefault(word, 0.5)
        for word in words(nouns.gloss(sense)):
            weights.setdefault(word.strip("();,.:`'\""), 0.25)
    return weights


def _described(profile: Profile, nouns: Nouns) -> Features:
    """The words of the gloss and, with less weight, those of the next two hypernyms' glosses."""
    weights: Features = {}
    for sense in profile.senses[:1]:
        for steps, up in enumerate(nouns.path(sense)[:3]):
            for word in (word.strip("();,.:`'\"") for word in words(nouns.gloss(up))):
                if len(word) > 2:
                    weights[word] = max(weights.get(word, 0.0), 0.6**steps)
    return weights


def _chars(profile: Profile, nouns: Nouns) -> Features:
    ngrams: Counter[str] = Counter()
    for word in words(profile.name):
        token = f"<{word}>"
        for size in (3, 4, 5):
            ngrams.update(token[at : at + size] for at in range(len(token) - size + 1))
    return dict.fromkeys(ngrams, 1.0)


def _lexname(profile: Profile, nouns: Nouns) -> Features:
    return {nouns.lexname(sense): 1.0 for sense in profile.senses[:1]}


def domains_of(profile: Profile, nouns: Nouns) -> tuple[str, ...]:
    """The domains of its sense, empty without the optional package."""
    return domains.domains_of(nouns.keys[profile.senses[0]]) if profile.senses else ()


def _domains(profile: Profile, nouns: Nouns) -> Features:
    return dict.fromkeys(domains_of(profile, nouns), 1.0)


def _groups(profile: Profile, nouns: Nouns) -> Features:
    return {profile.level2: 1.0} if profile.level2 else {}


def _sides(profile: Profile, nouns: Nouns) -> Features:
    return {profile.level1: 1.0} if profile.level1 else {}


# Name of a block → its features, and whether rare features count more (inverse document frequency).
BLOCKS: dict[str, tuple[Callable[[Profile, Nouns], Features], bool]] = {
    "closure": (_closure, True),
    "decayed": (_decayed, False),
    "tokens": (_tokens, True),
    "chars": (_chars, True),
    "described": (_described, True),
    "groups": (_groups, False),
    "domains": (_domains, False),
    "lexname": (_lexname, False),
    "sides": (_sides, False),
}
EMBEDDED = ("photo", "gloss")


class Sparse:
    """A block of sparse rows, scaled to length 1. Replacing a row may add columns."""

    def __init__(self, rows: Iterable[Features], *, rare: bool, documents: int) -> None:
        self._columns: dict[str, int] = {}
        self._rare = rare
        self._rows = [self._numbers(row) for row in rows]
        columns = np.concatenate([at for at, _ in self._rows[:documents]] or [np.empty(0, np.int64)])
        self._frequency = np.bincount(columns, minlength=len(self._columns))
        self._documents = documents

    def _numbers(self, row: Features) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        at = [self._columns.setdefault(name, len(self._columns)) for name in row]
        return np.array(at, np.int64), np.array(list(row.values()), float)

    def __bool__(self) -> bool:
        """Whether any row has any feature."""
        return bool(self._columns)

    def replace(self, row: int, features: Features) -> None:
        self._rows[row] = self._numbers(features)

    def _weights(self) -> NDArray[np.float64]:
        if not self._rare:
            return np.ones(len(self._columns))
        frequency = np.zeros(len(self._columns))
        frequency[: len(self._frequency)] = self._frequency
        return np.log((1 + self._documents) / (1 + frequency)) + 1e-6

    def dense(self, rows: Sequence[int], width: int = 0, seed: int = 0) -> Floats:
        """(rows, columns): rows of length 1, or 0 if empty. A width sketches to that many columns."""
        weights = self._weights()
        sparse_rows = [self._rows[row] for row in rows]
        at = np.repeat(np.arange(len(rows)), [len(columns) for columns, _ in sparse_rows])
        columns = np.concatenate([columns for columns, _ in sparse_rows] or [np.empty(0, np.int64)])
        values = np.concatenate([values for _, values in sparse_rows] or [np.empty(0)]) * weights[columns]
        lengths = np.sqrt(np.bincount(at, values**2, minlength=len(rows)))
        values /= np.maximum(lengths[at], 1e-9)
        if width:
            generator = np.random.default_rng(seed)  # the same sketch in every process
            coins = generator.integers(0, 2 * width, size=len(weights))
            values *= np.where(coins[columns] < width, 1.0, -1.0)
            columns = coins[columns] % width
        width = width or len(weights)
        flat = np.bincount(at * width + columns, values, minlength=len(rows) * width)
        return flat.reshape(len(rows), width).astype(np.float32)


def batches(count: int, size: int = 2048) -> Iterator[list[int]]:
    for start in range(0, count, size):
        yield list(range(start, min(start + size, count)))


def texts(profile: Profile, nouns: Nouns) -> tuple[str, str]:
    """The texts to embed: a caption for a photo of it, and its name with the gloss."""
    gloss = nouns.gloss(profile.senses[0]) if profile.senses else ""
    article = "an" if profile.name[:1].lower() in tuple("aeiou") else "a"
    return f"a photo of {article} {profile.name}", f"{profile.name}: {gloss}" if gloss else profile.name


def length_one(rows: Floats) -> Floats:
    """The rows, scaled to length 1."""
    lengths = np.sqrt((rows**2).sum(1, keepdims=True))
    scaled: Floats = (rows / np.maximum(lengths, 1e-9)).astype(np.float32)
    return scaled
