"""Prepare class names of scene data sets for a dictionary. Pure."""

from __future__ import annotations

import re

from formats.names import scene_key as scene_key

# Words about the position of the photographer. Two of them are the thesis's own spellings.
SERVICE_WORDS = frozenset({"indoor", "outdoor", "interior", "exterior", "interier", "exterier"})


def clean(raw: str) -> str:
    """The words of a raw class name (THESIS chapter 4, step 1).

    Drops the one-letter index, slashes, underscores and the service words:
    "/a/athletic_field/outdoor" → "athletic field", "/d/desert/sand" → "desert sand".
    """
    parts = scene_key(raw).split("/")
    if len(parts) > 1 and len(parts[0]) == 1:
        parts = parts[1:]
    words = re.split(r"[_\s]+", " ".join(parts))
    content_words = [word for word in words if word and word not in SERVICE_WORDS]
    return " ".join(content_words or words)


def lookup_terms(raw: str) -> list[str]:
    """The terms to look up for a class, best first: the phrase, its parts in reverse, each part, head nouns.

    "s/stadium/football" → "stadium football", "football stadium", "stadium", "football";
    "a/airplane_cabin" → "airplane cabin", "cabin" (the last word of a compound is its head).
    """
    parts = scene_key(raw).split("/")
    if len(parts) > 1 and len(parts[0]) == 1:
        parts = parts[1:]
    cleaned = [clean(part) for part in parts if part not in SERVICE_WORDS]
    terms = [clean(raw), " ".join(reversed(cleaned)), *cleaned]
    terms += [part.split()[-1] for part in cleaned if part]
    return list(dict.fromkeys(term for term in terms if term))
