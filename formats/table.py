"""The one reader of tables that other tools wrote. docs/formats.md says what it accepts.

Text is UTF-8, or UTF-16 with a byte order mark. Cells are separated by commas, semicolons or tabs. A first
line `sep=;`, blank lines and titles above the header are passed over. A fault is named with its line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from formats.names import comparable

DELIMITERS = ",;\t"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet executes cells that begin so
MARK = "\ufeff"  # the byte order mark
MAX_ROWS = 100_000  # four times ImageNet-21k; bounds memory
MOST_TITLES = 20  # rows above the header
MOST_BLANKS = 2_000  # blank lines there; the head of an SSSOM file is as long
START = 100_000  # characters that tell a table from a list
SEPARATOR = re.compile(r'^"?sep=([^"\s]|\t)"?[,;\t]*$', re.IGNORECASE)
GROUPED = re.compile(r"^\d{1,3}(?:(?P<mark>[ ,.'’_])\d{3})(?:(?P=mark)\d{3})*$")


class Unreadable(Exception):
    """The file cannot be read. The message gives the reason."""


@dataclass(frozen=True)
class Problem:
    """The reason why a row cannot be used. line: in the file, from 1; 0 means the whole file."""

    line: int
    field: str
    text: str


@dataclass(frozen=True)
class TableRow:
    """values: field → text, trimmed."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class Table:
    """notes: what was passed over, for the reader to check."""

    header: list[str]
    rows: list[TableRow]
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    delimiter: str = ","


@dataclass(frozen=True)
class Columns:
    """The columns that a table may have. names: each accepted header → our field, in lower case.

    required: groups of fields; the header must have one field of each. alike: fields that say the same in
    different units, so that only one of them may be there.
    """

    names: Mapping[str, str]
    required: Sequence[Collection[str]]
    asks: str  # what to say when they are missing
    alike: Collection[str] = ()

    def fields(self, header: Sequence[str]) -> list[str | None]:
        return [self.names.get(name) for name in header]

    def fits(self, header: Sequence[str]) -> bool:
        known = set(self.fields(header))
        return all(known & set(group) for group in self.required)


def decode_text(content: bytes) -> str:
    """The text of a file, without its byte order mark. Raises Unreadable."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        guess = " It looks like Windows-1251." if _looks_russian(content) else ""
        advice = "Save it as “CSV UTF-8” or “Unicode text” and try again."
        raise Unreadable(f"Line {line} is not UTF-8 text.{guess} {advice}") from error
    return plain_text(text)


def plain_text(text: str) -> str:
    """The text without a byte order mark, which a text sent as JSON may still have. Raises Unreadable."""
    if "\0" in text:
        raise Unreadable(
            f"Line {text[: text.index(chr(0))].count(chr(10)) + 1} is not text: it contains zero bytes."
        )
    return text.lstrip(MARK)


def _looks_russian(content: bytes) -> bool:
    """Whether most non-ASCII bytes would be Russian letters in Windows-1251."""
    non_ascii = [byte for byte in content[:100_000] if byte > 127]
    return sum(byte >= 0xC0 or byte in (0xA8, 0xB8) for byte in non_ascii) > 0.8 * len(non_ascii)


def read_table(source: bytes | str, columns: Columns, *, max_rows: int = MAX_ROWS) -> Table:
    """Read a table whose header names these columns. Raises Unreadable, naming the row."""
    text = plain_text(source) if isinstance(source, str) else decode_text(source)
    start = _find_header(text, columns)
    if isinstance(start, str):
        raise Unreadable(start)
    fields = columns.fields(start.header)
    known = [name for name in fields if name]
    twice = sorted({name for name in known if known.count(name) > 1})
    alike = sorted(set(columns.alike) & set(known))
    if twice or len(alike) > 1:
        raise Unreadable(f"Two columns have the same meaning: {', '.join(twice or alike)}.")
    rows, problems = [], []
    for line, cells in islice(_records(text, start.delimiter, start.skipped), start.records, None):
        filled = _without_empty_end(cells, len(fields))
        if not any(cell.strip() for cell in filled):
            continue
        if len(filled) > len(fields) or any(fields[len(filled) :]):
            cells_there = f"{len(filled)} cell{'' if len(filled) == 1 else 's'}"
            problems.append(Problem(line, "", f"it has {cells_there}, the header has {len(fields)}"))
            continue
        values = {name: unguard(cell).strip() for name, cell in zip(fields, filled, strict=False) if name}
        rows.append(TableRow(line, values))
        if len(rows) > max_rows:
            raise Unreadable(f"The file has more than {max_rows:,} rows.")
    named = (
        (name or f"column {at} without a name", fields[at - 1]) for at, name in enumerate(start.header, 1)
    )
    ignored = [name for name, column in named if not column]
    return Table(start.header, rows, problems, start.notes, ignored, start.delimiter)


def has_header(text: str, columns: Columns) -> bool:
    """Whether the text is a table with these columns."""
    return not isinstance(_find_header(text.lstrip(MARK), columns), str)


def looks_like_table(text: str) -> bool:
    """Whether most lines have the same separator, though no header may be known."""
    lines = [line.strip() for line in text[:START].lstrip(MARK).splitlines()[:50] if line.strip()]
    if lines and SEPARATOR.match(lines[0]):
        return True
    return any(2 * sum(mark in line for line in lines) > len(lines) for mark in DELIMITERS)


@dataclass(frozen=True)
class _Start:
    header: list[str]
    delimiter: str
    records: int  # up to and with the header
    skipped: int  # physical lines in front: sep=
    notes: list[Problem]


def _find_header(text: str, columns: Columns) -> _Start | str:
    """Where the table begins; or, if no row names the columns, what to tell about it."""
    named = SEPARATOR.match(re.split(r"[\r\n]", text, maxsplit=1)[0])
    delimiters, skipped = (named.group(1), 1) if named else (DELIMITERS, 0)
    begun: list[tuple[int, _Start]] = []
    fault = ""
    for delimiter in delimiters:
        try:
            start = _start(text, delimiter, skipped, columns)
        except Unreadable as error:
            fault = fault or str(error)
            continue
        if start:
            begun.append((sum(name is not None for name in columns.fields(start.header)), start))
    if begun:
        return max(begun, key=lambda item: item[0])[1]
    if fault:
        return fault
    line, header = _first_row(text, delimiters, skipped)
    return f"{columns.asks} Line {line} has: {', '.join(header)[:200]}." if header else columns.asks


def _start(text: str, delimiter: str, skipped: int, columns: Columns) -> _Start | None:
    notes: list[Problem] = []
    for number, (line, cells) in enumerate(_records(text, delimiter, skipped), start=1):
        filled = [cell for cell in cells if cell.strip()]
        if number > MOST_BLANKS:
            return None
        if not filled:
            continue
        header = [column_name(cell) for cell in _without_empty_end(cells, 1)]
        # Below a title a lone word such as “class” would rather be the name of a class.
        if columns.fits(header) and (not notes or len(filled) > 1):
            return _Start(header, delimiter, number, skipped, notes)
        if len(filled) > 1 or len(notes) == MOST_TITLES:
            return None
        notes.append(
            Problem(line, "", f"“{filled[0].strip()[:60]}” stands above the header and was passed over")
        )
    return None


def _first_row(text: str, delimiters: str, skipped: int) -> tuple[int, list[str]]:
    delimiter = max(delimiters, key=text[:10_000].count)
    for line, cells in islice(_records(text, delimiter, skipped), MOST_BLANKS):
        if any(cell.strip() for cell in cells):
            return line, [cell.strip() for cell in cells if cell.strip()]
    return 0, []


def column_name(cell: str) -> str:
    """The header of a column as it is compared: “ Raw Name ” → “raw_name”, “#Hashtag” → “hashtag”."""
    return re.sub(r"[\s-]+", "_", comparable(unguard(cell.strip())).lstrip("#＃").strip())


def _without_empty_end(cells: list[str], least: int) -> list[str]:
    """The cells up to the last one that is filled, but at least so many as the header has."""
    end = len(cells)
    while end > least and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _records(text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line. Raises Unreadable."""
    lines = io.StringIO(text, newline="")
    for _ in range(skipped):
        lines.readline()
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = skipped + 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + skipped + 1
    except csv.Error as error:
        reason = "a quotation mark is not closed" if "unexpected end" in str(error) else str(error)
        raise Unreadable(f"Line {line}: this is not a table: {reason}.") from error


def guard(value: str) -> str:
    """Put an apostrophe before a cell that begins like a formula, so that no spreadsheet executes it."""
    return f"'{value}" if value.lstrip("'").startswith(FORMULA) else value


def unguard(cell: str) -> str:
    """The cell before guard()."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def whole_number(text: str, *, grouped: bool = True) -> int | None:
    """The number, with or without separators of thousands: 1234567, 1,234,567, 1 234 567. Else None.

    grouped=False: a single mark may be a decimal one, as 1,234 in millions is, so it takes two.
    """
    plain = re.sub(r"[\u00a0\u202f\u2009]", " ", text.strip())
    match = GROUPED.match(plain)
    if match and match["mark"] in ",." and not grouped and plain.count(match["mark"]) < 2:
        return None
    digits = plain.replace(match["mark"], "") if match else plain
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def cut_number(table: Table, row: TableRow, field_name: str) -> str:
    """The number that commas without quotes cut into cells, such as 1,234,567; empty if none seems to be."""
    if table.delimiter != ",":
        return ""
    names = list(row.values)
    pieces = list(row.values.values())[names.index(field_name) :] if field_name in names else []
    groups = [pieces[0]] if pieces and re.fullmatch(r"\d{1,3}", pieces[0]) else []
    for piece in pieces[1:]:
        if not groups or not re.fullmatch(r"\d{3}", piece):
            break
        groups.append(piece)
    return ",".join(groups) if len(groups) > 1 else ""
