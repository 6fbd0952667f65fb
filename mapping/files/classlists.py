"""Read lists of scene classes in the formats of common data sets. Pure: no database, no WordNet.

Supported: SUN's ClassName.txt, lists of folders or files (one per line), Places365's categories, ImageNet ids
with or without words (also its JSON index), and tables (CSV). Examples of each: docs/formats.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from formats.classes import is_beside_classes
from formats.files import is_file, is_left_by_system, is_photo
from formats.json_text import parse_json
from formats.names import describe_change, normalize_name
from formats.table import (
    MARK,
    Columns,
    Problem,
    Unreadable,
    decode_text,
    has_header,
    looks_like_table,
)
from formats.table import read_table as read_columns
from mapping.lexicon.names import scene_key

MOST_LINES = 500_000  # of a list; one line for each photo
MAX_BYTES = 10 * 2**20  # an export of 22,000 classes takes 7 MB
LINES, PLACES, IMAGENET, IMAGENET_INDEX, TABLE = "lines", "places365", "imagenet", "imagenet-index", "csv"
# Column of a table → our field. Other columns are ignored, and the preview lists them.
NAMES_OF_COLUMNS = {
    **dict.fromkeys(("key", "raw_name", "scene_key", "class", "class_name", "folder"), "key"),
    **dict.fromkeys(("wnid", "synset_id", "offset"), "key"),
    **dict.fromkeys(("name", "cleaned_name"), "name"),
    "name_ru": "name_ru",
    **dict.fromkeys(("level1", "sun_level1"), "level1"),
    **dict.fromkeys(("level2", "sun_level2"), "level2"),
    **{name: name for name in ("sense", "synset", "hypernym_sense", "hypernym", "status", "note")},
    **dict.fromkeys(("hashtag", "label"), "hashtag"),
}
COLUMNS = Columns(
    NAMES_OF_COLUMNS,
    [("key",)],
    gettext_noop("The table needs a column that names the class: key, raw_name or class."),
)
WNID = re.compile(r"^n\d{8}$")


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
    notes: list[Problem] = field(default_factory=list)  # what was skipped, or saved differently from the file


def decode(content: bytes) -> str:
    """The text of an uploaded file. Raises Unreadable."""
    if len(content) > MAX_BYTES:
        raise Unreadable(_("The file is larger than %(n)s MB.") % {"n": MAX_BYTES // 2**20})
    return decode_text(content)


def detect(text: str) -> str:
    """Guess from the first lines which of READERS fits. The user can correct the guess."""
    start = text.lstrip(MARK).lstrip()
    if start.startswith(("{", "[")):
        return IMAGENET_INDEX
    lines = [line for line in start.split("\n", 50)[:50] if line.strip()]
    if not lines:
        return LINES
    if has_header(text, COLUMNS):
        return TABLE
    if all(re.match(r"^n\d{8}(\s|,|$)", line.strip()) for line in lines):
        return IMAGENET
    if all(re.match(r"^\S+\s+\d+$", line.strip()) for line in lines):
        return PLACES
    return TABLE if looks_like_table(text) else LINES


def read_lines(text: str) -> ClassList:
    """Read one class per line, like SUN's ClassName.txt. The path of a photo stands for its folder.

    Raises Unreadable for a table. A folder that all lines share is removed, as for photos of a photo set.
    """
    if looks_like_table(text):
        line = next(at for at, words in enumerate(text.splitlines(), start=1) if words.strip())
        raise Unreadable(
            _("Line %(line)s: this is a table. A list has one name per line, without , ; or tab.")
            % {"line": line}
        )
    entries, notes = _entries(text)
    root = _shared_folder(entries)
    if root:
        notes.append(
            Problem(
                0, "key", _("all lines begin with “%(folder)s/”, which was removed") % {"folder": root[:60]}
            )
        )
        entries = [replace(entry, key=entry.key[len(root) + 1 :]) for entry in entries]
    indexes = _indexes(entries)
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    first_lines: dict[str, int] = {}
    for entry in entries:
        if not entry.key or entry.key in indexes:
            continue
        if not entry.is_photo and entry.key in first_lines:
            problems.append(_duplicate(entry.line, entry.key, first_lines[entry.key]))
            continue
        if not entry.is_photo:
            first_lines[entry.key] = entry.line
        rows.setdefault(entry.key, Row(entry.line, entry.key, {}))
    return ClassList(list(rows.values()), problems, [], notes)


@dataclass(frozen=True)
class _Entry:
    """A line of a list: a folder, or the folder of a photo."""

    line: int
    key: str
    is_photo: bool


def _entries(text: str) -> tuple[list[_Entry], list[Problem]]:
    entries: list[_Entry] = []
    if text.count("\n") > MOST_LINES:
        raise Unreadable(_("The file has more than %(n)s lines.") % {"n": intcomma(MOST_LINES)})
    notes: list[Problem] = []
    others: list[int] = []
    beside: list[int] = []
    keys: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        path = line.strip().replace("\\", "/")
        if path.startswith("#") or not path.strip("./"):
            continue  # a comment, a blank line or the folder itself
        folder, name = path.rpartition("/")[::2]
        photo = is_photo(name)
        class_path = folder if photo else path
        key = scene_key(class_path)
        if is_left_by_system(path) or (is_file(name) and not photo) or not key:
            others.append(number)
            continue
        if is_beside_classes(key):
            beside.append(number)
            continue
        if key not in keys and (change := describe_change(class_path)):
            notes.append(Problem(number, "key", change))
        keys.add(key)
        entries.append(_Entry(number, key, photo))
    for lines, reason in (
        (others, _("neither a folder nor a photo in one, skipped")),
        (beside, _("in _other or _hashtag, which are no classes, skipped")),
    ):
        if lines:
            count = ngettext("%(n)s line", "%(n)s lines", len(lines)) % {"n": len(lines)}
            notes.append(Problem(lines[0], "key", f"{count}: {reason}"))
    return entries, notes


def _indexes(entries: list[_Entry]) -> set[str]:
    """Folders that only hold folders: those of one letter, and in a list of photos those without photos."""
    with_photos = {entry.key for entry in entries if entry.is_photo}
    split_keys = [entry.key.split("/") for entry in entries]
    parents = {"/".join(parts[:end]) for parts in split_keys for end in range(1, len(parts))}
    return {key for key in parents - with_photos if with_photos or len(key) == 1}


def _shared_folder(entries: list[_Entry]) -> str:
    """The folder in front of all classes, such as “photos”, if it can be told from a class; else empty."""
    paths = [entry.key.split("/") for entry in entries]
    photos = {entry.key for entry in entries if entry.is_photo}
    prefix: list[str] = []
    root = ""
    while len(paths) > 1 and len({path[0] for path in paths}) == 1:
        first = paths[0][0]
        paths = [path[1:] for path in paths if len(path) > 1]
        prefix.append(first)
        if len(first) == 1 or not paths or "/".join(prefix) in photos:
            break  # an index such as a/, or a class
        if photos or all(len(path[0]) == 1 for path in paths):
            root = "/".join(prefix)
    return root


def read_places(text: str) -> ClassList:
    """Read Places365's categories: "/a/airfield 0"."""
    rows, problems, notes = [], [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, index = line.strip().rpartition(" ")[::2]
        if not name or not index.isdigit():
            problems.append(
                Problem(
                    number, "key", _("“%(line)s” is not a class and its number") % {"line": line.strip()[:60]}
                )
            )
        else:
            notes += notes_on_names(number, {"key": name})
            rows.append(Row(number, scene_key(name), {}))
    return ClassList(rows, problems, [], notes)


def read_imagenet(text: str) -> ClassList:
    """Read ImageNet's synsets: "n01440764 tench, Tinca tinca" or an id alone. The first word is the name."""
    rows, problems, notes = [], [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        wnid, *words = re.split(r"[\s,]+", normalize_name(line), maxsplit=1)
        notes += notes_on_names(number, {"name": line})
        if not WNID.match(wnid):
            problems.append(
                Problem(number, "key", _("“%(id)s” is not an id like n01440764") % {"id": wnid[:60]})
            )
        else:
            rows.append(Row(number, wnid, {"name": words[0].split(",")[0].strip()} if words else {}))
    return ClassList(rows, problems, [], notes)


def read_imagenet_index(text: str) -> ClassList:
    """Read imagenet_class_index.json: {"0": ["n01440764", "tench"], …}. Rows are counted in file order."""
    index = parse_json(text)
    if not isinstance(index, dict):
        raise Unreadable(_('Expected {"0": ["n01440764", "tench"], …}.'))
    rows, problems = [], []
    for number, pair in enumerate(index.values(), start=1):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            problems.append(Problem(number, "key", _('expected ["n01440764", "tench"]')))
        elif not WNID.match(pair[0]):
            problems.append(
                Problem(number, "key", _("“%(id)s” is not an id like n01440764") % {"id": pair[0][:60]})
            )
        else:
            rows.append(Row(number, pair[0], {"name": normalize_name(pair[1].replace("_", " "))}))
    return ClassList(rows, problems)


def read_table(text: str) -> ClassList:
    """Read a table with a header. Raises Unreadable."""
    table = read_columns(text, COLUMNS)
    rows, notes = [], list(table.notes)
    for line in table.rows:
        values = {
            name: value if name == "note" else normalize_name(value) for name, value in line.values.items()
        }
        notes += notes_on_names(line.line, line.values)
        rows.append(Row(line.line, scene_key(values.pop("key", "")), values))
    return ClassList(rows, table.problems, table.ignored, notes)


def normalize_values(values: dict[str, str]) -> dict[str, str]:
    return {name: text.strip() if name == "note" else normalize_name(text) for name, text in values.items()}


def notes_on_names(line: int, values: dict[str, str]) -> list[Problem]:
    """Changes by normalizing a row that would otherwise go unnoticed."""
    changes = ((name, describe_change(value)) for name, value in values.items() if name != "note")
    return [Problem(line, name, change) for name, change in changes if change]


READERS: dict[str, Callable[[str], ClassList]] = {
    LINES: read_lines,
    PLACES: read_places,
    IMAGENET: read_imagenet,
    IMAGENET_INDEX: read_imagenet_index,
    TABLE: read_table,
}
NAMES = {
    LINES: gettext_lazy("Names, one per line (SUN’s ClassName.txt, a list of folders)"),
    PLACES: gettext_lazy("Places365 categories"),
    IMAGENET: gettext_lazy("ImageNet ids, with or without words"),
    IMAGENET_INDEX: gettext_lazy("ImageNet class index (JSON)"),
    TABLE: gettext_lazy("Table (CSV)"),
}


def _duplicate(line: int, key: str, first: int) -> Problem:
    return Problem(line, "key", _("%(name)s is already in line %(line)s") % {"name": key, "line": first})
