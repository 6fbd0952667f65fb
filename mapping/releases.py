"""Releases: what moved between two states of the mapping, and publishing the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction

from mapping.models import OTHER, MappingEntry, Release, ReleaseLabel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class Frozen(NamedTuple):
    """What a release keeps of a class: its label, and the senses that it was decided by."""

    label: str
    sense: str
    synset: str
    hypernym_sense: str
    hypernym: str


SENSES = Frozen._fields[1:]
State = dict[str, Frozen]  # by scene key


class NothingToPublish(Exception):
    """Nothing differs from the newest release."""


class ChangesMoved(Exception):
    """The mapping changed since the list of changes was shown; nothing was published."""


@dataclass(frozen=True)
class Move:
    """One class that differs between two states; None: not there. detail: what differs besides the label."""

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


KINDS = ("moved", "added", "left out", "reworded")


def moves(before: dict[str, str], after: dict[str, str]) -> list[Move]:
    """The classes whose label differs, by class. Pure: scene key → label."""
    differing = (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return [Move(key, before.get(key), after.get(key)) for key in sorted(differing)]


def compare(before: State, after: State) -> list[Move]:
    """The classes that differ in label, sense or hypernym, by class. Pure."""
    found = []
    for key in sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)):
        old, new = before.get(key), after.get(key)
        detail = _detail(old, new) if old and new else ""
        found.append(Move(key, old.label if old else None, new.label if new else None, detail))
    return found


def _detail(old: Frozen, new: Frozen) -> str:
    """Sense and hypernym by their key where the keys differ, else by their words."""
    found = []
    for key, word in (("sense", "synset"), ("hypernym_sense", "hypernym")):
        field = key if getattr(old, key) != getattr(new, key) else word
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            found.append(f"{word} {was or 'none'} → {now or 'none'}")
    return ", ".join(found)


def current_state() -> State:
    """What a release published now would freeze; undecided classes are left out."""
    entries = MappingEntry.objects.order_by().exclude(status=MappingEntry.Status.UNDECIDED)
    rows = entries.values_list("scene_class__key", "hashtag__name", *SENSES)
    return {key: Frozen(label or OTHER, *senses) for key, label, *senses in rows}


def release_state(release: Release | None) -> State:
    """What this release froze; of None, nothing."""
    if release is None:
        return {}
    rows = release.labels.order_by().values_list("scene_key", *Frozen._fields)
    return {key: Frozen(*frozen) for key, *frozen in rows}


def release_labels(release: Release | None) -> dict[str, str]:
    return dict(release.labels.values_list("scene_key", "label")) if release else {}


def unpublished_moves() -> list[Move]:
    """What a release published now would change against the newest one."""
    return compare(release_state(Release.objects.first()), current_state())


def fingerprint(changes: Iterable[Move]) -> str:
    """Names a list of changes, so that a form can say which list its reader saw."""
    return hashlib.sha256(repr(list(changes)).encode()).hexdigest()[:16]


@transaction.atomic
def publish_release(*, by: AbstractBaseUser | None, note: str, seen: str | None = None) -> Release:
    """Freeze the mapping under the next number. Undecided classes have no label, so they are left out.

    seen is the fingerprint of the changes that the publisher was shown. Raises ValueError without a note,
    NothingToPublish when nothing changed since the newest release, ChangesMoved when others did meanwhile.
    """
    note = note.strip()
    if not note:
        raise ValueError("A release needs a note: what changed, and why.")
    _one_publisher_at_a_time()
    newest = Release.objects.first()
    state = current_state()  # read once: a curator who saves just now is in the next release
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
    return release


def _one_publisher_at_a_time() -> None:
    """Two clicks at once would otherwise count the same number. SQLite's transactions already wait."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE mapping_release IN SHARE ROW EXCLUSIVE MODE")
