"""Decide about classes, one or many at once, and take a decision back. Each act is whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

TEXTS = ("sense", "synset", "hypernym_sense", "hypernym", "note")
DECIDED = (*TEXTS, "hashtag_id", "status")  # what an act changes, and an undo brings back
SAVED = [*TEXTS, "hashtag", "status", "version", "changed_by", "changed_at", "change"]
BATCH = 500  # rows in one statement: SQLite bounds its parameters


class StaleEntries(Exception):
    """Somebody saved these entries since they were shown; nothing was overwritten."""

    def __init__(self, current: list[MappingEntry]) -> None:
        super().__init__(f"{len(current)} of these classes were changed meanwhile. Nothing was saved.")
        self.current = current


class NotYours(Exception):
    """The act is somebody else's."""


@dataclass(frozen=True)
class Decision:
    """What a curator decides about one class. hashtag: a name, or "other". A None keeps what is there."""

    hashtag: str
    sense: str | None = None
    synset: str | None = None
    hypernym_sense: str | None = None
    hypernym: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Undone:
    """An act taken back. kept: its entries that a later act changed, so they stay as they are."""

    change: Change
    restored: list[MappingEntry]
    kept: list[MappingEntry]


def change_entry(*, entry_id: int, version: int, by: AbstractBaseUser, decision: Decision) -> MappingEntry:
    """Save a decision about one class, and return it as it is now. Raises what change_many raises."""
    change_many(
        by=by, action=Change.Action.DECIDE, decisions={entry_id: decision}, versions={entry_id: version}
    )
    shown = MappingEntry.everywhere.select_related("hashtag", "scene_class", "changed_by")
    return shown.get(pk=entry_id)


@transaction.atomic
def change_many(
    *,
    by: AbstractBaseUser,
    action: str,
    decisions: Mapping[int, Decision],
    versions: Mapping[int, int],
    status: str = MappingEntry.Status.CONFIRMED,
) -> Change | None:
    """Save decisions by entry's id as one act, if all entries are still those of the versions.

    An entry that already says so is a repeated click and stays as it is; None when all do. Entries are all of
    the mapping, or all of one opinion. Raises StaleEntries, Hashtag.DoesNotExist, MappingEntry.DoesNotExist,
    and then keeps nothing.
    """
    hashtags = _hashtags({decision.hashtag for decision in decisions.values()})
    changed: list[tuple[MappingEntry, dict[str, Any]]] = []
    stale: list[tuple[MappingEntry, dict[str, Any]]] = []
    entries = _locked(decisions)
    for entry in entries:
        wanted = _wanted(decisions[entry.pk], hashtags) | {"status": status}
        if all(getattr(entry, name) == value for name, value in wanted.items()):
            continue
        (changed if entry.version == versions[entry.pk] else stale).append((entry, wanted))
    if stale:
        raise StaleEntries([entry for entry, _ in stale])
    if not changed:
        return None
    opinion = _common_opinion(entries)
    change = Change.objects.create(
        action=action,
        by_id=by.pk,
        opinion=opinion,
        before={entry.pk: _now(entry) for entry, _ in changed},
    )
    for entry, wanted in changed:
        for name, value in (wanted | {"change_id": change.pk}).items():
            setattr(entry, name, value)
    _save([entry for entry, _ in changed], by=by, reason=change.get_action_display())
    return change


@transaction.atomic
def undo_change(*, change_id: int, by: AbstractBaseUser) -> Undone:
    """Take back an act of one's own, as a new entry in the history; a repeat does nothing.

    Raises NotYours, Change.DoesNotExist.
    """
    change = Change.objects.select_for_update(of=("self",)).get(pk=change_id)
    if change.by_id != by.pk:
        raise NotYours
    if change.undone_at is not None:
        return Undone(change, [], [])
    entries = _locked(map(int, change.before))
    restored = [entry for entry in entries if entry.change_id == change.pk]
    kept = [entry for entry in entries if entry.change_id != change.pk]
    for entry in restored:
        for name, value in change.before[str(entry.pk)].items():
            setattr(entry, name, value)
    _save(restored, by=by, reason="undone")
    change.undone_by_id, change.undone_at = by.pk, timezone.now()
    change.save()
    return Undone(change, restored, kept)


def newest_change(*, by: AbstractBaseUser, opinion: Opinion | None = None) -> Change | None:
    """The act that this person's next undo takes back."""
    return (
        Change.objects.filter(by_id=by.pk, opinion=opinion, undone_at=None)
        .defer("before")  # of an import it is long
        .first()
    )


def _hashtags(names: set[str]) -> dict[str, Hashtag]:
    found = {row.name: row for row in Hashtag.objects.filter(name__in=names)}
    for name in names - found.keys() - {OTHER}:
        raise Hashtag.DoesNotExist(f"“{name}” is not a known hashtag")
    return found


def _wanted(decision: Decision, hashtags: dict[str, Hashtag]) -> dict[str, Any]:
    texts = {field.name: getattr(decision, field.name) for field in fields(decision)}
    del texts["hashtag"]
    found = hashtags.get(decision.hashtag)
    return {name: text for name, text in texts.items() if text is not None} | {
        "hashtag_id": found.pk if found else None
    }


def _locked(ids: Iterable[int]) -> list[MappingEntry]:
    wanted = sorted(ids)  # always in one order, or two acts could wait for each other
    rows = MappingEntry.everywhere.select_for_update(of=("self",)).order_by("pk")
    found = [
        entry
        for start in range(0, len(wanted), BATCH)
        for entry in rows.filter(pk__in=wanted[start : start + BATCH])
    ]
    if len(found) < len(wanted):
        raise MappingEntry.DoesNotExist
    return found


def _common_opinion(entries: list[MappingEntry]) -> Opinion | None:
    opinions = {entry.opinion_id for entry in entries}
    if len(opinions) > 1:
        raise ValueError("One act is about the mapping, or about one opinion.")
    return entries[0].opinion


def _now(entry: MappingEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in (*DECIDED, "change_id")}


def _save(entries: list[MappingEntry], *, by: AbstractBaseUser, reason: str) -> None:
    now = timezone.now()
    for entry in entries:
        entry.version += 1
        entry.changed_by, entry.changed_at = by, now  # type: ignore[assignment]
    if entries:
        write_entries(
            entries, default_user=by, default_change_reason=reason, default_date=now, batch_size=BATCH
        )


def write_entries(entries: list[MappingEntry], **history: Any) -> None:
    """Save entries that are there, each with its line in the history; history: how that is described.

    By an upsert: bulk_update puts a CASE together for each row and field, and takes 15 times as long.
    """
    MappingEntry.everywhere.bulk_create(
        entries, batch_size=BATCH, update_conflicts=True, unique_fields=["id"], update_fields=SAVED
    )
    MappingEntry.history.bulk_history_create(entries, update=True, **history)
