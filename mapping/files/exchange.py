"""The mapping as a file and back: CSV with the thesis's columns, JSON, SSSOM TSV.

The formats are in docs/formats.md. Importing an unchanged export changes nothing.
SSSOM: https://mapping-commons.github.io/sssom/
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from formats import json_text
from formats.table import MARK, MAX_ROWS, Problem, Unreadable, guard, plain_text
from mapping.files import classlists
from mapping.files.classlists import ClassList, Row, normalize_values, notes_on_names
from mapping.files.sssom import ENTRY, MANUAL, NO_TERM, PREFIXES, UNCHECKED, is_sssom, offsets, read_sssom
from mapping.lexicon.names import scene_key
from mapping.models import OTHER, MappingEntry, Release, SceneClass

JSON_FORMAT, JSON_VERSION = "scenetag-mapping", 1
JSON, SSSOM = "json", "sssom"
KINDS = {**classlists.NAMES, JSON: gettext_lazy("Mapping (JSON)"), SSSOM: gettext_lazy("Mapping (SSSOM TSV)")}
CSV_COLUMNS = {  # the thesis's own names first, then ours
    "raw_name": "key",
    **{name: name for name in ("name", "name_ru", "synset", "hypernym", "hashtag")},
    "sun_level1": "level1",
    "sun_level2": "level2",
    **{name: name for name in ("sense", "hypernym_sense", "status", "note")},
}
SSSOM_COLUMNS = (
    *("subject_id", "subject_label", "predicate_id", "object_id", "object_label"),
    *("mapping_justification", "author_label", "mapping_date", "comment", "other"),
)
ADDRESS = "https://scenetag.example/mapping"  # of a mapping that no site serves


@dataclass(frozen=True)
class ExportRow:
    """One class as a file contains it. values: our fields → text; label "" while undecided."""

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
    """A release keeps labels and senses. The name comes from the class, if it still exists."""
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
    return json_text.to_json(document, indent=1)


def read_json(text: str) -> ClassList:
    """Raises Unreadable. Rows are numbered by their position in "classes", from 1."""
    document = json_text.parse_json(text)
    if not isinstance(document, dict) or document.get("format") != JSON_FORMAT:
        raise Unreadable(_('This is not a mapping: "format" is not "%(format)s".') % {"format": JSON_FORMAT})
    if document.get("version") != JSON_VERSION:
        raise Unreadable(
            _("Version %(version)s is not supported; we read version %(ours)s.")
            % {"version": repr(document.get("version")), "ours": JSON_VERSION}
        )
    classes = document.get("classes")
    if not isinstance(classes, list):
        raise Unreadable(_('"classes" is not a list.'))
    rows, problems, notes = [], [], []
    fields = {field for field in CSV_COLUMNS.values() if field != "key"}
    for number, item in enumerate(classes, start=1):
        if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
            problems.append(Problem(number, "", _("a class must be an object whose values are texts")))
            continue
        cells = {name: value for name, value in item.items() if name in fields | {"key"}}
        values = normalize_values(cells)
        notes += notes_on_names(number, cells)
        rows.append(Row(number, scene_key(values.pop("key", "")), values))
    return ClassList(rows, problems, [], notes)


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
    noun_offsets = offsets()
    for row in rows:
        writer.writerows([guard(cell) for cell in line] for line in _sssom_lines(row, noun_offsets))
    return lines.getvalue()


def _sssom_lines(row: ExportRow, noun_offsets: dict[str, int]) -> Iterator[tuple[str, ...]]:
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
        if (offset := noun_offsets.get(values[name])) is not None:
            target = (f"wn30:{offset:08d}-n", values[word] or _words(values[name]))
            yield (*subject, predicate, *target, *provenance, "", extension)


def _words(key: str) -> str:
    return key.partition(".")[0].replace("_", " ")


def detect(text: str) -> str:
    """Guess which of KINDS the text is. The user can correct the guess."""
    start = text.lstrip(MARK).lstrip()[:20_000]
    if start.startswith("{") and f'"{JSON_FORMAT}"' in start:
        return JSON
    if is_sssom(text):
        return SSSOM
    return classlists.detect(text)


READERS = {**classlists.READERS, JSON: read_json, SSSOM: read_sssom}


def read(text: str, kind: str) -> ClassList:
    """Read a text of one of KINDS. Raises Unreadable, or KeyError for an unknown kind."""
    class_list = READERS[kind](plain_text(text))
    if len(class_list.rows) > MAX_ROWS:
        raise Unreadable(_("The file has more than %(n)s rows.") % {"n": intcomma(MAX_ROWS)})
    if not class_list.rows and not class_list.problems and not class_list.notes:
        raise Unreadable(_("The file contains no class."))
    return class_list
