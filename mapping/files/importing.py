"""Take a class list or a mapping from a file: first a plan that writes nothing, then all of it or none.

Rules, so that a file never costs a curator's work:
- an empty hashtag takes no answer away, and a class that is not in the file stays as it is;
- the same answer from a file leaves a confirmed class confirmed; another answer makes it `imported`, unless
  the row itself says confirmed: then whoever imports confirms it;
- a column that is not there changes nothing.
Importing the same file again leaves nothing to do.
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
from simple_history.utils import bulk_create_with_history

from mapping.acts import BATCH, DECIDED, TEXTS, write_entries
from mapping.files.classlists import WNID, ClassList, Problem, Row
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
    """The mapping changed since the preview; nothing was imported."""


class PlanHasProblems(Exception):
    """Some rows cannot be used; nothing was imported."""


@dataclass(frozen=True)
class Item:
    """What a row would do. kind: NEW, CHANGED, SAME, or KEPT: the class has an answer, the row has none.

    described and decided: the fields of the class and of its entry that become others; before and after:
    labels, None while undecided. version: the entry's that was compared, 0 for a new one.
    """

    line: int
    key: str
    kind: str
    described: dict[str, str] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    before: str | None = None
    after: str | None = None
    version: int = 0

    @property
    def details(self) -> list[tuple[str, str, str]]:
        """Field, what it says, what it would say; without the hashtag."""
        both = {name: value for name, value in (self.described | self.decided).items() if name != "hashtag"}
        return [(name.replace("_", " "), self.was.get(name, ""), value) for name, value in both.items()]


@dataclass(frozen=True)
class Plan:
    items: list[Item]
    problems: list[Problem]
    ignored: list[str]

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(item.kind for item in self.items)

    @cached_property
    def writes(self) -> list[Item]:
        return [item for item in self.items if item.kind in (NEW, CHANGED)]

    @cached_property
    def fingerprint(self) -> str:
        """Names what the plan would do to the mapping as it was when it was made."""
        return hashlib.sha256(repr((self.writes, self.problems)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Known:
    """The mapping as the rows are compared with it."""

    classes: dict[str, SceneClass]
    entries: dict[int, MappingEntry]  # by class's id
    hashtags: frozenset[str]
    nouns: Nouns | None


def plan(found: ClassList) -> Plan:
    """What importing these rows would do. Writes nothing; a constant number of queries."""
    return _plan(found, _known())


def _known(*, lock: bool = False) -> Known:
    entries = MappingEntry.objects.select_related("hashtag").order_by("pk")
    if lock:
        entries = entries.select_for_update(of=("self",))
    try:
        nouns = wordnet.nouns()
    except wordnet.WordNetMissing:
        nouns = None
    return Known(
        classes={row.key: row for row in SceneClass.objects.order_by()},
        entries={row.scene_class_id: row for row in entries},
        hashtags=frozenset(Hashtag.objects.order_by().values_list("name", flat=True)) | {OTHER, ""},
        nouns=nouns,
    )


def _plan(found: ClassList, known: Known) -> Plan:
    offsets = _by_offset(known.nouns) if any(WNID.match(row.key) for row in found.rows) else {}
    problems = list(found.problems)
    first: dict[str, int] = {}
    items = []
    for read in found.rows:
        row = _complete(read, known, offsets)
        wrong = list(_problems(row, known))
        if row.key and row.key in first:
            wrong.append(Problem(row.line, "key", f"{row.key} stands in line {first[row.key]} already"))
        first.setdefault(row.key, row.line)
        problems += wrong
        if not wrong:
            items.append(_item(row, known))
    return Plan(items, sorted(problems, key=lambda problem: problem.line), found.ignored)


def _by_offset(nouns: Nouns | None) -> dict[str, int]:
    """ImageNet's ids are WordNet's own numbers: "n01440764" → the noun's number in our table."""
    if nouns is None:
        return {}
    return {f"n{offset:08d}": at for at, offset in enumerate(nouns.offsets.tolist())}


def _complete(row: Row, known: Known, offsets: dict[str, int]) -> Row:
    """Fill in what follows: sense and name from ImageNet's id, the words from new senses.

    Nothing that follows replaces what a class says already.
    """
    values = dict(row.values)
    if "hashtag" in values:
        values["hashtag"] = values["hashtag"].lstrip("#").strip()
    scene = known.classes.get(row.key)
    entry = known.entries.get(scene.pk) if scene else None
    at = offsets.get(row.key)
    if entry is None and at is not None and known.nouns is not None:
        values["sense"] = values.get("sense") or known.nouns.keys[at]
        values["name"] = values.get("name") or known.nouns.lemmas(at)[0]
    for name, word in (("sense", "synset"), ("hypernym_sense", "hypernym")):
        sense = values.get(name)
        if sense and known.nouns is not None and word not in values and sense != getattr(entry, name, ""):
            number = known.nouns.index(sense)
            values |= {word: known.nouns.lemmas(number)[0]} if number is not None else {}
    return replace(row, values=values)


def _problems(row: Row, known: Known) -> Iterable[Problem]:
    values = row.values
    if not row.key:
        yield Problem(row.line, "key", "it is empty")
    for name, value in ("key", row.key), *values.items():
        most = LONGEST[name]
        if len(value) > most:
            yield Problem(row.line, name, f"it has {len(value)} characters; {most} fit")
        if any(ord(char) < 32 and (char not in "\n\r\t" or name != "note") for char in value):
            yield Problem(row.line, name, "it holds a control character")
    if ".." in row.key.split("/"):
        yield Problem(row.line, "key", f"“{row.key[:60]}” leads out of its folder")
    hashtag, status = values.get("hashtag", ""), values.get("status", "")
    if hashtag not in known.hashtags:
        yield Problem(row.line, "hashtag", f"“{hashtag[:60]}” is not a known hashtag")
    if status and status not in STATUSES:
        yield Problem(row.line, "status", f"“{status[:60]}” is none of {', '.join(STATUSES)}")
    if (status == Status.UNDECIDED and hashtag) or (
        status in (Status.IMPORTED, Status.CONFIRMED) and not hashtag
    ):
        yield Problem(row.line, "status", f"“{status}” does not go with the hashtag “{hashtag}”")
    for name in ("sense", "hypernym_sense"):
        key = values.get(name)
        if key and known.nouns is not None and known.nouns.index(key) is None:
            yield Problem(row.line, name, f"WordNet has no noun sense “{key[:60]}”")


def _longest(model: type[Model], name: str) -> int:
    return model._meta.get_field(name).max_length or 0  # type: ignore[union-attr]


LONGEST = {
    **{name: _longest(SceneClass, name) for name in ("key", *CLASS)},
    **{name: _longest(MappingEntry, name) for name in (*TEXTS, "status")},
    "hashtag": _longest(Hashtag, "name"),
}


def _item(row: Row, known: Known) -> Item:
    scene = known.classes.get(row.key)
    entry = known.entries.get(scene.pk) if scene else None
    told = {name: row.values[name] for name in CLASS if row.values.get(name)}
    if scene is None:
        told.setdefault("name", clean(row.key))
    described = {name: value for name, value in told.items() if not scene or getattr(scene, name) != value}
    if entry is None:
        decided = {name: row.values[name] for name in TEXTS if row.values.get(name)}
        label = row.values.get("hashtag") or None
        decided |= {"hashtag": label, "status": _status(row)} if label else {}
        return Item(row.line, row.key, NEW, described, decided, after=label)
    decided, kept = _decided(row, entry)
    kind = CHANGED if described or decided else KEPT if kept else SAME
    was = {name: getattr(scene if name in CLASS else entry, name) for name in (described | decided)}
    after = decided.get("hashtag", entry.label)
    return Item(row.line, row.key, kind, described, decided, was, entry.label, after, entry.version)


def _status(row: Row) -> str:
    return row.values.get("status") or Status.IMPORTED.value


def _decided(row: Row, entry: MappingEntry) -> tuple[dict[str, Any], bool]:
    """The entry's fields that become others, and whether it keeps an answer that the row would take."""
    label = row.values.get("hashtag") or None
    if not label and entry.label and row.values.keys() & {"hashtag", "status"}:
        return {}, True
    texts = {name: row.values[name] for name in TEXTS if name in row.values}
    changed: dict[str, Any] = {
        name: text for name, text in texts.items() if getattr(entry, name).strip() != text
    }
    if label and label != entry.label:
        changed["hashtag"] = label
    if not label and not entry.label:
        return changed, False
    if not label:  # the file says nothing about hashtags
        return changed, False
    confirmed = row.values.get("status") == Status.CONFIRMED
    status = _status(row) if changed or confirmed else entry.status
    if status != entry.status:
        changed["status"] = status
    return changed, False


@transaction.atomic
def apply(*, found: ClassList, seen: str, by: AbstractBaseUser | None) -> Change | None:
    """Do what the plan with the fingerprint `seen` said, as one act that can be undone; None: nothing to do.

    Undoing leaves new classes there, undecided. The act is not saved when no entry changed. Raises
    PlanHasProblems, PlanMoved, and then keeps nothing.
    """
    known = _known(lock=True)
    made = _plan(found, known)
    if made.problems:
        raise PlanHasProblems
    if not made.writes:
        return None
    if made.fingerprint != seen:
        raise PlanMoved
    return _write(made.writes, known, by)


def _write(items: list[Item], known: Known, by: AbstractBaseUser | None) -> Change:
    _save_classes(items, known)
    hashtags = {row.name: row for row in Hashtag.objects.order_by()}
    change = Change(action=Change.Action.IMPORT, by_id=by.pk if by else None)
    if all(item.kind == CHANGED and not item.decided for item in items):
        return change  # classes were only described: no answer to take back
    change.save()
    now = timezone.now()
    created: list[MappingEntry] = []
    changed: list[MappingEntry] = []
    for item in items:
        scene = known.classes[item.key]
        entry = known.entries.get(scene.pk)
        if entry is not None and not item.decided:
            continue
        (changed if entry else created).append(entry := entry or MappingEntry(scene_class=scene))
        if entry.pk:
            change.before[str(entry.pk)] = {name: getattr(entry, name) for name in (*DECIDED, "change_id")}
        for name, value in item.decided.items():
            setattr(entry, name, hashtags.get(value) if name == "hashtag" else value)
        entry.version += bool(entry.pk)
        entry.changed_by, entry.changed_at, entry.change = by, now, change  # type: ignore[assignment]
    reason = change.get_action_display()
    options = {"batch_size": BATCH, "default_user": by, "default_change_reason": reason, "default_date": now}
    made = bulk_create_with_history(created, MappingEntry, **options)
    blank = dict.fromkeys(TEXTS, "") | {"hashtag_id": None, "status": Status.UNDECIDED.value}
    change.before |= {str(entry.pk): blank | {"change_id": None} for entry in made}
    write_entries(changed, **options)
    change.save()
    if created:
        fill_opinions()
    return change


def _save_classes(items: list[Item], known: Known) -> None:
    """Create and describe the classes, and put the new ones among those known."""
    new = [SceneClass(key=item.key, **item.described) for item in items if item.key not in known.classes]
    changed = [item for item in items if item.described and item.key in known.classes]
    for item in changed:
        for name, value in item.described.items():
            setattr(known.classes[item.key], name, value)
    SceneClass.objects.bulk_update([known.classes[item.key] for item in changed], CLASS, batch_size=BATCH)
    known.classes.update((row.key, row) for row in SceneClass.objects.bulk_create(new, batch_size=BATCH))
