"""WordNet's nouns: look up a sense by its key, and its hypernym path.

The only module that imports nltk, to build the table that mapping.lexicon.nouns reads. The table is built by
`python -m mapping.lexicon.wordnet` or at first use, once for all processes. Without data every function
raises WordNetMissing; pages then offer plain text fields.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapping.lexicon.nouns import FORMAT, Nouns, pack_lists, pack_texts, read, write

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset, WordNetCorpusReader
    from numpy.typing import NDArray

DATA_DIR = Path(__file__).resolve().parents[2] / "var/nltk_data"  # where scripts/get_wordnet.py puts it
TABLE = f"nouns-{FORMAT}.npz"


def gettext_noop(message: str) -> str:
    """Marks a message for translation. Django's own needs settings; `python -m` of this module has none."""
    return message


HOW_TO_GET_IT = gettext_noop("WordNet is not installed. Get it with: python scripts/get_wordnet.py")


class WordNetMissing(Exception):
    """WordNet's data is missing on this machine."""

    def __init__(self) -> None:
        super().__init__(HOW_TO_GET_IT)


@dataclass(frozen=True)
class Sense:
    """One meaning. key: nltk's synset name ("shop.n.01"). via: the term of the class that has this sense."""

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


def nouns() -> Nouns:
    """The table of nouns, loaded once per process, and built before if it does not exist."""
    with _lock:  # otherwise two threads could each load a table
        return _nouns()


@lru_cache(maxsize=1)
def _nouns() -> Nouns:
    file = DATA_DIR / TABLE
    if (table := read(file)) is not None:
        return table
    arrays = build()
    try:
        write(file, arrays)
    except OSError:
        warnings.warn(f"{file} cannot be written: every process builds its own table", stacklevel=2)
    return Nouns(arrays)


def reader() -> WordNetCorpusReader:
    """nltk's reader. Raises WordNetMissing."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    # nltk warns about missing multilingual data, but we read English only.
    warnings.filterwarnings("ignore", "The multilingual functions")
    if str(DATA_DIR) not in nltk.data.path:
        nltk.data.path.append(str(DATA_DIR))
    for name in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            return WordNetCorpusReader(nltk.data.find(name), None)
        except LookupError:
            continue
    raise WordNetMissing


def build() -> dict[str, NDArray[Any]]:
    """Read all nouns with nltk, in about 12 s. Returns the arrays for mapping.lexicon.nouns.Nouns."""
    import numpy as np

    source = reader()
    synsets: list[Synset] = sorted(source.all_synsets("n"), key=lambda synset: synset.offset())
    number = {synset.offset(): at for at, synset in enumerate(synsets)}
    uses = _tag_counts(source)
    terms = sorted(source.all_lemma_names("n"))
    lexnames = sorted({synset.lexname() for synset in synsets})
    senses = ([number[s.offset()] for s in source.synsets(term, "n") if _has(s, term)] for term in terms)
    ups = ([number[s.offset()] for s in x.hypernyms() + x.instance_hypernyms()] for x in synsets)
    haves = (x.part_meronyms() + x.member_meronyms() + x.substance_meronyms() for x in synsets)
    meronyms = ([number[s.offset()] for s in having] for having in haves)
    topics = ([number[s.offset()] for s in x.topic_domains() if s.pos() == "n"] for x in synsets)
    arrays: dict[str, NDArray[Any]] = {
        "counts": np.array([sum(uses.get(x.key(), 0) for x in s.lemmas()) for s in synsets], np.int32),
        "offsets": np.array([synset.offset() for synset in synsets], np.int32),
        "instances": np.array([bool(synset.instance_hypernyms()) for synset in synsets]),
        "lexname_of": np.array([lexnames.index(synset.lexname()) for synset in synsets], np.int32),
    }
    texts = {
        "keys": (synset.name() for synset in synsets),
        "lexnames": lexnames,
        "lemmas": ("\n".join(synset.lemma_names()).replace("_", " ") for synset in synsets),
        "glosses": (synset.definition() for synset in synsets),
        "examples": ("\n".join(synset.examples()) for synset in synsets),
        "terms": terms,
        "exceptions": (line.strip() for line in source.open("noun.exc")),
    }
    for name, lines in texts.items():
        arrays[name], arrays[f"{name}_ends"] = pack_texts(lines)
    for name, lists in {"parents": ups, "meronyms": meronyms, "topics": topics, "senses": senses}.items():
        arrays[name], arrays[f"{name}_ends"] = pack_lists(lists)
    return arrays


def _has(synset: Synset, term: str) -> bool:
    """Whether the synset has this very term. nltk also returns singulars; the table derives them itself."""
    return term in {name.lower() for name in synset.lemma_names()}


def _tag_counts(source: WordNetCorpusReader) -> dict[str, int]:
    """Sense key → number of uses. Read in one pass, because asking nltk for each lemma is very slow."""
    rows = (line.split() for line in source.open("cntlist.rev"))
    return {key: int(count) for key, _, count in rows}


def sense_of(i: int, via: str = "") -> Sense:
    """The sense of the noun with this number."""
    table = nouns()
    return Sense(
        key=table.keys[i],
        lemmas=table.lemmas(i),
        gloss=table.gloss(i),
        lexname=table.lexname(i),
        examples=table.examples(i),
        via=via,
    )


def sense(key: str) -> Sense | None:
    """The sense with this key, or None if WordNet has no such noun."""
    number = nouns().index(key)
    return sense_of(number) if number is not None else None


def hypernym_path(key: str) -> list[Sense]:
    """The shortest path from the sense up to entity.n.01."""
    number = nouns().index(key)
    return [sense_of(i) for i in nouns().path(number)] if number is not None else []


def hyponyms(key: str) -> list[Sense]:
    """The kinds of the sense, then its single instances. Empty for an unknown key."""
    number, table = nouns().index(key), nouns()
    below = [] if number is None else sorted(map(int, table.hyponyms(number)), key=table.is_instance)
    return [sense_of(i) for i in below]


def meronyms(key: str) -> list[Sense]:
    """The parts of the sense, its members and its substances. Empty for an unknown key."""
    number = nouns().index(key)
    return [sense_of(int(i)) for i in nouns().meronyms(number)] if number is not None else []


if __name__ == "__main__":
    print(f"WordNet: {len(nouns().keys):,} nouns are ready.")
