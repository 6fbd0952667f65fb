"""Lists of scene classes as data sets write them, read into rows. Pure: no database, no WordNet.

Known: SUN's ClassName.txt, folders or files listed one a line, Places365's categories, ImageNet's ids with or
without words (also its JSON index), and tables (CSV). What each looks like: docs/formats.md.
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

MAX_BYTES = 10 * 2**20  # an export of 22,000 classes has 7
MAX_ROWS = 100_000  # ImageNet-21k four times over; bounds memory
LINES, PLACES, IMAGENET, IMAGENET_INDEX, TABLE = "lines", "places365", "imagenet", "imagenet-index", "csv"
# A table's column → what we call it. Others are ignored, and the preview says so.
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
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
WNID = re.compile(r"^n\d{8}$")


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be used. line: in the file, from 1; 0: the file as a whole."""

    line: int
    field: str
    text: str


@dataclass(frozen=True)
class Row:
    """One class of a file. values: our field → text; a field that is not there stays as it is."""

    line: int
    key: str
    values: dict[str, str]


@dataclass(frozen=True)
class ClassList:
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # columns that nothing here reads


class Unreadable(Exception):
    """The file as a whole cannot be read, with the reason in words."""


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
    """Whether most letters beyond ASCII would be Russian ones in Windows-1251."""
    beyond = [byte for byte in content[:100_000] if byte > 127]
    return sum(byte >= 0xC0 or byte in (0xA8, 0xB8) for byte in beyond) > 0.8 * len(beyond)


def detect(text: str) -> str:
    """Which of READERS reads the text. A guess by its first lines, which a person may correct."""
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
    """One class a line, as SUN's ClassName.txt; of the path of a photo the folder is taken."""
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        path = line.strip().rstrip("/\\")
        photo = path.lower().endswith(PICTURES)
        key = scene_key(path.replace("\\", "/").rpartition("/")[0] if photo else path)
        if len(key) < 2 or path.startswith("#") or (photo and key in rows):
            continue  # nothing, a folder that only holds those of one letter, or a class's second photo
        if not photo and key in seen:
            problems.append(_twice(number, key, seen[key]))
            continue
        seen.setdefault(key, number)
        rows[key] = Row(number, key, {})
    return ClassList(list(rows.values()), problems)


def read_places(text: str) -> ClassList:
    """Places365's categories: "/a/airfield 0"."""
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
    """ "n01440764 tench, Tinca tinca", or the id alone. The first word is the name."""
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
    """imagenet_class_index.json: {"0": ["n01440764", "tench"], …}. Rows are numbered in its order."""
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
    """A CSV with a header; comma, semicolon or tab. An apostrophe that guards a formula is taken off."""
    rows, problems = [], []
    reader = table_reader(text)
    header = [name.strip().lower().lstrip("\ufeff") for name in next(reader, [])]
    fields = [COLUMNS.get(name) for name in header]
    if "key" not in fields:
        raise Unreadable("The table has no column with the class: key, raw_name or class.")
    twice = sorted({name for name in fields if name and fields.count(name) > 1})
    if twice:
        raise Unreadable(f"Two columns say the same: {', '.join(twice)}.")
    for line, cells in numbered(reader):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(fields):
            problems.append(Problem(line, "", f"it has {len(cells)} cells, the header has {len(fields)}"))
            continue
        values = {name: unguard(cell).strip() for name, cell in zip(fields, cells, strict=False) if name}
        rows.append(Row(line, scene_key(values.pop("key", "")), values))
    ignored = [name for name, known in zip(header, fields, strict=True) if name and not known]
    return ClassList(rows, problems, ignored)


READERS: dict[str, Callable[[str], ClassList]] = {
    LINES: read_lines,
    PLACES: read_places,
    IMAGENET: read_imagenet,
    IMAGENET_INDEX: read_imagenet_index,
    TABLE: read_table,
}
NAMES = {
    LINES: "Names, one a line (SUN’s ClassName.txt, a list of folders)",
    PLACES: "Places365 categories",
    IMAGENET: "ImageNet ids, with or without words",
    IMAGENET_INDEX: "ImageNet class index (JSON)",
    TABLE: "Table (CSV)",
}


def load_json(text: str) -> object:
    """Raises Unreadable, saying where."""
    try:
        found: object = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()  # half a character fits no page, no database
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unreadable(f"This is not JSON: {error}.") from error
    except UnicodeEncodeError as error:
        raise Unreadable("A text in it holds half a character (a lone \\ud800 to \\udfff).") from error
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        raise Unreadable("A number in it is too long.") from error
    return found


def table_reader(text: str) -> Reader:
    first = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # on a tie the comma
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def numbered(reader: Reader) -> list[tuple[int, list[str]]]:
    """The rows left, each with the line it begins on. Raises Unreadable."""
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
    """The cell so that no spreadsheet runs it: an apostrophe before what begins a formula."""
    return f"'{value}" if value.lstrip("'").startswith(FORMULA) else value


def unguard(cell: str) -> str:
    """What guard() was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def _header(text: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(table_reader(text), [])]
    except csv.Error:
        return []


def _twice(line: int, key: str, first: int) -> Problem:
    return Problem(line, "key", f"{key} stands in line {first} already")
