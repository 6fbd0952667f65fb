"""What WordNet says about a sense beside its hypernyms: kinds of it, what it has, and its domains."""

from __future__ import annotations

from dataclasses import dataclass

from mapping.lexicon import domains, wordnet
from mapping.lexicon.wordnet import Sense


@dataclass(frozen=True)
class Relations:
    """hyponyms: kinds, then single instances. meronyms: parts, members, substances. topics: WordNet's own
    topic domains, which most places lack. domains: of WordNet Domains, empty if that is not installed."""

    hyponyms: list[Sense]
    meronyms: list[Sense]
    topics: list[Sense]
    domains: tuple[str, ...]

    @property
    def domains_in_words(self) -> list[tuple[str, str]]:
        """Each domain with its words: ("town_planning", "town planning")."""
        return [(name, name.replace("_", " ")) for name in self.domains]

    def __bool__(self) -> bool:
        return bool(self.hyponyms or self.meronyms or self.topics or self.domains)


def relations_of(sense: str) -> Relations | None:
    """The relations of a sense ("abbey.n.01"). None for an unknown one. Raises WordNetMissing."""
    number = wordnet.nouns().index(sense)
    if number is None:
        return None
    topics = [wordnet.sense(key) for key in wordnet.nouns().topics(number)]
    return Relations(
        hyponyms=wordnet.hyponyms(sense),
        meronyms=wordnet.meronyms(sense),
        topics=[topic for topic in topics if topic],
        domains=domains.domains_of(sense),
    )
