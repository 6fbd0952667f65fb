"""Releases: what moved between two states of the mapping, and publishing the next."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Max

from mapping.models import OTHER, MappingEntry, Release, ReleaseLabel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

FROZEN_FIELDS = ("sense", "synset", "hypernym_sense", "hypernym")  # copied into a release beside the label


class NothingToPublish(Exception):
    """Nothing differs from the newest release."""


class ChangesMoved(Exception):
    """The mapping changed since the list of changes was shown; nothing was published."""


Frozen = dict[str, str]  # what a release keeps of a class: its label and FROZEN_FIELDS


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


def moves(before: dict[str, str], after: dict[str, str]) -> list[Move]:
    """The classes whose label differs, by class. Pure: scene key → label."""
    differing = (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return [Move(key, before.get(key), after.get(key)) for key in sorted(differing)]


def compare(before: dict[str, Frozen], after: dict[str, Frozen]) -> list[Move]:
    """The classes that differ in label, sense or hypernym, by class. Pure: scene key → what is frozen."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        was, now = old["label"] if old else None, new["label"] if new else None
        found.append(Move(key, was, now, _detail(old, new) if old and new else ""))
    return found


def _detail(old: Frozen, new: Frozen) -> str:
    """Sense and hypernym by their key where the keys differ, else by their words."""
    found = []
    for key, word in (("sense", "synset"), ("hypernym_sense", "hypernym")):
        field = key if old[key] != new[key] else word
        if old[field] != new[field]:
            found.append(f"{word} {old[field] or 'none'} → {new[field] or 'none'}")
    return ", ".join(found)


def current_state() -> dict[str, Frozen]:
    """Scene key → what a release published now would freeze; undecided classes are left out."""
    entries = MappingEntry.objects.exclude(status=MappingEntry.Status.UNDECIDED)
    rows = entries.values("scene_class__key", "hashtag__name", *FROZEN_FIELDS)
    return {
        row["scene_class__key"]: {"label": row["hashtag__name"] or OTHER}
        | {name: row[name] for name in FROZEN_FIELDS}
        for row in rows
    }


def release_state(release: Release | None) -> dict[str, Frozen]:
    if release is None:
        return {}
    rows = release.labels.values("scene_key", "label", *FROZEN_FIELDS)
    return {row["scene_key"]: {name: row[name] for name in ("label", *FROZEN_FIELDS)} for row in rows}


def release_labels(release: Release | None) -> dict[str, str]:
    return dict(release.labels.values_list("scene_key", "label")) if release else {}


def unpublished_moves() -> list[Move]:
    """What a release published now would change against the newest one."""
    return compare(release_state(Release.objects.first()), current_state())


def fingerprint(changes: list[Move]) -> str:
    """Names a list of changes, so that a form can say which list its reader saw."""
    return hashlib.sha256(repr(changes).encode()).hexdigest()[:16]


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
    changes = unpublished_moves()
    if not changes:
        raise NothingToPublish
    if seen is not None and seen != fingerprint(changes):
        raise ChangesMoved
    number = (Release.objects.aggregate(top=Max("number"))["top"] or 0) + 1
    release = Release.objects.create(number=number, note=note, published_by_id=by.pk if by else None)
    ReleaseLabel.objects.bulk_create(
        ReleaseLabel(release=release, scene_key=key, **frozen) for key, frozen in current_state().items()
    )
    return release


def _one_publisher_at_a_time() -> None:
    """Two clicks at once would otherwise count the same number. SQLite's transactions already wait."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE mapping_release IN SHARE ROW EXCLUSIVE MODE")
