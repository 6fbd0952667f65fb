"""The suggester at work in this process: it learns from what curators confirmed, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from mapping import wordnet
from mapping.models import OTHER, MappingEntry, Opinion


@dataclass(frozen=True)
class Choice:
    hashtag: str
    reason: str


@dataclass(frozen=True)
class Shown:
    """What the queue offers for a class: hashtags, best first, and words where there are none."""

    hashtags: tuple[Choice, ...] = ()
    other_reason: str = ""
    words: str = ""


def suggest(entry: MappingEntry, opinion: Opinion | None) -> Shown:
    return Shown(words="No suggestions yet.")


def hypernym(entry: MappingEntry, sense: str, hashtag: str, opinion: Opinion | None) -> str:
    """The notion by which this sense gets this hashtag: one that bears its name, or the next one up."""
    if not sense or not hashtag or hashtag == OTHER:
        return ""
    try:
        path = wordnet.hypernym_path(sense)[1:]
    except wordnet.WordNetMissing:
        return ""
    named = [above.key for above in path if hashtag in above.lemmas]
    return named[0] if named else (path[0].key if path else "")
