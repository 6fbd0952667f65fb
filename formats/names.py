"""One spelling for names that look equal: Unicode's composed form, plain spaces, no invisible characters."""

from __future__ import annotations

import re
import unicodedata

# Zero-width joiners shape Persian, Hindi and other scripts, all beyond U+0590; elsewhere they cannot be seen.
JOINERS = "\u200c\u200d"
BEYOND = f"[^\\0-\\u058f{JOINERS}]"
USELESS_JOINER = re.compile(f"(?<!{BEYOND})[{JOINERS}]|[{JOINERS}](?!{BEYOND})")
# Invisible, though Unicode files them under letters, marks and symbols.
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
ODD = re.compile(f"[{''.join(BLANKS)}{JOINERS}\ufe00-\ufe0f\U000e0100-\U000e01ef]")

DRIVE = re.compile(r"^[A-Za-z]:(?=[\\/])")


def normalize_name(text: str) -> str:
    """The name as we store it. Case and separators stay."""
    if not _is_plain(text):
        spaced = "".join(" " if unicodedata.category(char) in ("Zs", "Zl", "Zp") else char for char in text)
        seen = "".join(char for char in spaced if not _is_invisible(char))
        joined = USELESS_JOINER.sub("", unicodedata.normalize("NFC", seen))
        text = unicodedata.normalize("NFC", joined)
    return (re.sub(" +", " ", text) if "  " in text else text).strip()


def _is_plain(text: str) -> bool:
    """Whether no character can be unusual. Nearly all names are so, and files have many."""
    if text.isascii():
        return True
    return text.isprintable() and unicodedata.is_normalized("NFC", text) and not ODD.search(text)


def lower_name(text: str) -> str:
    """The same in lower case. İ becomes a plain i, because a dotted one looks just so."""
    lower = normalize_name(text).lower()
    return lower if lower.isascii() else normalize_name(lower.replace("i\u0307", "i"))


def _is_invisible(char: str) -> bool:
    if char in JOINERS:
        return False
    return unicodedata.category(char) == "Cf" or bool(ODD.match(char))


def normalize_hashtag(text: str) -> str:
    """The name of a hashtag as we store it: without #, spaces and capitals."""
    return lower_name(lower_name(text).lstrip("#＃ ").replace(" ", ""))


def is_hashtag(name: str) -> bool:
    """Whether networks take it as one tag: letters of any alphabet with their marks, digits and _."""
    return bool(name) and _is_word(name[0]) and all(_belongs(char) for char in name)


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()


def _belongs(char: str) -> bool:
    return _is_word(char) or char in JOINERS or unicodedata.category(char) in ("Mn", "Mc")


def scene_key(raw: str) -> str:
    """The same key for all spellings of a scene class or its folder: "/A/abbey/" → "a/abbey"."""
    parts = [lower_name(part).replace(" ", "_") for part in raw.replace("\\", "/").split("/")]
    return "/".join(part for part in parts if part not in ("", "."))


def comparable(text: str) -> str:
    """A key that is the same for names that differ in case and in what `normalize_name` changes."""
    return normalize_name(normalize_name(text).casefold())


def path_key(path: str) -> str:
    """The same key for all spellings of a file's path: "C:\\Trip\\.\\X.JPG " → "trip/x.jpg"."""
    parts = (comparable(part) for part in DRIVE.sub("", path.strip()).replace("\\", "/").split("/"))
    return "/".join(part for part in parts if part not in ("", "."))


def describe_change(text: str) -> str:
    """What `normalize_name` changes that a reader could not see, in words; empty if nothing."""
    name = normalize_name(text)
    if text.isascii() or text.strip() == name:
        return ""
    hidden = sorted({f"U+{ord(char):04X}" for char in text if not char.isascii() and char not in name})
    shown = "".join(char if char.isprintable() else "�" for char in name)[:60]
    return (
        f"“{shown}” is kept in its usual spelling, without {', '.join(hidden[:4])}"
        if hidden
        else (f"“{shown}” is kept in its usual spelling")
    )
