"""Decide about one class or many at once, and undo a decision. An act is saved completely or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

TEXTS = ("sense", "synset", "hypernym_sense", "hypernym", "note")
DECIDED = (*TEXTS, "hashtag_id", "status")  # the fields that an act changes and an undo restores
SAVED = [*TEXTS, "hashtag", "status", "version", "changed_by", "changed_at", "change"]
BATCH = 500  # rows per statement: SQLite limits the number of parameters


class StaleEntries(Exception):
    """Somebody else saved these entries after the page was loaded. Nothing was overwritten."""

    def __init__(self, current: list[MappingEntry]) -> None:
        super().__init__(f"{len(current)} of these classes were changed in the meantime. Nothing was saved.")
        self.current = current


class HashtagBlocked(Hashtag.DoesNotExist):
    """The hashtag is blocked: classes that have it keep it, and no other gets it."""

    def __init__(self, row: Hashtag) -> None:
        why = row.blocked_why or _("no reason given")
        super().__init__(_("%(hashtag)s is blocked: %(why)s") % {"hashtag": row, "why": why})


class NotYours(Exception):
    """The act was made by somebody else."""


@dataclass(frozen=True)
class Decision:
    """A curator's decision about one class. hashtag: a name, or "other". None keeps the present value."""

    hashtag: str
    sense: str | None = None
    synset: str | None = None
    hypernym_sense: str | None = None
    hypernym: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class UndoResult:
    """An undone act. kept_entries: entries of the act that a later act changed, so they were not restored."""

    change: Change
    restored_entries: list[MappingEntry]
    kept_entries: list[MappingEntry]


def change_entry(*, entry_id: int, version: int, by: AbstractBaseUser, decision: Decision) -> MappingEntry:
    """Save a decision about one class and return the saved entry. Raises the same errors as change_many."""
    change_many(
        by=by, action=Change.Action.DECIDE, decisions={entry_id: decision}, versions={entry_id: version}
    )
    rows = MappingEntry.everywhere.select_related("hashtag", "scene_class", "changed_by")
    return rows.get(pk=entry_id)


@transaction.atomic
def change_many(
    *,
    by: AbstractBaseUser,
    action: str,
    decisions: Mapping[int, Decision],
    versions: Mapping[int, int],
    status: str = MappingEntry.Status.CONFIRMED,
) -> Change | None:
    """Save decisions, keyed by entry id, as one act, provided that no entry has a newer version.

    An entry that already has the decided values is skipped, as after a repeated click. Returns None if every
    entry is skipped. All entries belong to the mapping, or all to the same opinion. Raises StaleEntries,
    Hashtag.DoesNotExist, its kind HashtagBlocked, or MappingEntry.DoesNotExist; nothing is saved then.
    """
    hashtags = _hashtags({decision.hashtag for decision in decisions.values()})
    updates: list[tuple[MappingEntry, dict[str, Any]]] = []
    stale: list[tuple[MappingEntry, dict[str, Any]]] = []
    entries = _lock_entries(decisions)
    for entry in entries:
        values = _field_values(decisions[entry.pk], hashtags) | {"status": status}
        if all(getattr(entry, name) == value for name, value in values.items()):
            continue
        hashtag = hashtags.get(decisions[entry.pk].hashtag)
        if hashtag and hashtag.blocked and hashtag.pk != entry.hashtag_id:
            raise HashtagBlocked(hashtag)
        (updates if entry.version == versions[entry.pk] else stale).append((entry, values))
    if stale:
        raise StaleEntries([entry for entry, _ in stale])
    if not updates:
        return None
    opinion = _common_opinion(entries)
    change = Change.objects.create(
        action=action,
        by_id=by.pk,
        opinion=opinion,
        before={entry.pk: _current_values(entry) for entry, _ in updates},
    )
    for entry, values in updates:
        for name, value in (values | {"change_id": change.pk}).items():
            setattr(entry, name, value)
    _save([entry for entry, _ in updates], by=by, reason=change.get_action_display())
    return change


@transaction.atomic
def undo_change(*, change_id: int, by: AbstractBaseUser) -> UndoResult:
    """Undo an act of this user, with a new line in the history. A repeated call changes nothing.

    Raises NotYours or Change.DoesNotExist.
    """
    change = Change.objects.select_for_update(of=("self",)).get(pk=change_id)
    if change.by_id != by.pk:
        raise NotYours
    if change.undone_at is not None:
        return UndoResult(change, [], [])
    entries = _lock_entries(map(int, change.before))
    to_restore = [entry for entry in entries if entry.change_id == change.pk]
    changed_later = [entry for entry in entries if entry.change_id != change.pk]
    for entry in to_restore:
        for name, value in change.before[str(entry.pk)].items():
            setattr(entry, name, value)
    _save(to_restore, by=by, reason="undone")
    change.undone_by_id, change.undone_at = by.pk, timezone.now()
    change.save()
    return UndoResult(change, to_restore, changed_later)


def newest_change(*, by: AbstractBaseUser, opinion: Opinion | None = None) -> Change | None:
    """The act that this user's next undo will revert."""
    return (
        Change.objects.filter(by_id=by.pk, opinion=opinion, undone_at=None)
        .defer("before")  # for an import it is large
        .first()
    )


def _hashtags(names: set[str]) -> dict[str, Hashtag]:
    hashtags = {row.name: row for row in Hashtag.objects.filter(name__in=names)}
    for name in names - hashtags.keys() - {OTHER}:
        raise Hashtag.DoesNotExist(_("“%(name)s” is not a known hashtag") % {"name": name})
    return hashtags


def _field_values(decision: Decision, hashtags: dict[str, Hashtag]) -> dict[str, Any]:
    texts = {field.name: getattr(decision, field.name) for field in fields(decision)}
    del texts["hashtag"]
    row = hashtags.get(decision.hashtag)
    return {name: text for name, text in texts.items() if text is not None} | {
        "hashtag_id": row.pk if row else None
    }


def _lock_entries(ids: Iterable[int]) -> list[MappingEntry]:
    entry_ids = sorted(ids)  # always in the same order, so that two acts cannot deadlock
    rows = MappingEntry.everywhere.select_for_update(of=("self",)).order_by("pk")
    entries = [
        entry
        for start in range(0, len(entry_ids), BATCH)
        for entry in rows.filter(pk__in=entry_ids[start : start + BATCH])
    ]
    if len(entries) < len(entry_ids):
        raise MappingEntry.DoesNotExist
    return entries


def _common_opinion(entries: list[MappingEntry]) -> Opinion | None:
    opinions = {entry.opinion_id for entry in entries}
    if len(opinions) > 1:
        raise ValueError("All entries of an act belong to the mapping or to the same opinion.")
    return entries[0].opinion


def _current_values(entry: MappingEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in (*DECIDED, "change_id")}


def _save(entries: list[MappingEntry], *, by: AbstractBaseUser, reason: str) -> None:
    now = timezone.now()
    for entry in entries:
        entry.version += 1
        entry.changed_by = by  # type: ignore[assignment]
    if entries:
        write_entries(
            entries, default_user=by, default_change_reason=reason, default_date=now, batch_size=BATCH
        )


def write_entries(entries: list[MappingEntry], **history: Any) -> None:
    """Save existing entries, each with a line in the history. history: the options of that line.

    An upsert, because bulk_update builds a CASE expression for each row and field and takes 15 times as long.
    """
    MappingEntry.everywhere.bulk_create(
        entries, batch_size=BATCH, update_conflicts=True, unique_fields=["id"], update_fields=SAVED
    )
    MappingEntry.history.bulk_history_create(entries, update=True, **history)
