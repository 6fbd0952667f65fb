"""Settling: where opinions differ, a curator says in the mapping what holds; where they agree, all at once.

A class is settled while the decision that stands in the mapping was taken here, after the answers it is shown
with. So an undo, a later decision elsewhere, a changed or a new answer each open it again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from simple_history.utils import bulk_update_with_history

from mapping.acts import DECIDED, Decision, StaleEntries, change_many
from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion
from mapping.opinions.opinions import UNDECIDED, Side, answers_of, compared

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

CONFIRMED = MappingEntry.Status.CONFIRMED
ANSWERED = Q(**{"answer_0__isnull": False})
AT_ONCE = 2000  # classes in one act of taking over: about 5 s, so that it never outlasts a request
SENSES = ("sense", "synset", "hypernym_sense", "hypernym")


class AnswersMoved(Exception):
    """What would be taken over is not any more what the curator was shown; nothing was changed."""


def sides(opinions: Sequence[Opinion]) -> list[Side]:
    """What is compared: the opinions with each other, or a single one with the mapping."""
    return list(opinions) if len(opinions) > 1 else [*opinions, None]


def open_rows(opinions: Sequence[Opinion]) -> QuerySet[MappingEntry]:
    """The mapping's entries of the classes where they differ and nobody has settled it, by class."""
    return compared(sides(opinions)).filter(_differ(opinions)).exclude(pk__in=_settled(opinions))


def settled_rows(opinions: Sequence[Opinion]) -> QuerySet[MappingEntry]:
    """Those that are settled. Against the mapping also where it says now what the opinion says."""
    rows = compared(sides(opinions)).filter(pk__in=_settled(opinions))
    return rows.filter(_differ(opinions) if len(opinions) > 1 else ANSWERED)


def saying(rows: QuerySet[MappingEntry], first: str, second: str) -> QuerySet[MappingEntry]:
    """Of rows of this module those where the first side says one label and the second another."""
    ids = dict(Hashtag.objects.filter(name__in=[first, second]).values_list("name", "pk")) | {OTHER: 0}
    if first not in ids or second not in ids:
        return rows.none()
    return rows.filter(**{"answer_0": ids[first], "answer_1": ids[second]})


def _differ(opinions: Sequence[Opinion]) -> Q:
    places = range(len(sides(opinions)))
    found = Q()
    for first, second in combinations(places, 2):
        other = F(f"answer_{second}")
        # Not “not equal”: that would be true of a class which one of them has not answered.
        found |= Q(**{f"answer_{first}__gt": other}) | Q(**{f"answer_{first}__lt": other})
    return found


def _settled(opinions: Sequence[Opinion]) -> QuerySet[MappingEntry, int]:
    later = MappingEntry.everywhere.filter(
        opinion__in=opinions, scene_class=OuterRef("scene_class"), changed_at__gt=OuterRef("change__at")
    ).exclude(status=UNDECIDED)
    rows = MappingEntry.objects.filter(status=CONFIRMED, change__action=Change.Action.SETTLE)
    return rows.filter(~Exists(later)).order_by().values_list("pk", flat=True)


@transaction.atomic
def settle(
    *,
    entry_id: int,
    version: int,
    by: AbstractBaseUser,
    hashtag: str,
    opinions: Sequence[Opinion],
    note: str | None = None,
) -> MappingEntry:
    """Say in the mapping what holds for a class, and return its entry. A repeated click changes nothing.

    Sense and hypernym come from the first opinion that says so and has a sense; else what stands stays.
    Raises StaleEntries, Hashtag.DoesNotExist, MappingEntry.DoesNotExist, and then keeps nothing.
    """
    entry = MappingEntry.objects.select_for_update(of=("self",)).get(pk=entry_id)
    answers = answers_of(opinions, [entry.scene_class_id])
    said = [answers[key] for opinion in opinions if (key := (opinion.pk, entry.scene_class_id)) in answers]
    decision = _decision(hashtag, said, note)
    change = change_many(
        by=by,
        action=Change.Action.SETTLE,
        decisions={entry_id: decision},
        versions={entry_id: version},
    )
    if change is None and not _settled(opinions).filter(pk=entry_id).exists():
        _keep(entry, version=version, by=by)
    return MappingEntry.objects.select_related("hashtag", "scene_class", "changed_by").get(pk=entry_id)


def _decision(hashtag: str, answers: Sequence[MappingEntry], note: str | None = None) -> Decision:
    told = next((answer for answer in answers if answer.label == hashtag and answer.sense), None)
    senses = {name: getattr(told, name) for name in SENSES} if told else {}
    return Decision(hashtag, note=note or None, **senses)


def _keep(entry: MappingEntry, *, version: int, by: AbstractBaseUser) -> None:
    """Settle that what a curator confirmed before stands: no word changes, but whose act it stands by."""
    if entry.version != version:
        raise StaleEntries([entry])
    before = {name: getattr(entry, name) for name in (*DECIDED, "change_id")}
    change = Change.objects.create(action=Change.Action.SETTLE, by_id=by.pk, before={entry.pk: before})
    entry.version += 1
    entry.change, entry.changed_by, entry.changed_at = change, by, change.at  # type: ignore[assignment]
    bulk_update_with_history(
        [entry],
        MappingEntry,
        ["version", "change", "changed_by", "changed_at"],
        default_user=by,
        default_change_reason=change.get_action_display(),
        manager=MappingEntry.everywhere,
    )


@dataclass(frozen=True)
class Taken:
    """One class that all say the same about. before: what the mapping says, None where nothing."""

    entry_id: int
    version: int
    scene_class: int
    key: str
    before: str | None
    after: str

    @property
    def moves(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class TakeOver:
    """What taking over would confirm. left_alone: confirmed by a curator with another label."""

    rows: list[Taken]
    left_alone: int

    @property
    def now(self) -> list[Taken]:
        """What one act confirms; the rest is the next act's."""
        return self.rows[:AT_ONCE]

    @property
    def moved(self) -> list[Taken]:
        return [row for row in self.rows if row.moves]

    @property
    def labels(self) -> list[tuple[str, int]]:
        """Label and classes, most first."""
        return Counter(row.after for row in self.rows).most_common()

    @property
    def seen(self) -> str:
        """Names this list, so that a form can say which its reader saw."""
        shown = [(row.entry_id, row.version, row.after) for row in self.now]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def agreed(opinions: Sequence[Opinion]) -> TakeOver:
    """Where two or more opinions all answered and say the same, and no curator has confirmed anything yet."""
    if len(opinions) < 2:
        raise ValueError("It takes two opinions to agree.")
    same = compared(opinions).filter(ANSWERED)
    for place in range(1, len(opinions)):
        same = same.filter(**{f"answer_{place}": F("answer_0")})
    names: dict[int, str] = dict(Hashtag.objects.values_list("pk", "name")) | {0: OTHER}
    columns = ("pk", "version", "scene_class", "scene_class__key", "status", "hashtag_id", "answer_0")
    rows: list[Taken] = []
    left_alone = 0
    for pk, version, scene_class, key, status, standing, answer in same.values_list(*columns):
        if status == CONFIRMED:
            left_alone += (standing or 0) != answer
            continue
        before = None if status == UNDECIDED else names[standing or 0]
        rows.append(Taken(pk, version, scene_class, key, before, names[answer]))
    return TakeOver(rows, left_alone)


@transaction.atomic
def take_over(*, opinions: Sequence[Opinion], by: AbstractBaseUser, seen: str) -> Change | None:
    """Confirm in the mapping what all of them say, as one act; None when there is nothing to take over.

    seen: what TakeOver.seen was when the curator looked. Raises AnswersMoved, StaleEntries.
    """
    found = agreed(opinions)
    if not found.rows:
        return None
    if found.seen != seen:
        raise AnswersMoved
    answers = answers_of(opinions, [row.scene_class for row in found.now])
    decisions = {
        row.entry_id: _decision(row.after, [answers[opinion.pk, row.scene_class] for opinion in opinions])
        for row in found.now
    }
    versions = {row.entry_id: row.version for row in found.now}
    return change_many(by=by, action=Change.Action.GROUP, decisions=decisions, versions=versions)
