"""Change an entry, publish a release, tell what moved between two states of the mapping."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Max

from mapping.models import OTHER, Hashtag, MappingEntry, Release, ReleaseLabel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

FROZEN_FIELDS = ("sense", "synset", "hypernym_sense", "hypernym")  # copied into a release beside the label


class StaleEntry(Exception):
    """Somebody saved this entry since the form was shown; nothing was overwritten."""

    def __init__(self, current: MappingEntry) -> None:
        super().__init__("This entry was changed meanwhile.")
        self.current = current


class NothingToPublish(Exception):
    """No label differs from the newest release."""


class ChangesMoved(Exception):
    """The mapping changed since the list of changes was shown; nothing was published."""


@dataclass(frozen=True)
class Decision:
    """What a curator decides about one class. hashtag: a name, or "other"."""

    hashtag: str
    sense: str = ""
    synset: str = ""
    hypernym_sense: str = ""
    hypernym: str = ""
    note: str = ""


@transaction.atomic
def change_entry(*, entry_id: int, version: int, by: AbstractBaseUser, decision: Decision) -> MappingEntry:
    """Save a decision, if the entry is still the one of that version.

    The same decision again is a repeated click and changes nothing. Raises StaleEntry with the current
    entry, and Hashtag.DoesNotExist for an unknown hashtag.
    """
    entry = MappingEntry.objects.select_for_update(of=("self",)).get(pk=entry_id)
    hashtag = None if decision.hashtag == OTHER else Hashtag.objects.get(name=decision.hashtag)
    wanted = {name: getattr(decision, name) for name in (*FROZEN_FIELDS, "note")}
    wanted |= {"hashtag_id": hashtag.pk if hashtag else None, "status": MappingEntry.Status.CONFIRMED}
    if all(getattr(entry, name) == value for name, value in wanted.items()):
        return entry
    if entry.version != version:
        raise StaleEntry(entry)
    for name, value in wanted.items():
        setattr(entry, name, value)
    entry.version += 1
    entry.changed_by_id = by.pk
    entry.save()
    return MappingEntry.objects.select_related("hashtag", "scene_class", "changed_by").get(pk=entry.pk)


@dataclass(frozen=True)
class Move:
    """One class whose label differs between two states; None: not there."""

    scene_key: str
    before: str | None
    after: str | None


def moves(before: dict[str, str], after: dict[str, str]) -> list[Move]:
    """The classes whose label differs, by class. Pure: scene key → label."""
    differing = (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return [Move(key, before.get(key), after.get(key)) for key in sorted(differing)]


def current_labels() -> dict[str, str]:
    """Scene key → label of every decided entry."""
    entries = MappingEntry.objects.exclude(status=MappingEntry.Status.UNDECIDED)
    rows = entries.values_list("scene_class__key", "hashtag__name")
    return {key: name or OTHER for key, name in rows}


def release_labels(release: Release | None) -> dict[str, str]:
    return dict(release.labels.values_list("scene_key", "label")) if release else {}


def unpublished_moves() -> list[Move]:
    """What a release published now would change against the newest one."""
    return moves(release_labels(Release.objects.first()), current_labels())


def fingerprint(changes: list[Move]) -> str:
    """Names a list of changes, so that a form can say which list its reader saw."""
    return hashlib.sha256(repr(changes).encode()).hexdigest()[:16]


@transaction.atomic
def publish_release(*, by: AbstractBaseUser | None, note: str, seen: str | None = None) -> Release:
    """Freeze the mapping under the next number. Undecided classes have no label, so they are left out.

    seen is the fingerprint of the changes that the publisher was shown. Raises ValueError without a note,
    NothingToPublish when no label changed since the newest release, ChangesMoved when others did meanwhile.
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
    entries = MappingEntry.objects.exclude(status=MappingEntry.Status.UNDECIDED)
    ReleaseLabel.objects.bulk_create(
        ReleaseLabel(
            release=release,
            scene_key=entry.scene_class.key,
            label=entry.label or OTHER,
            **{name: getattr(entry, name) for name in FROZEN_FIELDS},
        )
        for entry in entries.select_related("scene_class", "hashtag")
    )
    return release


def _one_publisher_at_a_time() -> None:
    """Two clicks at once would otherwise count the same number. SQLite's transactions already wait."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE mapping_release IN SHARE ROW EXCLUSIVE MODE")
