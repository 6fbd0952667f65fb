"""Read lists of scene classes in the formats of common data sets. Pure: no database, no WordNet.

Supported: SUN's ClassName.txt, lists of folders or files (one per line), Places365's categories, ImageNet ids
with or without words (also its JSON index), and tables (CSV). Examples of each: docs/formats.md.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mapping.lexicon.names import scene_key

if TYPE_CHECKING:
    from _csv import Reader

MAX_BYTES = 10 * 2**20  # an export of 22,000 classes takes 7 MB
MAX_ROWS = 100_000  # four times ImageNet-21k; bounds memory
LINES, PLACES, IMAGENET, IMAGENET_INDEX, TABLE = "lines", "places365", "imagenet", "imagenet-index", "csv"
# Column of a table → our field. Other columns are ignored, and the preview lists them.
COLUMNS = {
    **dict.fromkeys(("key", "raw_name", "raw name", "scene_key", "class", "class_name", "folder"), "key"),
    **dict.fromkeys(("wnid", "synset_id", "offset"), "key"),
    **dict.fromkeys(("name", "cleaned_name", "cleaned name"), "name"),
    "name_ru": "name_ru",
    **dict.fromkeys(("level1", "sun_level1"), "level1"),
    **dict.fromkeys(("level2", "sun_level2"), "level2"),
    **{name: name for name in ("sense", "synset", "hypernym_sense", "hypernym", "status", "note")},
    **dict.fromkeys(("hashtag", "label"), "hashtag"),
}
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet executes cells that begin so
WNID = re.compile(r"^n\d{8}$")


@dataclass(frozen=True)
class Problem:
    """The reason why a row cannot be used. line: in the file, from 1; 0 means the whole file."""

    line: int
    field: str
    text: str


@dataclass(frozen=True)
class Row:
    """One class of a file. values: our field → text. A missing field leaves the present value unchanged."""

    line: int
    key: str
    values: dict[str, str]


@dataclass(frozen=True)
class ClassList:
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # columns that we do not read


class Unreadable(Exception):
    """The file cannot be read. The message gives the reason."""


def decode(content: bytes) -> str:
    """The text of an uploaded file. Raises Unreadable."""
    if len(content) > MAX_BYTES:
        raise Unreadable(f"The file is larger than {MAX_BYTES // 2**20} MB.")
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        guess = " It looks like Windows-1251." if _looks_russian(content) else ""
        advice = "Save it as “CSV UTF-8” or “Unicode text” and try again."
        raise Unreadable(f"Line {line} is not UTF-8 text.{guess} {advice}") from error
    if "\0" in text:
        raise Unreadable("The file is not text: it contains zero bytes.")
    return text


def _looks_russian(content: bytes) -> bool:
    """Whether most non-ASCII bytes would be Russian letters in Windows-1251."""
    non_ascii = [byte for byte in content[:100_000] if byte > 127]
    return sum(byte >= 0xC0 or byte in (0xA8, 0xB8) for byte in non_ascii) > 0.8 * len(non_ascii)


def detect(text: str) -> str:
    """Guess from the first lines which of READERS fits. The user can correct the guess."""
    start = text.lstrip()
    if start.startswith(("{", "[")):
        return IMAGENET_INDEX
    lines = [line for line in start.split("\n", 50)[:50] if line.strip()]
    if not lines:
        return LINES
    if "key" in (COLUMNS.get(name) for name in _header(text)):
        return TABLE
    if all(re.match(r"^n\d{8}(\s|,|$)", line.strip()) for line in lines):
        return IMAGENET
    if all(re.match(r"^\S+\s+\d+$", line.strip()) for line in lines):
        return PLACES
    return LINES


def read_lines(text: str) -> ClassList:
    """Read one class per line, like SUN's ClassName.txt. The path of a photo stands for its folder."""
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    first_lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        path = line.strip().rstrip("/\\")
        photo = path.lower().endswith(PICTURES)
        key = scene_key(path.replace("\\", "/").rpartition("/")[0] if photo else path)
        if len(key) < 2 or path.startswith("#") or (photo and key in rows):
            continue  # a blank, a comment, a one-letter index folder, or another photo of a known class
        if not photo and key in first_lines:
            problems.append(_duplicate(number, key, first_lines[key]))
            continue
        first_lines.setdefault(key, number)
        rows[key] = Row(number, key, {})
    return ClassList(list(rows.values()), problems)


def read_places(text: str) -> ClassList:
    """Read Places365's categories: "/a/airfield 0"."""
    rows, problems = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, _, index = line.strip().rpartition(" ")
        if not name or not index.isdigit():
            problems.append(Problem(number, "key", f"“{line.strip()[:60]}” is not a class and its number"))
        else:
            rows.append(Row(number, scene_key(name), {}))
    return ClassList(rows, problems)


def read_imagenet(text: str) -> ClassList:
    """Read ImageNet's synsets: "n01440764 tench, Tinca tinca" or an id alone. The first word is the name."""
    rows, problems = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        wnid, *words = re.split(r"[\s,]+", line.strip(), maxsplit=1)
        if not WNID.match(wnid):
            problems.append(Problem(number, "key", f"“{wnid[:60]}” is not an id like n01440764"))
        else:
            rows.append(Row(number, wnid, {"name": words[0].split(",")[0].strip()} if words else {}))
    return ClassList(rows, problems)


def read_imagenet_index(text: str) -> ClassList:
    """Read imagenet_class_index.json: {"0": ["n01440764", "tench"], …}. Rows are counted in file order."""
    index = load_json(text)
    if not isinstance(index, dict):
        raise Unreadable('Expected {"0": ["n01440764", "tench"], …}.')
    rows, problems = [], []
    for number, pair in enumerate(index.values(), start=1):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            problems.append(Problem(number, "key", 'expected ["n01440764", "tench"]'))
        elif not WNID.match(pair[0]):
            problems.append(Problem(number, "key", f"“{pair[0][:60]}” is not an id like n01440764"))
        else:
            rows.append(Row(number, pair[0], {"name": pair[1].replace("_", " ").strip()}))
    return ClassList(rows, problems)


def read_table(text: str) -> ClassList:
    """Read a CSV with a header, separated by commas, semicolons or tabs. Undoes guard() in each cell."""
    rows, problems = [], []
    reader = table_reader(text)
    header = [name.strip().lower().lstrip("\ufeff") for name in next(reader, [])]
    fields = [COLUMNS.get(name) for name in header]
    if "key" not in fields:
        raise Unreadable("The table needs a column that names the class: key, raw_name or class.")
    duplicates = sorted({name for name in fields if name and fields.count(name) > 1})
    if duplicates:
        raise Unreadable(f"Two columns have the same meaning: {', '.join(duplicates)}.")
    for line, cells in number_rows(reader):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(fields):
            problems.append(Problem(line, "", f"it has {len(cells)} cells, the header has {len(fields)}"))
            continue
        values = {name: unguard(cell).strip() for name, cell in zip(fields, cells, strict=False) if name}
        rows.append(Row(line, scene_key(values.pop("key", "")), values))
    ignored = [name for name, column in zip(header, fields, strict=True) if name and not column]
    return ClassList(rows, problems, ignored)


READERS: dict[str, Callable[[str], ClassList]] = {
    LINES: read_lines,
    PLACES: read_places,
    IMAGENET: read_imagenet,
    IMAGENET_INDEX: read_imagenet_index,
    TABLE: read_table,
}
NAMES = {
    LINES: "Names, one per line (SUN’s ClassName.txt, a list of folders)",
    PLACES: "Places365 categories",
    IMAGENET: "ImageNet ids, with or without words",
    IMAGENET_INDEX: "ImageNet class index (JSON)",
    TABLE: "Table (CSV)",
}


def load_json(text: str) -> object:
    """Parse JSON. Raises Unreadable with the position of the error."""
    try:
        document: object = json.loads(text)
        json.dumps(
            document, ensure_ascii=False
        ).encode()  # neither pages nor databases can hold a lone surrogate
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unreadable(f"This is not JSON: {error}.") from error
    except UnicodeEncodeError as error:
        raise Unreadable("A text contains half a character (a lone \\ud800 to \\udfff).") from error
    except ValueError as error:  # Python refuses numbers of more than 4,300 digits
        raise Unreadable("A number is too long.") from error
    return document


def table_reader(text: str) -> Reader:
    first = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # on a tie the comma
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def number_rows(reader: Reader) -> list[tuple[int, list[str]]]:
    """The remaining rows, each with the number of its first line. Raises Unreadable."""
    rows = []
    line = reader.line_num + 1
    try:
        for cells in reader:
            rows.append((line, cells))
            line = reader.line_num + 1
            if len(rows) > MAX_ROWS:
                raise Unreadable(f"The file has more than {MAX_ROWS:,} rows.")
    except csv.Error as error:
        raise Unreadable(f"Line {line}: {error}.") from error
    return rows


def guard(value: str) -> str:
    """Put an apostrophe before a cell that begins like a formula, so that no spreadsheet executes it."""
    return f"'{value}" if value.lstrip("'").startswith(FORMULA) else value


def unguard(cell: str) -> str:
    """The cell before guard()."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def _header(text: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(table_reader(text), [])]
    except csv.Error:
        return []


def _duplicate(line: int, key: str, first: int) -> Problem:
    return Problem(line, "key", f"{key} is already in line {first}")
