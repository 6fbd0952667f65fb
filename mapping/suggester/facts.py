"""What is known of a class and of a hashtag, as numbers that can be compared. Numpy alone.

Every block of features is a sparse matrix with one row of length 1 for each class and, behind them, each
hashtag; a view is a weighted sum of blocks, and what is learned from is the products of its rows. Up to
EXACT rows the products are exact; beyond, rows are sketched (each feature is added with a random sign to one
of SKETCH columns; Charikar et al. 2002), which keeps products right on average.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.domains import domains_file, wordnet_domains
from mapping.lexicon.nouns import Nouns

EXACT = 1200
SKETCH = 512
DECAY = 0.85
SENSES_OF_HASHTAG = 3  # of a hashtag nobody has said which sense is meant

Floats = NDArray[np.float32]
Features = dict[str, float]
Embed = Callable[[Sequence[str]], Floats | None]


@dataclass(frozen=True)
class ClassFacts:
    """A scene class. name: cleaned, "shoe shop"; sense: key of its noun, or blank; level1, level2: the data
    set's own groups, or blank."""

    key: str
    name: str
    sense: str = ""
    level1: str = ""
    level2: str = ""


@dataclass(frozen=True)
class HashtagFacts:
    """A hashtag without its #; posts: how many there are, in any unit, 0 when unknown."""

    name: str
    posts: float = 0.0


@dataclass(frozen=True)
class Known:
    """A row of every block: a class, or a hashtag with the senses its word may have."""

    name: str
    senses: tuple[int, ...]
    above: dict[int, int]
    """All that is above its senses, and by how many steps; each further sense counts as two steps more."""
    level1: str = ""
    level2: str = ""


def of_class(facts: ClassFacts, nouns: Nouns) -> Known:
    sense = nouns.index(facts.sense) if facts.sense else None
    senses = (sense,) if sense is not None else ()
    return Known(facts.name, senses, _above(senses, nouns), facts.level1, facts.level2)


def of_hashtag(facts: HashtagFacts, nouns: Nouns) -> Known:
    senses = tuple(nouns.synsets(facts.name)[:SENSES_OF_HASHTAG])
    return Known(facts.name, senses, _above(senses, nouns))


def _above(senses: tuple[int, ...], nouns: Nouns) -> dict[int, int]:
    steps: dict[int, int] = {}
    for rank, sense in enumerate(senses):
        for up, depth in nouns.closure(sense).items():
            steps[up] = min(steps.get(up, 99), depth + 2 * rank)
    return steps


def _closure(known: Known, nouns: Nouns) -> Features:
    return {str(up): 1.0 for up in known.above}


def _decayed(known: Known, nouns: Nouns) -> Features:
    return {str(up): DECAY**depth for up, depth in known.above.items()}


def words(name: str) -> list[str]:
    return name.lower().replace("_", " ").replace("-", " ").split()


def _tokens(known: Known, nouns: Nouns) -> Features:
    """The words of the name, and at less weight those of the sense and its gloss."""
    found = dict.fromkeys(words(known.name), 1.0)
    for sense in known.senses[:1]:
        for lemma in nouns.lemmas(sense):
            for word in words(lemma):
                found.setdefault(word, 0.5)
        for word in words(nouns.gloss(sense)):
            found.setdefault(word.strip("();,.:`'\""), 0.25)
    return found


def _described(known: Known, nouns: Nouns) -> Features:
    """The words of the gloss, and at less weight those of the next two notions up."""
    found: Features = {}
    for sense in known.senses[:1]:
        for steps, up in enumerate(nouns.path(sense)[:3]):
            for word in (word.strip("();,.:`'\"") for word in words(nouns.gloss(up))):
                if len(word) > 2:
                    found[word] = max(found.get(word, 0.0), 0.6**steps)
    return found


def _chars(known: Known, nouns: Nouns) -> Features:
    found: Counter[str] = Counter()
    for word in words(known.name):
        padded = f"<{word}>"
        for size in (3, 4, 5):
            found.update(padded[at : at + size] for at in range(len(padded) - size + 1))
    return dict.fromkeys(found, 1.0)


def _lexname(known: Known, nouns: Nouns) -> Features:
    return {nouns.lexname(sense): 1.0 for sense in known.senses[:1]}


_domains_file = lru_cache(maxsize=1)(domains_file)  # it looks through the whole path of Python


def domains_of(known: Known, nouns: Nouns) -> list[str]:
    """WordNet Domains of its sense, none without the optional package; "factotum" is no domain."""
    file = _domains_file()
    if file is None or not known.senses:
        return []
    found = wordnet_domains(file).get(int(nouns.offsets[known.senses[0]]), ())
    return [name for name in found if name != "factotum"]


def _domains(known: Known, nouns: Nouns) -> Features:
    return dict.fromkeys(domains_of(known, nouns), 1.0)


def _groups(known: Known, nouns: Nouns) -> Features:
    return {known.level2: 1.0} if known.level2 else {}


def _sides(known: Known, nouns: Nouns) -> Features:
    return {known.level1: 1.0} if known.level1 else {}


# Name of a block: its features, and whether rare ones count more (inverse document frequency).
BLOCKS: dict[str, tuple[Callable[[Known, Nouns], Features], bool]] = {
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
    """A block: sparse rows of length 1. Replaced rows may add columns."""

    def __init__(self, rows: Iterable[Features], *, rare: bool, documents: int) -> None:
        self._columns: dict[str, int] = {}
        self._rare = rare
        self._rows = [self._numbers(row) for row in rows]
        seen = np.concatenate([at for at, _ in self._rows[:documents]] or [np.empty(0, np.int64)])
        self._frequency = np.bincount(seen, minlength=len(self._columns))
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
        """(rows, columns), each row of length 1, or 0 when blank; sketched to width columns unless 0."""
        weights = self._weights()
        chosen = [self._rows[row] for row in rows]
        at = np.repeat(np.arange(len(rows)), [len(columns) for columns, _ in chosen])
        columns = np.concatenate([columns for columns, _ in chosen] or [np.empty(0, np.int64)])
        values = np.concatenate([values for _, values in chosen] or [np.empty(0)]) * weights[columns]
        lengths = np.sqrt(np.bincount(at, values**2, minlength=len(rows)))
        values /= np.maximum(lengths[at], 1e-9)
        if width:
            generator = np.random.default_rng(seed)  # the same columns get the same places in every process
            coins = generator.integers(0, 2 * width, size=len(weights))
            values *= np.where(coins[columns] < width, 1.0, -1.0)
            columns = coins[columns] % width
        width = width or len(weights)
        flat = np.bincount(at * width + columns, values, minlength=len(rows) * width)
        return flat.reshape(len(rows), width).astype(np.float32)


def batches(count: int, size: int = 2048) -> Iterator[list[int]]:
    for start in range(0, count, size):
        yield list(range(start, min(start + size, count)))


def texts(known: Known, nouns: Nouns) -> tuple[str, str]:
    """What the embedding reads: how a photo of it would be called, and the name with the gloss."""
    gloss = nouns.gloss(known.senses[0]) if known.senses else ""
    article = "an" if known.name[:1].lower() in tuple("aeiou") else "a"
    return f"a photo of {article} {known.name}", f"{known.name}: {gloss}" if gloss else known.name


def length_one(rows: Floats) -> Floats:
    lengths = np.sqrt((rows**2).sum(1, keepdims=True))
    found: Floats = (rows / np.maximum(lengths, 1e-9)).astype(np.float32)
    return found
