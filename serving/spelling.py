"""What somebody means by a hashtag: the model's own, however it is written.

Capitals, #, spaces, punctuation, emoji and accents are passed over; so is a plural. WordNet's other words are
understood where the word has no other, more common meaning: #coffeehouse is a cafe, #machine is no car.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from django.utils.translation import gettext as _

from formats.json_text import UNSTORABLE
from formats.names import normalize_hashtag
from mapping.hashtags import VISIBLE, synonyms
from mapping.lexicon import wordnet
from mapping.lexicon.nouns import ENDINGS
from mapping.models import OTHER

MOST = 60  # hashtags of a post: no network shows more
LONGEST = 100  # letters of one
SEPARATORS = re.compile(r"[,;\n\r]|(?=[#＃])")
How = Literal["as_written", "spelling", "plural", "synonym"]


class BadHashtags(ValueError):
    """The list of hashtags cannot be used; the message says which one and why."""


@dataclass(frozen=True)
class Meaning:
    """The model's hashtag that somebody means, and how it was recognised; None if it knows no such one."""

    hashtag: str | None
    how: How | None = None


UNKNOWN = Meaning(None)


def read_hashtags(texts: Sequence[str]) -> list[str]:
    """The hashtags in these texts, in order: each text is one, or several that begin with # or are divided
    by commas. Raises BadHashtags.
    """
    found: list[str] = []
    for text in texts:
        found += (part for piece in SEPARATORS.split(text) if (part := piece.strip(" \t#＃")))
        if len(found) > MOST:
            words = _("These are more than %(most)s hashtags: that many are checked at once.")
            raise BadHashtags(words % {"most": MOST})
    for number, hashtag in enumerate(found, 1):
        if UNSTORABLE.search(hashtag):
            words = _("Hashtag %(number)s has characters that cannot be stored.")
            raise BadHashtags(words % {"number": number})
        if len(hashtag) > LONGEST:
            words = _("Hashtag %(number)s has %(n)s characters; at most %(most)s are allowed.")
            raise BadHashtags(words % {"number": number, "n": len(hashtag), "most": LONGEST})
    if not found:
        raise BadHashtags(_("Send at least one hashtag."))
    return found


def understand(written: str, vocabulary: Sequence[str]) -> Meaning:
    """Which hashtag of the vocabulary is meant."""
    words = _words(tuple(vocabulary))
    for key in dict.fromkeys((_key(written), _plain(_key(written)))):
        for form in _forms(key):
            if (hashtag := words.get(form)) is None:
                continue
            if form != _key(hashtag):
                # A plural of the hashtag's own word is no other word: #car is #cars.
                how: How = "plural" if form in _forms(_key(hashtag)) else "synonym"
            elif form != key:
                how = "plural"
            else:
                how = "as_written" if written.strip() in (hashtag, f"#{hashtag}") else "spelling"
            return Meaning(hashtag, how)
    return UNKNOWN


def _key(text: str) -> str:
    """Letters with their marks, and digits."""
    return "".join(
        char
        for char in normalize_hashtag(text)
        if char.isalnum() or unicodedata.category(char) in ("Mn", "Mc")
    )


def _plain(key: str) -> str:
    """Without accents: café → cafe."""
    return "".join(char for char in unicodedata.normalize("NFKD", key) if not unicodedata.combining(char))


def _forms(key: str) -> Iterator[str]:
    """The word itself, and what it may be a plural of."""
    if key:
        yield key
        yield from (key[: -len(end)] + stem for end, stem in ENDINGS if key.endswith(end))


@lru_cache(maxsize=8)
def _words(vocabulary: tuple[str, ...]) -> dict[str, str]:
    """Word → hashtag. A word that could mean two of them means neither."""
    own = {_key(hashtag): hashtag for hashtag in vocabulary if hashtag != OTHER}
    for hashtag in list(own.values()):
        for form in _forms(_key(hashtag)):
            own.setdefault(form, hashtag)
    words: dict[str, str | None] = {}
    for hashtag, others in synonyms(sorted(set(own.values()))).items():
        for word in others:
            if _means(word, hashtag):
                words[_key(word)] = hashtag if words.get(_key(word), hashtag) == hashtag else None
    return {word: hashtag for word, hashtag in words.items() if hashtag} | own


def _means(word: str, hashtag: str) -> bool:
    """Whether the most common visible sense of both is the same."""
    return _sense(word) == _sense(hashtag)


def _sense(word: str) -> int:
    table = wordnet.nouns()
    senses = table.synsets(word)
    return next((number for number in senses if table.lexname(number) in VISIBLE), senses[0])
