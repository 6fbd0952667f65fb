"""Releases: the differences between two states of the mapping, and publishing the next release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from mapping.models import OTHER, MappingEntry, Release, ReleaseLabel
from people.deeds import record

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class FrozenClass(NamedTuple):
    """The part of an entry that a release keeps: its label, and the senses behind the decision."""

    label: str
    sense: str
    synset: str
    hypernym_sense: str
    hypernym: str


SENSES = FrozenClass._fields[1:]
State = dict[str, FrozenClass]  # by scene key


class NothingToPublish(Exception):
    """The mapping equals the newest release."""


class ChangesMoved(Exception):
    """The mapping changed after the list of changes was shown. Nothing was published."""


@dataclass(frozen=True)
class Move:
    """A class that differs between two states. None: it has no label there. detail: differences of senses."""

    scene_key: str
    before: str | None
    after: str | None
    detail: str = ""

    @property
    def relabelled(self) -> bool:
        return self.before != self.after

    @property
    def kind(self) -> str:
        """One of KINDS."""
        if self.before == self.after:
            return "reworded"
        if self.before is None:
            return "added"
        return "left out" if self.after is None else "moved"


KINDS = (gettext_noop("moved"), gettext_noop("added"), gettext_noop("left out"), gettext_noop("reworded"))


def compare(before: State, after: State) -> list[Move]:
    """The classes that differ in label, sense or hypernym, in the order of keys. Pure."""
    differences = []
    for key in sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)):
        old, new = before.get(key), after.get(key)
        detail = _detail(old, new) if old and new else ""
        differences.append(Move(key, old.label if old else None, new.label if new else None, detail))
    return differences


def _detail(old: FrozenClass, new: FrozenClass) -> str:
    """The differences of sense and hypernym in words: by key if the keys differ, else by word."""
    details = []
    for key, word in (("sense", "synset"), ("hypernym_sense", "hypernym")):
        field = key if getattr(old, key) != getattr(new, key) else word
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            details.append(f"{word} {was or 'none'} → {now or 'none'}")
    return ", ".join(details)


def current_state() -> State:
    """The state that a release published now would freeze. Undecided classes are left out."""
    entries = MappingEntry.objects.order_by().exclude(status=MappingEntry.Status.UNDECIDED)
    rows = entries.values_list("scene_class__key", "hashtag__name", *SENSES)
    return {key: FrozenClass(label or OTHER, *senses) for key, label, *senses in rows}


def release_state(release: Release | None) -> State:
    """The state that this release froze; empty for None."""
    if release is None:
        return {}
    rows = release.labels.order_by().values_list("scene_key", *FrozenClass._fields)
    return {key: FrozenClass(*frozen) for key, *frozen in rows}


def unpublished_moves() -> list[Move]:
    """The differences between the newest release and one published now."""
    return compare(release_state(Release.objects.first()), current_state())


def fingerprint(changes: Iterable[Move]) -> str:
    """Identifies a list of changes, so that a form can say which list the user has seen."""
    return hashlib.sha256(repr(list(changes)).encode()).hexdigest()[:16]


@transaction.atomic
def publish_release(*, by: AbstractBaseUser | None, note: str, seen: str | None = None) -> Release:
    """Freeze the mapping as the next release. Undecided classes have no label and are left out.

    seen: the fingerprint of the changes that the publisher has seen. Raises ValueError without a note,
    NothingToPublish without a change since the newest release, ChangesMoved if the changes differ from seen.
    """
    note = note.strip()
    if not note:
        raise ValueError("A release needs a note: what changed, and why.")
    _one_publisher_at_a_time()
    newest = Release.objects.first()
    state = current_state()  # read once: whatever a curator saves from now on goes into the next release
    changes = compare(release_state(newest), state)
    if not changes:
        raise NothingToPublish
    if seen is not None and seen != fingerprint(changes):
        raise ChangesMoved
    release = Release.objects.create(
        number=newest.number + 1 if newest else 1, note=note, published_by_id=by.pk if by else None
    )
    ReleaseLabel.objects.bulk_create(
        (
            ReleaseLabel(release=release, scene_key=key, **frozen._asdict())
            for key, frozen in sorted(state.items())
        ),
        batch_size=1000,
    )
    record(by=by, what="publish release", about=f"release {release.number}: {note}")
    return release


def _one_publisher_at_a_time() -> None:
    """Two publishers at once would otherwise take the same number. On SQLite, transactions already wait."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE mapping_release IN SHARE ROW EXCLUSIVE MODE")
