"""WordNet's 82,115 nouns as a compact table, loaded in a fraction of a second without nltk.

nltk's reader takes 4 s and 280 MB in each process. So we use it once to build this table
(mapping.lexicon.wordnet.build). Each kind of text is one block of bytes, decoded on demand.
"""

from __future__ import annotations

import os
import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 2  # of the file, and in its name: versions of the code that share a folder do not rebuild it in turn
# WordNet's own rules for plurals of nouns, morphy(7WN), in its order.
ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)


class Texts:
    """Many short texts in one block of bytes."""

    def __init__(self, block: NDArray[np.uint8], ends: NDArray[np.int32]) -> None:
        self._block = block.tobytes()
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, at: int) -> str:
        start = self._ends[at - 1] if at else 0
        return self._block[start : self._ends[at]].decode()

    def __iter__(self) -> Iterator[str]:
        return (self[at] for at in range(len(self)))


class Lists:
    """Many short lists of numbers in one array."""

    def __init__(self, flat: NDArray[np.int32], ends: NDArray[np.int32]) -> None:
        self._flat = flat
        self._ends = ends

    def __getitem__(self, at: int) -> NDArray[np.int32]:
        start = self._ends[at - 1] if at else 0
        return self._flat[start : self._ends[at]]

    def inverted(self) -> Lists:
        """For each number below the count of lists, the lists that contain it, in their order."""
        owners = np.repeat(np.arange(len(self._ends), dtype=np.int32), np.diff(self._ends, prepend=0))
        ends = np.cumsum(np.bincount(self._flat, minlength=len(self._ends)), dtype=np.int32)
        return Lists(owners[np.argsort(self._flat, kind="stable")], ends)


def pack_texts(texts: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    byte_strings = [text.encode() for text in texts]
    block = np.frombuffer(b"".join(byte_strings), np.uint8)
    return block, np.cumsum([len(text) for text in byte_strings], dtype=np.int32)


def pack_lists(lists: Iterable[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    rows = list(lists)
    flat = np.array([number for row in rows for number in row], np.int32)
    return flat, np.cumsum([len(row) for row in rows], dtype=np.int32)


class Nouns:
    """Nouns by number, in WordNet's order. A key is nltk's synset name ("shop.n.01").

    counts: how often WordNet's tagged texts use each noun. offsets: WordNet's own numbers.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        def texts(name: str) -> Texts:
            return Texts(arrays[name], arrays[f"{name}_ends"])

        def lists(name: str) -> Lists:
            return Lists(arrays[name], arrays[f"{name}_ends"])

        self.keys: list[str] = list(texts("keys"))
        self.counts: NDArray[np.int32] = arrays["counts"]
        self.offsets: NDArray[np.int32] = arrays["offsets"]
        self._instances: NDArray[np.bool_] = arrays["instances"]
        self._lexname_of: NDArray[np.int32] = arrays["lexname_of"]
        self._lexnames: list[str] = list(texts("lexnames"))
        self._lemmas, self._glosses, self._examples = texts("lemmas"), texts("glosses"), texts("examples")
        self._parents, self._topics, self._meronyms = lists("parents"), lists("topics"), lists("meronyms")
        self._terms = list(texts("terms"))  # sorted
        self._senses = lists("senses")
        self._exceptions = dict(line.split(" ", 1) for line in texts("exceptions"))
        self._numbers = {key: number for number, key in enumerate(self.keys)}

    def index(self, key: str, /) -> int | None:
        """The number of the noun with this key, or None."""
        return self._numbers.get(key)

    def parents(self, i: int, /) -> NDArray[np.int32]:
        """The direct hypernyms of a noun, including those of an instance (Paris is an instance of city)."""
        return self._parents[i]

    def meronyms(self, i: int, /) -> NDArray[np.int32]:
        """What a noun has: its parts, then its members, then the substances it is made of."""
        return self._meronyms[i]

    def hyponyms(self, i: int, /) -> NDArray[np.int32]:
        """The nouns whose direct hypernym it is, kinds of it and single instances, in WordNet's order."""
        return self._hyponyms[i]

    @cached_property
    def _hyponyms(self) -> Lists:
        """Not in the file, because inverting the hypernyms takes milliseconds, and few processes ask."""
        return self._parents.inverted()

    def closure(self, i: int) -> dict[int, int]:
        """The noun itself and all its hypernyms, each with the least number of steps."""
        steps = {i: 0}
        level, depth = [i], 0
        while level:
            depth += 1
            level = [int(up) for at in level for up in self._parents[at] if up not in steps]
            steps |= dict.fromkeys(level, depth)
        return steps

    def path(self, i: int) -> list[int]:
        """The shortest path from i up to entity. Ties go to the first in WordNet's order."""
        shortest: dict[int, list[int]] = {}

        def way(at: int) -> list[int]:
            if at not in shortest:
                shortest[at] = [at, *min((way(int(up)) for up in self._parents[at]), key=len, default=[])]
            return shortest[at]

        return way(i)

    def lemmas(self, i: int) -> tuple[str, ...]:
        return tuple(self._lemmas[i].split("\n"))

    def gloss(self, i: int) -> str:
        return self._glosses[i]

    def examples(self, i: int) -> tuple[str, ...]:
        return tuple(self._examples[i].split("\n")) if self._examples[i] else ()

    def lexname(self, i: int) -> str:
        """The noun's lexicographer file: "noun.artifact"."""
        return self._lexnames[int(self._lexname_of[i])]

    def topics(self, i: int) -> list[str]:
        """The keys of the noun's topic domains."""
        return [self.keys[number] for number in self._topics[i]]

    def is_instance(self, i: int) -> bool:
        """Whether the noun is a single thing, like Paris, rather than a kind of thing."""
        return bool(self._instances[i])

    def synsets(self, term: str) -> list[int]:
        """The noun senses of a term in WordNet's order. The term may be a plural."""
        word = term.lower().replace(" ", "_")
        numbers: list[int] = []
        for form in dict.fromkeys(self._forms(word)):
            numbers += (int(number) for number in self._of(form) if number not in numbers)
        return numbers

    def _of(self, word: str) -> NDArray[np.int32]:
        at = bisect_left(self._terms, word)
        is_known = at < len(self._terms) and self._terms[at] == word
        return self._senses[at] if is_known else np.empty(0, np.int32)

    def _forms(self, word: str) -> list[str]:
        """The word and its possible singulars. Rules apply unless WordNet lists an exception."""
        if word in self._exceptions:
            return [word, *self._exceptions[word].split()]
        stems = [word[: -len(end)] + stem for end, stem in ENDINGS if word.endswith(end)]
        return [word, *(stem for stem in stems if len(self._of(stem)))]


def write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write the table atomically, because other processes may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    try:
        np.savez(temporary, allow_pickle=False, format=np.array(FORMAT), **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> Nouns | None:
    """The table, or None if there is none or it has another format."""
    try:
        with np.load(path) as file:
            if int(file["format"]) != FORMAT:
                return None
            return Nouns({name: file[name] for name in file.files if name != "format"})
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
