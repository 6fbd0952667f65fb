"""WordNet's nouns: senses of a scene class, ranked, and the way up from a sense to more general ones.

The only module that imports nltk. Its reader takes 2–4 s to build, so it is built at first use, once per
process. Without data every function raises WordNetMissing; pages then offer plain text fields.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset, WordNetCorpusReader

DATA_DIR = Path(__file__).resolve().parent.parent / "var/nltk_data"  # where scripts/get_wordnet.py puts it
HOW_TO_GET_IT = "WordNet is not here. Get it with: python scripts/get_wordnet.py"

# How likely a sense of this lexicographer file is a place one can photograph.
LEXNAME_WEIGHT = {
    "noun.artifact": 3.0,
    "noun.location": 2.5,
    "noun.object": 2.5,
    "noun.Tops": 1.0,
    "noun.group": 0.6,
    "noun.phenomenon": 0.5,
    "noun.shape": 0.2,
}
PLACES = frozenset(
    {
        *("structure.n.01", "location.n.01", "geological_formation.n.01", "body_of_water.n.01"),
        *("land.n.04", "way.n.06", "area.n.05", "facility.n.01", "vehicle.n.01", "vegetation.n.01"),
    }
)


class WordNetMissing(Exception):
    """WordNet's data is not on this machine."""

    def __init__(self) -> None:
        super().__init__(HOW_TO_GET_IT)


@dataclass(frozen=True)
class Sense:
    """One meaning. key is nltk's synset name ("shop.n.01"); via says which term of the class led to it."""

    key: str
    lemmas: tuple[str, ...]
    gloss: str
    lexname: str
    examples: tuple[str, ...]
    via: str = ""

    @property
    def word(self) -> str:
        return self.lemmas[0]


_lock = threading.Lock()


def is_ready() -> bool:
    """True when the data is there; loads it, which takes seconds the first time."""
    try:
        _reader()
    except WordNetMissing:
        return False
    return True


def _reader() -> WordNetCorpusReader:
    with _lock:  # two first readers at once would each build one
        return _build_reader()


@lru_cache(maxsize=1)
def _build_reader() -> WordNetCorpusReader:
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    # We read English only, and without the multilingual data nltk says so each time.
    warnings.filterwarnings("ignore", "The multilingual functions")
    if str(DATA_DIR) not in nltk.data.path:
        nltk.data.path.append(str(DATA_DIR))
    for name in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            return WordNetCorpusReader(nltk.data.find(name), None)
        except LookupError:
            continue
    raise WordNetMissing


def _sense(synset: Synset, via: str = "") -> Sense:
    return Sense(
        key=synset.name(),
        lemmas=tuple(name.replace("_", " ") for name in synset.lemma_names()),
        gloss=synset.definition(),
        lexname=synset.lexname(),
        examples=tuple(synset.examples()),
        via=via,
    )


def sense(key: str) -> Sense | None:
    """The sense of that key, or None when WordNet has no such noun."""
    found = _synset(key)
    return _sense(found) if found is not None else None


def _synset(key: str) -> Synset | None:
    from nltk.corpus.reader.wordnet import WordNetError

    try:
        found = _reader().synset(key)
    except (WordNetError, ValueError, KeyError):
        return None
    return found if found is not None and found.pos() == "n" else None


def senses(terms: Iterable[str]) -> list[Sense]:
    """Noun senses of the first term that has any, most likely a place first.

    terms are mapping.names.lookup_terms(key). A sense that only a later term gives is listed after all
    senses of an earlier one; terms behind the first two that answer are not asked.
    """
    found: dict[str, Sense] = {}
    answered = 0
    for term in terms:
        ranked = sorted(enumerate(_reader().synsets(term.replace(" ", "_"), pos="n")), key=_badness)
        for _, synset in ranked:
            found.setdefault(synset.name(), _sense(synset, via=term))
        answered += bool(ranked)
        if answered == 2:
            break
    return list(found.values())


def _badness(ranked: tuple[int, Synset]) -> float:
    """Minus the score: 0.5·lex/3 + 0.15·[a place above it] − 0.04·rank − 1·[an instance, like a city]."""
    rank, synset = ranked
    above = {s.name() for path in synset.hypernym_paths() for s in path}
    score = 0.5 * LEXNAME_WEIGHT.get(synset.lexname(), 0.0) / 3
    score += 0.15 * bool(above & PLACES)
    score -= 0.04 * rank
    score -= 1.0 * bool(synset.instance_hypernyms())
    return -score


def hypernym_path(key: str) -> list[Sense]:
    """From the sense itself up to entity.n.01; the shortest path where there are several."""
    synset = _synset(key)
    if synset is None:
        return []
    path: list[Any] = min(synset.hypernym_paths(), key=len)
    return [_sense(s) for s in reversed(path)]
