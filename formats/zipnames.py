"""The names of a zip's entries. Old and careless programs do not say in which alphabet they wrote them."""

from __future__ import annotations

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

MARKED_UTF8 = 0x800  # a flag of the entry
UNICODE_PATH = 0x7075  # an extra field
# What Windows wrote in Russia, and elsewhere in the West. The first wins if both read equally well.
GUESSES = ("cp866", "cp437")
MARKS = "№«»–—…°"


class Guess(NamedTuple):
    """How the names of some entries were read that do not say in which alphabet they are."""

    encoding: str  # one of GUESSES
    entries: int
    example: str


def read_names(entries: Sequence[zipfile.ZipInfo]) -> tuple[list[str], Guess | None]:
    """The name of each entry, and the guess if the alphabet of some was guessed.

    Names that are not marked as UTF-8, but valid as such, are that. All others are taken to be in the one
    encoding in which most of their characters read as words.
    """
    names = [_certain_name(entry) for entry in entries]
    unknown = [_raw(entry) for entry, name in zip(entries, names, strict=True) if name is None]
    if not unknown:
        return [name or "" for name in names], None
    guess = min(GUESSES, key=lambda encoding: _oddness(raw.decode(encoding) for raw in unknown))
    read = [
        _raw(entry).decode(guess) if name is None else name
        for entry, name in zip(entries, names, strict=True)
    ]
    return read, Guess(guess, len(unknown), unknown[0].decode(guess)[:60])


def _certain_name(entry: zipfile.ZipInfo) -> str | None:
    if entry.flag_bits & MARKED_UTF8:
        return entry.filename
    try:
        return _unicode_path(entry) or _raw(entry).decode()
    except UnicodeDecodeError:
        return None


def _raw(entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an unmarked name, which zipfile decodes as cp437; as there, up to the first zero."""
    return entry.orig_filename.encode("cp437").partition(b"\0")[0]


def _unicode_path(entry: zipfile.ZipInfo) -> str:
    """The name in Info-ZIP's extra field, if it is there and belongs to this name; else empty."""
    extra, at = entry.extra, 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + size]
        if kind == UNICODE_PATH and len(body) > 5 and body[0] == 1:
            belongs = int.from_bytes(body[1:5], "little") == zlib.crc32(entry.orig_filename.encode("cp437"))
            return body[5:].decode() if belongs else ""
        at += 4 + size
    return ""


def _oddness(names: Iterable[str]) -> int:
    """How many characters do not fit to the one before: no letter at all, a letter of another script, or a
    capital behind a small letter.
    """
    return sum(_is_odd(before, char) for name in names for before, char in pairwise(f" {name}"))


def _is_odd(before: str, char: str) -> bool:
    if before.isascii() and char.isascii():
        return False
    if not char.isalpha():
        return not char.isascii() and char not in MARKS
    if not before.isalpha():
        return False
    return _script(before) != _script(char) or (before.islower() and char.isupper())


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
