"""The mapping as a file and back: CSV with the thesis's columns, JSON, SSSOM TSV.

What they look like: docs/formats.md. What is read again says the same: importing an export of the mapping as
it is leaves nothing to do.
SSSOM: https://mapping-commons.github.io/sssom/
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

from mapping.files import classlists
from mapping.files.classlists import MAX_ROWS, ClassList, Problem, Row, Unreadable, guard, unguard
from mapping.lexicon import wordnet
from mapping.lexicon.names import scene_key
from mapping.models import OTHER, MappingEntry, Release, SceneClass

JSON_FORMAT, JSON_VERSION = "scenetag-mapping", 1
JSON, SSSOM = "json", "sssom"
KINDS = {**classlists.NAMES, JSON: "Mapping (JSON)", SSSOM: "Mapping (SSSOM TSV)"}
ENTRY = ("sense", "synset", "hypernym_sense", "hypernym")
CSV_COLUMNS = {  # the thesis's own names first, then ours
    "raw_name": "key",
    **{name: name for name in ("name", "name_ru", "synset", "hypernym", "hashtag")},
    "sun_level1": "level1",
    "sun_level2": "level2",
    **{name: name for name in ("sense", "hypernym_sense", "status", "note")},
}
PREFIXES = {
    "scene": "urn:scenetag:class:",
    "hashtag": "https://www.instagram.com/explore/tags/",
    "wn30": "http://wordnet-rdf.princeton.edu/pwn30/",
}
SSSOM_COLUMNS = (
    *("subject_id", "subject_label", "predicate_id", "object_id", "object_label"),
    *("mapping_justification", "author_label", "mapping_date", "comment", "other"),
)
ADDRESS = "https://scenetag.example/mapping"  # of a mapping that no site serves
NO_TERM = "sssom:NoTermFound"
MANUAL, UNCHECKED = "semapv:ManualMappingCuration", "semapv:UnspecifiedMatching"


@dataclass(frozen=True)
class ExportRow:
    """One class as a file keeps it. values: our fields → text; label "" while undecided."""

    key: str
    values: dict[str, str]
    author: str
    date: str


def export_rows(release: Release | None = None) -> list[ExportRow]:
    """All classes of the mapping as it is, or of a release, by key. Queries: constant."""
    return _of_release(release) if release else _of_today()


def _of_today() -> list[ExportRow]:
    rows = MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by").order_by(
        "scene_class__key"
    )
    return [
        ExportRow(
            key=row.scene_class.key,
            values=_class_values(row.scene_class)
            | {name: getattr(row, name) for name in (*ENTRY, "note")}
            | {"hashtag": row.label or "", "status": row.status},
            author=row.changed_by.get_username() if row.changed_by else "",
            date=row.changed_at.date().isoformat(),
        )
        for row in rows
    ]


def _of_release(release: Release) -> list[ExportRow]:
    """A release keeps labels and senses; what a class is called is said by the class, while there is one."""
    classes = {row.key: row for row in SceneClass.objects.all()}
    author = release.published_by.get_username() if release.published_by else ""
    return [
        ExportRow(
            key=label.scene_key,
            values=_class_values(classes.get(label.scene_key))
            | {name: getattr(label, name) for name in ENTRY}
            | {"hashtag": label.label, "status": MappingEntry.Status.CONFIRMED.value, "note": ""},
            author=author,
            date=release.published_at.date().isoformat(),
        )
        for label in release.labels.order_by("scene_key")
    ]


def _class_values(scene_class: SceneClass | None) -> dict[str, str]:
    return {name: getattr(scene_class, name, "") for name in ("name", "name_ru", "level1", "level2")}


def to_csv(rows: Iterable[ExportRow]) -> str:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        values = row.values | {"key": f"/{row.key}" if "/" in row.key else row.key}
        writer.writerow(guard(values[field]) for field in CSV_COLUMNS.values())
    return lines.getvalue()


def to_json(rows: Iterable[ExportRow], release: Release | None = None) -> str:
    document = {
        "format": JSON_FORMAT,
        "version": JSON_VERSION,
        "release": release.number if release else None,
        "classes": [{"key": row.key} | row.values for row in rows],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def read_json(text: str) -> ClassList:
    """Raises Unreadable. Rows are numbered by their position in "classes", from 1."""
    document = classlists.load_json(text)
    if not isinstance(document, dict) or document.get("format") != JSON_FORMAT:
        raise Unreadable(f'This is not a mapping: "format" is not "{JSON_FORMAT}".')
    if document.get("version") != JSON_VERSION:
        raise Unreadable(
            f"Version {document.get('version')!r} is not supported; we read version {JSON_VERSION}."
        )
    classes = document.get("classes")
    if not isinstance(classes, list):
        raise Unreadable('"classes" is not a list.')
    rows, problems = [], []
    fields = {field for field in CSV_COLUMNS.values() if field != "key"}
    for number, item in enumerate(classes, start=1):
        if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
            problems.append(Problem(number, "", "a class must be an object whose values are texts"))
            continue
        values = {name: value.strip() for name, value in item.items() if name in fields}
        rows.append(Row(number, scene_key(item.get("key", "")), values))
    return ClassList(rows, problems)


def to_sssom(rows: Iterable[ExportRow], release: Release | None = None, address: str = ADDRESS) -> str:
    """Write one line for a class's hashtag, and one each for its sense and hypernym if WordNet has them.

    address: the address of the mapping, which SSSOM uses as its id.
    A hashtag is broader than its class, hence skos:broadMatch. A sense is skos:closeMatch, a hypernym
    skos:broadMatch. `other` becomes SSSOM's sssom:NoTermFound.
    """
    lines = io.StringIO(newline="")
    for prefix, base in {"#curie_map:": None, **PREFIXES}.items():
        lines.write(f'#  {prefix}: "{base}"\n' if base else f"{prefix}\n")
    lines.write(f'#mapping_set_id: "{address}"\n')
    lines.write('#license: "https://w3id.org/sssom/license/unspecified"\n')
    if release:
        lines.write(f'#mapping_date: "{release.published_at.date().isoformat()}"\n')
    writer = csv.writer(lines, delimiter="\t", lineterminator="\n")
    writer.writerow(SSSOM_COLUMNS)
    offsets = _offsets()
    for row in rows:
        writer.writerows([guard(cell) for cell in line] for line in _sssom_lines(row, offsets))
    return lines.getvalue()


def _sssom_lines(row: ExportRow, offsets: dict[str, int]) -> Iterator[tuple[str, ...]]:
    values = row.values
    subject = (f"scene:{quote(row.key, safe='/_-.~')}", values["name"])
    justification = MANUAL if values["status"] == MappingEntry.Status.CONFIRMED else UNCHECKED
    provenance = (justification, row.author, row.date)
    extension = "|".join(f"{name}={quote(values[name], safe=' ')}" for name in ENTRY)
    if label := values["hashtag"]:
        target = (NO_TERM, OTHER) if label == OTHER else (f"hashtag:{quote(label)}", f"#{label}")
        yield (*subject, "skos:broadMatch", *target, *provenance, values["note"], extension)
    for name, word, predicate in (
        ("sense", "synset", "skos:closeMatch"),
        ("hypernym_sense", "hypernym", "skos:broadMatch"),
    ):
        if (offset := offsets.get(values[name])) is not None:
            target = (f"wn30:{offset:08d}-n", values[word] or _words(values[name]))
            yield (*subject, predicate, *target, *provenance, "", extension)


def _words(key: str) -> str:
    return key.partition(".")[0].replace("_", " ")


def read_sssom(text: str) -> ClassList:
    """Read SSSOM whose objects are hashtags or nouns of WordNet 3.0. Raises Unreadable."""
    lines = text.split("\n")
    top = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    prefixes = dict(
        re.findall(r"""^#\s+["']?([\w.]+)["']?:\s*["']?([^"'\s]+)["']?\s*$""", "\n".join(lines[:top]), re.M)
    )
    reader = csv.reader(io.StringIO("\n".join(lines[top:]), newline=""), delimiter="\t", strict=True)
    header = [name.strip() for name in next(reader, [])]
    if missing_columns := {"subject_id", "predicate_id", "object_id"} - set(header):
        raise Unreadable(f"This SSSOM file has no column {', '.join(sorted(missing_columns))}.")
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    nouns = {f"{offset:08d}-n": key for key, offset in _offsets().items()}
    for at, cells in classlists.number_rows(reader):
        line = at + top
        if not any(cells):
            continue
        mapped = {name: unguard(cell) for name, cell in zip(header, cells, strict=False)}
        subject = _local(mapped.get("subject_id", ""), prefixes, "scene")
        if subject is None:
            problems.append(Problem(line, "subject_id", "it is not an id of a scene class (scene:…)"))
            continue
        row = rows.setdefault(scene_key(subject), Row(line, scene_key(subject), {}))
        if problem := _add_mapping(row, mapped, prefixes, nouns):
            problems.append(Problem(line, *problem))
    return ClassList(list(rows.values()), problems)


def _add_mapping(
    row: Row, mapped: dict[str, str], prefixes: dict[str, str], nouns: dict[str, str]
) -> tuple[str, str] | None:
    """Add one line to the row of its class. Returns field and reason if it cannot be used, else None."""
    target, predicate = mapped.get("object_id", ""), mapped.get("predicate_id", "")
    if label := mapped.get("subject_label", "").strip():
        row.values.setdefault("name", label)
    for part in mapped.get("other", "").split("|"):
        name, _, value = part.partition("=")
        if name in ENTRY:
            row.values[name] = unquote(value)
    hashtag = OTHER if target == NO_TERM else _local(target, prefixes, "hashtag")
    if hashtag is not None:
        if "hashtag" in row.values:
            return "object_id", "this class has a hashtag in an earlier line"
        curated = mapped.get("mapping_justification") == MANUAL
        row.values["hashtag"] = hashtag
        row.values["status"] = (
            MappingEntry.Status.CONFIRMED if curated else MappingEntry.Status.IMPORTED
        ).value
        if "comment" in mapped:
            row.values["note"] = mapped["comment"].strip()
        return None
    number = _local(target, prefixes, "wn30")
    if number is None:
        return "object_id", f"“{target[:60]}” is neither a hashtag nor a noun of WordNet 3.0"
    if number not in nouns:
        return "object_id", f"WordNet has no noun {number[:60]}"
    field, word = ("hypernym_sense", "hypernym") if "broad" in predicate else ("sense", "synset")
    row.values.setdefault(field, nouns[number])
    row.values.setdefault(word, mapped.get("object_label", "").strip())
    return None


def _local(identifier: str, prefixes: dict[str, str], kind: str) -> str | None:
    """The local part of an identifier with our prefix of this kind, in full or as a CURIE; else None."""
    prefix, _, rest = identifier.partition(":")
    whole = prefixes[prefix] + rest if prefix in prefixes else identifier
    for base in (PREFIXES[kind], f"{kind}:"):
        if whole.startswith(base):
            return unquote(whole.removeprefix(base))
    return None


def _offsets() -> dict[str, int]:
    """Key of each noun → its number in WordNet. Empty without WordNet."""
    try:
        table = wordnet.nouns()
    except wordnet.WordNetMissing:
        return {}
    return dict(zip(table.keys, table.offsets.tolist(), strict=True))


def detect(text: str) -> str:
    """Guess which of KINDS the text is. The user can correct the guess."""
    start = text.lstrip()[:20_000]
    if start.startswith("{") and f'"{JSON_FORMAT}"' in start:
        return JSON
    if start.startswith(("#curie_map", "#mapping_set_id", "# curie_map")) or re.match(
        r"(#.*\n)*subject_id\t", start
    ):
        return SSSOM
    return classlists.detect(text)


READERS = {**classlists.READERS, JSON: read_json, SSSOM: read_sssom}


def read(text: str, kind: str) -> ClassList:
    """Read a text of one of KINDS. Raises Unreadable, or KeyError for an unknown kind."""
    try:
        class_list = READERS[kind](text)
    except csv.Error as error:
        raise Unreadable(f"This is not a table: {error}.") from error
    if len(class_list.rows) > MAX_ROWS:
        raise Unreadable(f"The file has more than {MAX_ROWS:,} rows.")
    if not class_list.rows and not class_list.problems:
        raise Unreadable("The file contains no class.")
    return class_list
