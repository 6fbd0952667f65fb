"""Read mappings in SSSOM, the exchange format of ontologies: https://mapping-commons.github.io/sssom/

Follows the specification where subjects are scene classes and objects are hashtags or nouns of WordNet 3.0.
The package sssom is not used: it brings pandas and a schema compiler.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import dedent
from urllib.parse import unquote

import yaml
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from formats.names import describe_change, normalize_name
from formats.table import MARK, Columns, Problem, has_header, read_table
from mapping.files.classlists import ClassList, Row
from mapping.lexicon import wordnet
from mapping.lexicon.names import scene_key
from mapping.models import OTHER, MappingEntry

PREFIXES = {
    "scene": "urn:scenetag:class:",
    "hashtag": "https://www.instagram.com/explore/tags/",
    "wn30": "http://wordnet-rdf.princeton.edu/pwn30/",
}
BUILT_IN = {  # a file need not declare them
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "semapv": "https://w3id.org/semapv/vocab/",
    "sssom": "https://w3id.org/sssom/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
}
USED = (
    *("subject_id", "subject_label", "predicate_id", "predicate_modifier", "object_id", "object_label"),
    *("object_source", "mapping_justification", "comment", "other"),
)
COLUMNS = Columns(
    {name: name for name in USED},
    [("subject_id",), ("predicate_id",), ("object_id",)],
    gettext_noop("An SSSOM file needs the columns subject_id, predicate_id and object_id."),
)
ENTRY = ("sense", "synset", "hypernym_sense", "hypernym")
NO_TERM = "sssom:NoTermFound"
MANUAL, UNCHECKED = "semapv:ManualMappingCuration", "semapv:UnspecifiedMatching"
SAME = ("skos:exactMatch", "skos:closeMatch", "owl:equivalentClass", "owl:sameAs")
BROADER = ("skos:broadMatch", "rdfs:subClassOf")
LONGEST_HEAD = 100_000  # characters; YAML takes a second for each million


def is_sssom(text: str) -> bool:
    return has_header(_without_head(text.lstrip(MARK))[1], COLUMNS)


def read_sssom(text: str) -> ClassList:
    """Raises Unreadable. A line with nothing to import becomes a note, an invalid line a problem."""
    head, body = _without_head(text.lstrip(MARK))
    table = read_table(body, COLUMNS)
    prefixes = BUILT_IN | PREFIXES | _read_prefixes(head)
    reader = _Reader(prefixes, problems=list(table.problems), notes=list(table.notes))
    for row in table.rows:
        reader.read(row.line, row.values)
    return ClassList(list(reader.rows.values()), reader.problems, [], reader.notes)


def _without_head(text: str) -> tuple[list[str], str]:
    """The leading comment lines, and the text with blank lines in their place, so that line numbers stay."""
    lines = text.splitlines(keepends=True)
    end = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    head = [line[1:].rstrip() for line in lines[:end] if line.startswith("#")]
    return head, "\n" * end + "".join(lines[end:])


def _read_prefixes(head: list[str]) -> dict[str, str]:
    """The prefixes of curie_map. Many headers are not quite YAML; their pairs are read one by one."""
    whole = dedent("\n".join(head))
    if len(whole) <= LONGEST_HEAD:
        try:
            # This loader reads strings only. It has no merge keys, which let a small file expand endlessly.
            metadata = yaml.load(whole, Loader=yaml.BaseLoader)  # noqa: S506
        except (yaml.YAMLError, ValueError, RecursionError):
            metadata = None
        if isinstance(metadata, dict):
            prefixes = metadata.get("curie_map")
            pairs = prefixes.items() if isinstance(prefixes, dict) else ()
            return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}
    return dict(re.findall(r"""^\s+["']?([\w.-]+)["']?:\s*["']?([^"'\s]+)["']?\s*$""", "\n".join(head), re.M))


@dataclass
class _Reader:
    prefixes: Mapping[str, str]
    rows: dict[str, Row] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    statements: dict[tuple[str, str], int] = field(default_factory=dict)  # class and object → line
    denials: dict[tuple[str, str], int] = field(default_factory=dict)

    @cached_property
    def nouns(self) -> dict[str, str]:
        """Number of each noun, as SSSOM writes it → its key. There are 82,000: made if a line names one."""
        return {f"{offset:08d}-n": key for key, offset in offsets().items()}

    def read(self, line: int, cells: Mapping[str, str]) -> None:
        subject = self.local(cells["subject_id"], "scene")
        if self.whole(cells["subject_id"]) == self.whole(NO_TERM):
            self.note(
                line,
                "subject_id",
                _("no class stands for %(object)s: nothing was imported")
                % {"object": cells["object_id"][:60]},
            )
        elif subject is None:
            self.problem(line, "subject_id", _("it is not an id of a scene class (scene:…)"))
        elif change := describe_change(subject):
            self.note(line, "subject_id", change)
        if subject is None:
            return
        key = scene_key(subject)
        modifier = cells.get("predicate_modifier", "").lower()
        pair = key, self.whole(cells["object_id"])
        if modifier not in ("", "not"):
            self.problem(line, "predicate_modifier", _("“%(value)s” is not Not") % {"value": modifier[:60]})
            return
        (self.denials if modifier else self.statements).setdefault(pair, line)
        if pair in self.statements and pair in self.denials:
            self.problem(
                line,
                "predicate_modifier",
                _("line %(line)s says the opposite")
                % {"line": min(self.statements[pair], self.denials[pair])},
            )
        elif modifier:
            self.note(
                line,
                "predicate_modifier",
                _("%(key)s is not %(object)s: nothing was imported")
                % {"key": key, "object": cells["object_id"][:60]},
            )
        else:
            self.take(line, key, cells)

    def take(self, line: int, key: str, cells: Mapping[str, str]) -> None:
        """Take over a statement: a hashtag, a sense or a hypernym."""
        target, predicate = self.whole(cells["object_id"]), self.whole(cells["predicate_id"])
        is_same = predicate in map(self.whole, SAME)
        is_broader = predicate in map(self.whole, BROADER)
        object_id = cells["object_id"][:60]
        if target == self.whole(NO_TERM):
            source = cells.get("object_source", "")
            if source and not self.whole(source).startswith(PREFIXES["hashtag"].rstrip("/")):
                self.note(
                    line,
                    "object_source",
                    _("%(key)s has no term in %(source)s: nothing was imported")
                    % {"key": key, "source": source[:60]},
                )
            else:
                self.add_hashtag(line, key, OTHER, cells)
            return
        hashtag, number = self.local(target, "hashtag"), self.local(target, "wn30")
        if hashtag is None and number is None:
            self.problem(
                line,
                "object_id",
                _("“%(object)s” is neither a hashtag nor a noun of WordNet 3.0") % {"object": object_id},
            )
        elif hashtag is None and number not in self.nouns:
            self.problem(
                line, "object_id", _("WordNet has no noun %(number)s") % {"number": str(number)[:60]}
            )
        elif not is_same and not is_broader:
            words = _(
                "%(predicate)s %(object)s: nothing was imported; "
                "we take skos:exactMatch, closeMatch and broadMatch"
            ) % {"predicate": cells["predicate_id"][:40] or _("no predicate"), "object": object_id}
            self.note(line, "predicate_id", words)
        elif hashtag is not None:
            self.add_hashtag(line, key, hashtag.rstrip("/"), cells)
        else:
            self.add_noun(line, key, self.nouns[str(number)], is_broader, cells)

    def add_hashtag(self, line: int, key: str, hashtag: str, cells: Mapping[str, str]) -> None:
        values = self.row(line, key, cells).values
        if values.setdefault("hashtag", hashtag) != hashtag:
            self.problem(line, "object_id", _("this class has a hashtag in an earlier line"))
            return
        is_manual = self.whole(cells.get("mapping_justification", "")) == self.whole(MANUAL)
        if is_manual or "status" not in values:
            status = MappingEntry.Status.CONFIRMED if is_manual else MappingEntry.Status.IMPORTED
            values["status"] = status.value
        if "comment" in cells:
            values["note"] = cells["comment"]

    def add_noun(self, line: int, key: str, noun: str, is_broader: bool, cells: Mapping[str, str]) -> None:
        sense, word = ("hypernym_sense", "hypernym") if is_broader else ("sense", "synset")
        values = self.row(line, key, cells).values
        if values.setdefault(sense, noun) != noun:
            self.note(
                line,
                "object_id",
                _("%(key)s has the %(kind)s %(value)s: %(noun)s was not imported")
                % {"key": key, "kind": sense.replace("_", " "), "value": values[sense], "noun": noun},
            )
        else:
            values.setdefault(word, normalize_name(cells.get("object_label", "")))

    def row(self, line: int, key: str, cells: Mapping[str, str]) -> Row:
        row = self.rows.setdefault(key, Row(line, key, {}))
        if label := normalize_name(cells.get("subject_label", "")):
            row.values.setdefault("name", label)
        for part in cells.get("other", "").split("|"):
            name, value = part.partition("=")[::2]
            if name in ENTRY:
                row.values[name] = unquote(value)
        return row

    def whole(self, identifier: str) -> str:
        """The identifier in full, if it is a CURIE of a known prefix."""
        prefix, rest = identifier.partition(":")[::2]
        return self.prefixes[prefix] + rest if prefix in self.prefixes else identifier

    def local(self, identifier: str, kind: str) -> str | None:
        """The local part of an identifier with our prefix of this kind, in full or as a CURIE; else None."""
        whole = self.whole(identifier)
        return unquote(whole.removeprefix(PREFIXES[kind])) if whole.startswith(PREFIXES[kind]) else None

    def problem(self, line: int, column: str, text: str) -> None:
        self.problems.append(Problem(line, column, text))

    def note(self, line: int, column: str, text: str) -> None:
        self.notes.append(Problem(line, column, text))


def offsets() -> dict[str, int]:
    """Key of each noun → its number in WordNet. Empty without WordNet."""
    try:
        table = wordnet.nouns()
    except wordnet.WordNetMissing:
        return {}
    return dict(zip(table.keys, table.offsets.tolist(), strict=True))
