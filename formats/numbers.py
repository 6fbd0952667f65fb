"""The one writer of JSON: a number that is not finite is an error here, before it surprises who reads it.

JSON has no NaN and no infinity. Python writes them all the same; databases and other programs refuse them.
"""

from __future__ import annotations

import json
import math
from typing import Any


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
    """Raises NotFinite for what Python, but not JSON, takes for a number; ValueError for what is no JSON."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(word: str) -> None:
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
