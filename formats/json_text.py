"""The one reader and writer of JSON.

JSON has no NaN and no infinity. Python writes and reads them all the same; databases and other programs
refuse them. So a number that is not finite is an error here, before it surprises anybody.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from formats.numbers import LARGEST
from formats.table import MARK, Unreadable

DEPTH = 50  # more than any document of ours; far less than what exhausts Python's stack
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL stores no NUL, UTF-8 has no lone surrogates


class BrokenText(Unreadable):
    """A text contains a NUL or half a character (a lone \\ud800 to \\udfff)."""

    def __init__(self, field: str = "") -> None:
        super().__init__(self.__doc__)
        self.field = field  # where it stands, or empty


class NotFinite(ValueError):
    """A number in a document is NaN or infinite. The message names it."""


def to_json(document: Any, **options: Any) -> str:
    """`options` are those of json.dumps. Raises NotFinite."""
    try:
        return json.dumps(document, **{"ensure_ascii": False, **options}, allow_nan=False)
    except ValueError as error:
        if (name := _first_bad(document)) is None:
            raise
        raise NotFinite(name) from error


def from_json(text: str | bytes) -> Any:
    """Parse what our own programs wrote. Raises NotFinite for NaN and infinity, ValueError for other text."""
    return json.loads(text, parse_constant=_refuse_not_finite)


def _refuse_not_finite(word: str) -> None:
    raise NotFinite(f"{word} is not a number in JSON")


def _first_bad(value: Any, name: str = "") -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{name or 'the number'} became {value}"
    parts: Any = ()
    if isinstance(value, dict):
        parts = ((f"{name}.{key}" if name else str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"{name}[{at}]", part) for at, part in enumerate(value))
    return next((words for key, part in parts if (words := _first_bad(part, key)) is not None), None)


def parse_json(content: bytes | str) -> Any:
    """Parse UTF-8 JSON that strangers send, in requests and files, for pages to show and databases to store.

    Raises Unreadable for anything else: other encodings, names that occur twice in an object, numbers that
    are NaN or too large, and more than DEPTH levels; BrokenText for NULs and lone surrogates.
    """
    try:
        text = content.decode() if isinstance(content, bytes) else content
        document = json.loads(
            text.removeprefix(MARK), parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise Unreadable("This is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"This is not JSON: {error}.") from error
    except RecursionError as error:
        raise Unreadable(f"This JSON has more than {DEPTH} levels.") from error
    except ValueError as error:  # Python refuses numbers of more than 4,300 digits
        raise Unreadable("A number is too long.") from error
    _check(document)
    return document


def _refuse_constant(name: str) -> None:
    raise Unreadable(f"{name} is not a number in JSON.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"The name {ascii(twice)[:60]} occurs twice in an object.")
    return fields


def _check(document: Any) -> None:
    """Without recursion: the document may be deeper than Python's stack."""
    level: list[tuple[str, Any]] = [("", document)]  # values, each with the outermost name above it
    for _ in range(DEPTH):
        inner: list[tuple[str, Any]] = []
        for field, value in level:
            if isinstance(value, dict):
                inner += [(field, name) for name in value]
                inner += [(field or name, part) for name, part in value.items()]
            elif isinstance(value, list):
                inner += [(field, part) for part in value]
            elif isinstance(value, str) and UNSTORABLE.search(value):
                raise BrokenText(field)
            elif isinstance(value, int | float) and not abs(value) <= LARGEST:
                raise Unreadable("A number is too large.")
        if not inner:
            return
        level = inner
    raise Unreadable(f"This JSON has more than {DEPTH} levels.")
