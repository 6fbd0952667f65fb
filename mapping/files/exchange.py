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
class Exported:
    """One class as a file keeps it. values: our fields → text; label "" while undecided."""

    key: str
    values: dict[str, str]
    author: str
    date: str


def exported(release: Release | None = None) -> list[Exported]:
    """All classes of the mapping as it is, or of a release, by key. Queries: constant."""
    return _of_release(release) if release else _of_today()


def _of_today() -> list[Exported]:
    rows = MappingEntry.objects.select_related("scene_class", "hashtag", "changed_by").order_by(
        "scene_class__key"
    )
    return [
        Exported(
            key=row.scene_class.key,
            values=_described(row.scene_class)
            | {name: getattr(row, name) for name in (*ENTRY, "note")}
            | {"hashtag": row.label or "", "status": row.status},
            author=row.changed_by.get_username() if row.changed_by else "",
            date=row.changed_at.date().isoformat(),
        )
        for row in rows
    ]


def _of_release(release: Release) -> list[Exported]:
    """A release keeps labels and senses; what a class is called is said by the class, while there is one."""
    known = {row.key: row for row in SceneClass.objects.all()}
    author = release.published_by.get_username() if release.published_by else ""
    return [
        Exported(
            key=label.scene_key,
            values=_described(known.get(label.scene_key))
            | {name: getattr(label, name) for name in ENTRY}
            | {"hashtag": label.label, "status": MappingEntry.Status.CONFIRMED.value, "note": ""},
            author=author,
            date=release.published_at.date().isoformat(),
        )
        for label in release.labels.order_by("scene_key")
    ]


def _described(found: SceneClass | None) -> dict[str, str]:
    return {name: getattr(found, name, "") for name in ("name", "name_ru", "level1", "level2")}


def to_csv(rows: Iterable[Exported]) -> str:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        values = row.values | {"key": f"/{row.key}" if "/" in row.key else row.key}
        writer.writerow(guard(values[field]) for field in CSV_COLUMNS.values())
    return lines.getvalue()


def to_json(rows: Iterable[Exported], release: Release | None = None) -> str:
    document = {
        "format": JSON_FORMAT,
        "version": JSON_VERSION,
        "release": release.number if release else None,
        "classes": [{"key": row.key} | row.values for row in rows],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def read_json(text: str) -> ClassList:
    """Raises Unreadable. Rows are numbered by their place in "classes", from 1."""
    document = classlists.load_json(text)
    if not isinstance(document, dict) or document.get("format") != JSON_FORMAT:
        raise Unreadable(f'This is not a mapping: "format" is not "{JSON_FORMAT}".')
    if document.get("version") != JSON_VERSION:
        raise Unreadable(f"Version {document.get('version')!r} is not known here; we read {JSON_VERSION}.")
    classes = document.get("classes")
    if not isinstance(classes, list):
        raise Unreadable('"classes" is not a list.')
    rows, problems = [], []
    known = {field for field in CSV_COLUMNS.values() if field != "key"}
    for number, found in enumerate(classes, start=1):
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            problems.append(Problem(number, "", "a class is an object of texts"))
            continue
        values = {name: value.strip() for name, value in found.items() if name in known}
        rows.append(Row(number, scene_key(found.get("key", "")), values))
    return ClassList(rows, problems)


def to_sssom(rows: Iterable[Exported], release: Release | None = None, address: str = ADDRESS) -> str:
    """A line for a class's hashtag, and one each for its sense and hypernym that WordNet knows.

    address: where the mapping can be had, which is how SSSOM names it.
    A photo of the class may carry the hashtag, so the hashtag is broader: skos:broadMatch. The sense is
    skos:closeMatch, the hypernym skos:broadMatch. `other` is SSSOM's own sssom:NoTermFound.
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


def _sssom_lines(row: Exported, offsets: dict[str, int]) -> Iterator[tuple[str, ...]]:
    values = row.values
    subject = (f"scene:{quote(row.key, safe='/_-.~')}", values["name"])
    why = MANUAL if values["status"] == MappingEntry.Status.CONFIRMED else UNCHECKED
    signed = (why, row.author, row.date)
    kept = "|".join(f"{name}={quote(values[name], safe=' ')}" for name in ENTRY)
    if label := values["hashtag"]:
        target = (NO_TERM, OTHER) if label == OTHER else (f"hashtag:{quote(label)}", f"#{label}")
        yield (*subject, "skos:broadMatch", *target, *signed, values["note"], kept)
    for name, word, predicate in (
        ("sense", "synset", "skos:closeMatch"),
        ("hypernym_sense", "hypernym", "skos:broadMatch"),
    ):
        if (offset := offsets.get(values[name])) is not None:
            target = (f"wn30:{offset:08d}-n", values[word] or _words(values[name]))
            yield (*subject, predicate, *target, *signed, "", kept)


def _words(key: str) -> str:
    return key.partition(".")[0].replace("_", " ")


def read_sssom(text: str) -> ClassList:
    """Ours, or another's whose objects are hashtags or nouns of WordNet 3.0. Raises Unreadable."""
    lines = text.split("\n")
    top = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    prefixes = dict(
        re.findall(r"""^#\s+["']?([\w.]+)["']?:\s*["']?([^"'\s]+)["']?\s*$""", "\n".join(lines[:top]), re.M)
    )
    reader = csv.reader(io.StringIO("\n".join(lines[top:]), newline=""), delimiter="\t", strict=True)
    header = [name.strip() for name in next(reader, [])]
    if missing := {"subject_id", "predicate_id", "object_id"} - set(header):
        raise Unreadable(f"This SSSOM file has no column {', '.join(sorted(missing))}.")
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    nouns = {f"{offset:08d}-n": key for key, offset in _offsets().items()}
    for at, cells in classlists.numbered(reader):
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
    """Take one line into its class's row; field and reason when it cannot be."""
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
    """What stands behind our base of this kind, however the file abbreviates it; None for another's."""
    prefix, _, rest = identifier.partition(":")
    whole = prefixes[prefix] + rest if prefix in prefixes else identifier
    for base in (PREFIXES[kind], f"{kind}:"):
        if whole.startswith(base):
            return unquote(whole.removeprefix(base))
    return None


def _offsets() -> dict[str, int]:
    """WordNet's number of each noun's key; none without WordNet."""
    try:
        table = wordnet.nouns()
    except wordnet.WordNetMissing:
        return {}
    return dict(zip(table.keys, table.offsets.tolist(), strict=True))


def detect(text: str) -> str:
    """The kind of the text, of KINDS: a guess, which a person may correct."""
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
    """The rows of a text of this kind, of KINDS. Raises Unreadable, KeyError."""
    try:
        found = READERS[kind](text)
    except csv.Error as error:
        raise Unreadable(f"This is not a table: {error}.") from error
    if len(found.rows) > MAX_ROWS:
        raise Unreadable(f"The file has more than {MAX_ROWS:,} rows.")
    if not found.rows and not found.problems:
        raise Unreadable("There is no class in it.")
    return found
