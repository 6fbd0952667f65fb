"""The table that says more of single files. Every mistake is named by row and column."""

from __future__ import annotations

import re
from typing import IO, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from formats.names import normalize_hashtag, path_key
from formats.table import Columns, Unreadable
from formats.table import read_table as table_of
from validation.models import Photo
from validation.photos.intake_sources import MOST_FILES

TERMS = ("author", "source_url", "licence", "licence_url", "consent")
COLUMNS = ("file", "hashtags", *TERMS)
TABLE = Columns(
    {name: name for name in COLUMNS} | {"photo": "file"},
    required=[("file",)],
    asks=gettext_noop("The first row must name the columns, one of them “file”."),
)
LONGEST = {"author": 200, "source_url": 500, "licence": 100, "licence_url": 500, "consent": 10}
MOST_BYTES = 20 * 2**20
Terms = dict[str, dict[str, Any]]  # by file


class TableError(ValueError):
    """A table that cannot be read; the message names the row and column."""


class Rows:
    """Finds the row of a file, however either of the two spells the path.

    A row with a shorter path, such as a bare name, fits all files whose path ends so. One with a longer path
    fits none: it names another folder.
    """

    def __init__(self, terms: Terms) -> None:
        self.by_key: dict[str, list[str]] = {}
        for name in terms:
            self.by_key.setdefault(path_key(name), []).append(name)

    def of(self, name: str) -> list[str]:
        """The row's name in the table; none if there is no such row, several if it cannot be told."""
        parts = name.replace("\\", "/").split("/")
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            if names := self.by_key.get(path_key(end)):
                return [end] if end in names else names
        return []


def read_table(file: IO[bytes]) -> Terms:
    """File → its own terms, from a table with the columns of COLUMNS; only `file` must be there.

    Hashtags are separated by spaces or commas, with # or without. Raises TableError.
    """
    raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise TableError(
            _("The table is larger than %(most_bytes)s MB: take the photos in in parts.")
            % {"most_bytes": MOST_BYTES >> 20}
        )
    try:
        table = table_of(raw, TABLE, max_rows=MOST_FILES)
    except Unreadable as error:
        raise TableError(_(str(error))) from error
    if table.ignored:
        raise TableError(
            _("Unknown columns: %(names)s. Known: %(known)s.")
            % {"names": ", ".join(sorted(table.ignored)), "known": ", ".join(COLUMNS)}
        )
    for problem in table.problems:
        raise TableError(f"Row {problem.line}: {problem.text}.")
    found: Terms = {}
    first: dict[str, int] = {}
    for row in table.rows:
        name, terms = _row(row.line, row.values)
        if name in found:
            raise TableError(
                _("Row %(line)s, file: %(name)s is in row %(first)s already.")
                % {"line": row.line, "name": name[:60], "first": first[name]}
            )
        found[name], first[name] = terms, row.line
    return found


def _row(number: int, row: dict[str, str]) -> tuple[str, dict[str, Any]]:
    name = row["file"].replace("\\", "/")
    if not name:
        raise TableError(_("Row %(number)s names no file.") % {"number": number})
    terms: dict[str, Any] = {field: row[field] for field in TERMS if row.get(field)}
    for field, value in terms.items():
        if len(value) > LONGEST[field]:
            raise TableError(
                _("Row %(number)s, %(field)s: longer than %(longest)s characters.")
                % {"number": number, "field": field, "longest": LONGEST[field]}
            )
        if field.endswith("url") and not value.startswith(("http://", "https://")):
            raise TableError(
                _("Row %(number)s, %(field)s: not a web address: %(value)s")
                % {"number": number, "field": field, "value": value[:60]}
            )
    if "consent" in terms:
        terms["consent"] = terms["consent"].lower()
    if terms.get("consent", "own") not in Photo.Consent.values:
        raise TableError(
            _("Row %(number)s, consent: “%(terms)s” is none of own, author, licence.")
            % {"number": number, "terms": terms["consent"]}
        )
    words = re.split(r"[\s,;]+", row.get("hashtags", ""))
    hashtags = sorted({normalize_hashtag(word)[:100] for word in words} - {""})
    return name, terms | ({"hashtags": hashtags} if hashtags else {})
