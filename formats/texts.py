"""English texts that can still be translated where they are shown: decision 0068.

Whoever writes a text down is a worker or the engine; its reader comes later and has another language. So the
message and what fills it in stay apart, on the way and in the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Text(str):
    """The English text, for programs; `words` is the message that it was made of, `names` what fills it in.

    The message is in the catalogue of its app: scripts/messages.py. Of what fills it in, Texts are
    translated, whole numbers are written as the reader's language does, and the rest stays as it is.
    """

    words: str
    names: dict[str, str | int]

    def __new__(cls, words: str, /, **names: object) -> Text:
        kept = {name: one if isinstance(one, str | int) else str(one) for name, one in names.items()}
        english = words % {name: _in_english(one) for name, one in kept.items()} if kept else words
        text = super().__new__(cls, english)
        text.words, text.names = words, kept
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return from_words, (as_words(self),)


def _in_english(one: str | int) -> str:
    return one if isinstance(one, str) else f"{one:,}"


def joined_texts(*texts: str, by: str = " ") -> Text:
    """The texts that are not empty, one after another."""
    some = {f"text{number}": text for number, text in enumerate(filter(None, texts))}
    return Text(by.join(f"%({name})s" for name in some), **some)


def text_of(error: BaseException) -> str:
    """What an error says: a Text if it was given one."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, Text) else str(error)


def as_words(text: str) -> dict[str, Any]:
    """What JSON and the database keep of a Text, beside the English text; empty for any other text."""
    if not isinstance(text, Text):
        return {}
    names = {name: as_words(one) if isinstance(one, Text) else one for name, one in text.names.items()}
    return {"words": text.words, "names": names}


def from_words(kept: Mapping[str, Any]) -> Text:
    """The Text that `as_words` kept."""
    names = {name: from_words(one) if isinstance(one, dict) else one for name, one in kept["names"].items()}
    words: str = kept["words"]
    return Text(words, **names)


def with_words(text: str, kept: Mapping[str, Any]) -> str:
    """The Text of a row that has the English text, perhaps cut off, beside what `as_words` kept of it. The
    English text itself if nothing was kept, or if a program that knows no Text has written another one.
    """
    if not text or not kept:
        return text
    whole = from_words(kept)
    return whole if whole.startswith(text) else text
