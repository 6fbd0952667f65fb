"""Import a class list or a mapping from a file: first plan without writing, then import all of it or nothing.

Rules that protect the work of curators:
- An empty hashtag removes no answer, and a class that is not in the file stays unchanged.
- A confirmed class stays confirmed if the file has the same answer. Another answer makes it
  `imported`, unless the row has the status confirmed: then the user who imports confirms it.
- A missing column changes nothing.
Importing the same file again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _
from simple_history.utils import bulk_create_with_history

from formats.classes import SceneNames
from formats.names import normalize_hashtag
from formats.table import Problem
from mapping.acts import BATCH, DECIDED, TEXTS, write_entries
from mapping.files.classlists import WNID, ClassList, Row
from mapping.lexicon import wordnet
from mapping.lexicon.names import clean
from mapping.lexicon.nouns import Nouns
from mapping.models import OTHER, Change, Hashtag, MappingEntry, SceneClass
from mapping.opinions.opinions import fill_opinions

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

CLASS = ("name", "name_ru", "level1", "level2")
Status = MappingEntry.Status
STATUSES = tuple(Status.values)
NEW, CHANGED, SAME, KEPT = "new", "changed", "same", "kept"


class PlanMoved(Exception):
    """The mapping changed after the preview. Nothing was imported."""


class PlanHasProblems(Exception):
    """Some rows cannot be used. Nothing was imported."""


@dataclass(frozen=True)
class Item:
    """The planned effect of a row. kind: NEW, CHANGED, SAME, or KEPT (only the class has an answer).

    class_changes, entry_changes: the changed fields of the class and of its entry. before, after: the labels,
    or None while undecided. version: the version of the entry that was compared, 0 for a new entry.
    """

    line: int
    key: str
    kind: str
    class_changes: dict[str, str] = field(default_factory=dict)
    entry_changes: dict[str, Any] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    before: str | None = None
    after: str | None = None
    version: int = 0

    @property
    def details(self) -> list[tuple[str, str, str]]:
        """Each changed field with its old and new value; the hashtag is left out."""
        both = {
            name: value
            for name, value in (self.class_changes | self.entry_changes).items()
            if name != "hashtag"
        }
        return [(name.replace("_", " "), self.was.get(name, ""), value) for name, value in both.items()]


@dataclass(frozen=True)
class Plan:
    items: list[Item]
    problems: list[Problem]
    ignored: list[str]
    notes: list[Problem] = field(default_factory=list)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(item.kind for item in self.items)

    @cached_property
    def writes(self) -> list[Item]:
        return [item for item in self.items if item.kind in (NEW, CHANGED)]

    @cached_property
    def fingerprint(self) -> str:
        """Identifies this plan and the state of the mapping that it was made for."""
        return hashlib.sha256(repr((self.writes, self.problems)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Snapshot:
    """The part of the database that rows are compared with."""

    classes: dict[str, SceneClass]
    entries: dict[int, MappingEntry]  # by class id
    hashtags: frozenset[str]
    nouns: Nouns | None


def plan(class_list: ClassList) -> Plan:
    """Plan the import of these rows. Writes nothing. Constant number of queries."""
    return _plan(class_list, _take_snapshot())


def _take_snapshot(*, lock: bool = False) -> Snapshot:
    entries = MappingEntry.objects.select_related("hashtag").order_by("pk")
    if lock:
        entries = entries.select_for_update(of=("self",))
    try:
        nouns = wordnet.nouns()
    except wordnet.WordNetMissing:
        nouns = None
    return Snapshot(
        classes={row.key: row for row in SceneClass.objects.order_by()},
        entries={row.scene_class_id: row for row in entries},
        hashtags=frozenset(Hashtag.objects.order_by().values_list("name", flat=True)) | {OTHER, ""},
        nouns=nouns,
    )


def _plan(class_list: ClassList, snapshot: Snapshot) -> Plan:
    offsets = _by_offset(snapshot.nouns) if any(WNID.match(row.key) for row in class_list.rows) else {}
    problems, notes = list(class_list.problems), list(class_list.notes)
    file_rows = _without_root(class_list.rows, snapshot)
    if file_rows != class_list.rows:
        root = class_list.rows[0].key.partition("/")[0]
        notes.append(
            Problem(0, "key", _("all classes begin with “%(folder)s/”, which was removed") % {"folder": root})
        )
    file_rows = _in_our_spelling(file_rows, snapshot)
    first: dict[str, int] = {}
    items = []
    for file_row in file_rows:
        row = _complete(file_row, snapshot, offsets)
        row_problems = list(_problems(row, snapshot))
        if row.key and row.key in first:
            row_problems.append(
                Problem(
                    row.line,
                    "key",
                    _("%(name)s is already in line %(line)s") % {"name": row.key, "line": first[row.key]},
                )
            )
        first.setdefault(row.key, row.line)
        problems += row_problems
        if not row_problems:
            items.append(_item(row, snapshot))
    problems.sort(key=lambda problem: problem.line)
    return Plan(items, problems, class_list.ignored, notes)


def _without_root(rows: list[Row], snapshot: Snapshot) -> list[Row]:
    """The rows without the folder that all keys begin with, if our classes are known only without it."""
    parts = [row.key.partition("/") for row in rows]
    shorter = [replace(row, key=rest) for row, (_, _, rest) in zip(rows, parts, strict=True)]
    has_one_root = len({root for root, _, _ in parts}) == 1 and all(row.key for row in shorter)
    if not has_one_root or any(row.key in snapshot.classes for row in rows):
        return rows
    return shorter if any(row.key in snapshot.classes for row in shorter) else rows


def _in_our_spelling(rows: list[Row], snapshot: Snapshot) -> list[Row]:
    """The rows with the keys of classes that we have, for names that differ only by hyphens."""
    classes = SceneNames(snapshot.classes)
    return [replace(row, key=classes.find(row.key) or row.key) for row in rows]


def _by_offset(nouns: Nouns | None) -> dict[str, int]:
    """ImageNet id → number of the noun in our table. The ids contain WordNet's own numbers: "n01440764"."""
    if nouns is None:
        return {}
    return {f"n{offset:08d}": at for at, offset in enumerate(nouns.offsets.tolist())}


def _complete(row: Row, snapshot: Snapshot, offsets: dict[str, int]) -> Row:
    """Fill in derived values: sense and name from an ImageNet id, words from new senses.

    Derived values never replace existing values of a class.
    """
    values = dict(row.values)
    if "hashtag" in values:
        values["hashtag"] = normalize_hashtag(values["hashtag"])
    if "status" in values:
        values["status"] = values["status"].lower()
    scene = snapshot.classes.get(row.key)
    entry = snapshot.entries.get(scene.pk) if scene else None
    at = offsets.get(row.key)
    if entry is None and at is not None and snapshot.nouns is not None:
        values["sense"] = values.get("sense") or snapshot.nouns.keys[at]
        values["name"] = values.get("name") or snapshot.nouns.lemmas(at)[0]
    for name, word in (("sense", "synset"), ("hypernym_sense", "hypernym")):
        sense = values.get(name)
        if sense and snapshot.nouns is not None and word not in values and sense != getattr(entry, name, ""):
            number = snapshot.nouns.index(sense)
            values |= {word: snapshot.nouns.lemmas(number)[0]} if number is not None else {}
    return replace(row, values=values)


def _problems(row: Row, snapshot: Snapshot) -> Iterable[Problem]:
    values = row.values
    if not row.key:
        yield Problem(row.line, "key", _("it is empty"))
    for name, value in ("key", row.key), *values.items():
        longest = LONGEST[name]
        if len(value) > longest:
            yield Problem(
                row.line,
                name,
                _("it has %(n)s characters; at most %(most)s are allowed")
                % {"n": len(value), "most": longest},
            )
        if any(ord(char) < 32 and (char not in "\n\r\t" or name != "note") for char in value):
            yield Problem(row.line, name, _("it contains a control character"))
    if ".." in row.key.split("/"):
        yield Problem(row.line, "key", _("“%(key)s” points outside its folder") % {"key": row.key[:60]})
    hashtag, status = values.get("hashtag", ""), values.get("status", "")
    if hashtag not in snapshot.hashtags:
        yield Problem(row.line, "hashtag", _("“%(name)s” is not a known hashtag") % {"name": hashtag[:60]})
    if status and status not in STATUSES:
        yield Problem(
            row.line,
            "status",
            _("“%(value)s” is not one of %(values)s") % {"value": status[:60], "values": ", ".join(STATUSES)},
        )
    if (status == Status.UNDECIDED and hashtag) or (
        status in (Status.IMPORTED, Status.CONFIRMED) and not hashtag
    ):
        yield Problem(
            row.line,
            "status",
            _("“%(status)s” does not match the hashtag “%(hashtag)s”")
            % {"status": status, "hashtag": hashtag},
        )
    for name in ("sense", "hypernym_sense"):
        key = values.get(name)
        if key and snapshot.nouns is not None and snapshot.nouns.index(key) is None:
            yield Problem(row.line, name, _("WordNet has no noun sense “%(key)s”") % {"key": key[:60]})


def _longest(model: type[Model], name: str) -> int:
    return model._meta.get_field(name).max_length or 0  # type: ignore[union-attr]


LONGEST = {
    **{name: _longest(SceneClass, name) for name in ("key", *CLASS)},
    **{name: _longest(MappingEntry, name) for name in (*TEXTS, "status")},
    "hashtag": _longest(Hashtag, "name"),
}


def _item(row: Row, snapshot: Snapshot) -> Item:
    scene = snapshot.classes.get(row.key)
    entry = snapshot.entries.get(scene.pk) if scene else None
    class_values = {name: row.values[name] for name in CLASS if row.values.get(name)}
    if scene is None:
        class_values.setdefault("name", clean(row.key))
    class_changes = {
        name: value for name, value in class_values.items() if not scene or getattr(scene, name) != value
    }
    if entry is None:
        changes = {name: row.values[name] for name in TEXTS if row.values.get(name)}
        label = row.values.get("hashtag") or None
        changes |= {"hashtag": label, "status": _status(row)} if label else {}
        return Item(row.line, row.key, NEW, class_changes, changes, after=label)
    changes, keeps_answer = _entry_changes(row, entry)
    kind = CHANGED if class_changes or changes else KEPT if keeps_answer else SAME
    was = {name: getattr(scene if name in CLASS else entry, name) for name in (class_changes | changes)}
    after = changes.get("hashtag", entry.label)
    return Item(row.line, row.key, kind, class_changes, changes, was, entry.label, after, entry.version)


def _status(row: Row) -> str:
    return row.values.get("status") or Status.IMPORTED.value


def _entry_changes(row: Row, entry: MappingEntry) -> tuple[dict[str, Any], bool]:
    """The changed fields of the entry, and whether it keeps its answer because the row has none."""
    label = row.values.get("hashtag") or None
    if not label and entry.label and row.values.keys() & {"hashtag", "status"}:
        return {}, True
    texts = {name: row.values[name] for name in TEXTS if name in row.values}
    changes: dict[str, Any] = {
        name: text for name, text in texts.items() if getattr(entry, name).strip() != text
    }
    if label and label != entry.label:
        changes["hashtag"] = label
    if not label and not entry.label:
        return changes, False
    if not label:  # the file says nothing about hashtags
        return changes, False
    is_confirmed = row.values.get("status") == Status.CONFIRMED
    status = _status(row) if changes or is_confirmed else entry.status
    if status != entry.status:
        changes["status"] = status
    return changes, False


@transaction.atomic
def apply(*, class_list: ClassList, seen: str, by: AbstractBaseUser | None) -> Change | None:
    """Carry out the plan whose fingerprint is `seen`, as one act. None if the plan changes nothing.

    Undoing the act leaves new classes in place, undecided. The act is not saved if no entry changed. Raises
    PlanHasProblems or PlanMoved; nothing is saved then.
    """
    snapshot = _take_snapshot(lock=True)
    import_plan = _plan(class_list, snapshot)
    if import_plan.problems:
        raise PlanHasProblems
    if not import_plan.writes:
        return None
    if import_plan.fingerprint != seen:
        raise PlanMoved
    return _write(import_plan.writes, snapshot, by)


def _write(items: list[Item], snapshot: Snapshot, by: AbstractBaseUser | None) -> Change:
    _save_classes(items, snapshot)
    hashtags = {row.name: row for row in Hashtag.objects.order_by()}
    change = Change(action=Change.Action.IMPORT, by_id=by.pk if by else None)
    if all(item.kind == CHANGED and not item.entry_changes for item in items):
        return change  # only names and groups of classes changed: there is no answer to undo
    change.save()
    now = timezone.now()
    new_entries: list[MappingEntry] = []
    changed_entries: list[MappingEntry] = []
    for item in items:
        scene = snapshot.classes[item.key]
        entry = snapshot.entries.get(scene.pk)
        if entry is not None and not item.entry_changes:
            continue
        (changed_entries if entry else new_entries).append(entry := entry or MappingEntry(scene_class=scene))
        if entry.pk:
            change.before[str(entry.pk)] = {name: getattr(entry, name) for name in (*DECIDED, "change_id")}
        for name, value in item.entry_changes.items():
            setattr(entry, name, hashtags.get(value) if name == "hashtag" else value)
        entry.version += bool(entry.pk)
        entry.changed_by, entry.changed_at, entry.change = by, now, change  # type: ignore[assignment]
    reason = change.get_action_display()
    options = {"batch_size": BATCH, "default_user": by, "default_change_reason": reason, "default_date": now}
    saved_entries = bulk_create_with_history(new_entries, MappingEntry, **options)
    blank = dict.fromkeys(TEXTS, "") | {"hashtag_id": None, "status": Status.UNDECIDED.value}
    change.before |= {str(entry.pk): blank | {"change_id": None} for entry in saved_entries}
    write_entries(changed_entries, **options)
    change.save()
    if new_entries:
        fill_opinions()
    return change


def _save_classes(items: list[Item], snapshot: Snapshot) -> None:
    """Create new classes, update names and groups, and add the new classes to the snapshot."""
    new = [
        SceneClass(key=item.key, **item.class_changes) for item in items if item.key not in snapshot.classes
    ]
    described_items = [item for item in items if item.class_changes and item.key in snapshot.classes]
    for item in described_items:
        for name, value in item.class_changes.items():
            setattr(snapshot.classes[item.key], name, value)
    SceneClass.objects.bulk_update(
        [snapshot.classes[item.key] for item in described_items], CLASS, batch_size=BATCH
    )
    snapshot.classes.update((row.key, row) for row in SceneClass.objects.bulk_create(new, batch_size=BATCH))
