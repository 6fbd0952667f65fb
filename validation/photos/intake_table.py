"""The table that says more of single files: a CSV, of which every mistake is named by row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import IO, Any

from validation.models import Photo
from validation.photos.intake_sources import MOST_FILES

TERMS = ("author", "source_url", "licence", "licence_url", "consent")
COLUMNS = ("file", "hashtags", *TERMS)
LONGEST = {"author": 200, "source_url": 500, "licence": 100, "licence_url": 500, "consent": 10}
MOST_BYTES = 20 * 2**20
Terms = dict[str, dict[str, Any]]  # by file


class TableError(ValueError):
    """A table that cannot be read; the message names the row and column."""


def read_table(file: IO[bytes]) -> Terms:
    """File → its own terms, from a CSV with the columns of COLUMNS; only `file` must be there.

    Hashtags are separated by spaces or commas, with # or without. Raises TableError.
    """
    raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise TableError(f"The table is larger than {MOST_BYTES >> 20} MB: take the photos in in parts.")
    try:
        reader = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        reader.fieldnames = _columns(reader.fieldnames or [])
        return _rows(reader)
    except UnicodeDecodeError:
        raise TableError("The table is not UTF-8 text.") from None
    except csv.Error as error:
        raise TableError(f"The table is no CSV: {error}.") from error


def _columns(first_row: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in first_row]
    if "file" not in names:
        raise TableError("The first row must name the columns, one of them “file”.")
    if unknown := sorted(set(names) - set(COLUMNS)):
        raise TableError(f"Unknown columns: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}.")
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        raise TableError(f"Columns that are there twice: {', '.join(twice)}.")
    return names


def _rows(reader: csv.DictReader[str]) -> Terms:
    found: Terms = {}
    for number, row in enumerate(reader, start=2):
        name, terms = _row(number, row)
        if name in found:
            before = list(found).index(name) + 2
            raise TableError(f"Row {number}, file: {name[:60]} is in row {before} already.")
        if len(found) >= MOST_FILES:
            raise TableError(f"More than {MOST_FILES:,} rows: take the photos in in parts.")
        found[name] = terms
    return found


def _row(number: int, row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if None in row or None in row.values():
        raise TableError(f"Row {number} has more or fewer fields than the first.")
    for field, value in row.items():
        if "\x00" in value:
            raise TableError(f"Row {number}, {field}: holds a NUL character, which is no text.")
    name = row["file"].strip().replace("\\", "/")
    if not name:
        raise TableError(f"Row {number} names no file.")
    terms: dict[str, Any] = {field: row[field].strip() for field in TERMS if row.get(field, "").strip()}
    for field, value in terms.items():
        if len(value) > LONGEST[field]:
            raise TableError(f"Row {number}, {field}: longer than {LONGEST[field]} characters.")
        if field.endswith("url") and not value.startswith(("http://", "https://")):
            raise TableError(f"Row {number}, {field}: not a web address: {value[:60]}")
    if terms.get("consent", "own") not in Photo.Consent.values:
        raise TableError(f"Row {number}, consent: “{terms['consent']}” is none of own, author, licence.")
    words = re.split(r"[\s,;]+", row.get("hashtags", ""))
    hashtags = sorted({word.lstrip("#").lower()[:100] for word in words if word.strip("#")})
    return name, terms | ({"hashtags": hashtags} if hashtags else {})
