"""Settling: a curator decides in the mapping where opinions differ, and confirms it where they agree.

A class is settled if its present decision in the mapping was made here, after the newest answer about it. So
an undo, a later decision elsewhere, and a changed or new answer each reopen it.
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
from mapping.hashtags import blocked_names
from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion
from mapping.opinions.opinions import UNDECIDED, Side, answers_of, compare_sides

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

CONFIRMED = MappingEntry.Status.CONFIRMED
ANSWERED = Q(**{"answer_0__isnull": False})
AT_ONCE = 2000  # classes taken over in one act: about 5 s, well within one request
SENSES = ("sense", "synset", "hypernym_sense", "hypernym")


class AnswersMoved(Exception):
    """The answers changed after the curator saw the preview. Nothing was changed."""


def sides(opinions: Sequence[Opinion]) -> list[Side]:
    """The sides to compare: the opinions with each other, or a single one with the mapping."""
    return list(opinions) if len(opinions) > 1 else [*opinions, None]


def open_rows(opinions: Sequence[Opinion]) -> QuerySet[MappingEntry]:
    """Entries of the mapping whose class the sides answer differently and that are not settled, by class."""
    return compare_sides(sides(opinions)).filter(_differ(opinions)).exclude(pk__in=_settled(opinions))


def settled_rows(opinions: Sequence[Opinion]) -> QuerySet[MappingEntry]:
    """Settled entries. With one opinion, also those where the mapping has the same label by now."""
    rows = compare_sides(sides(opinions)).filter(pk__in=_settled(opinions))
    return rows.filter(_differ(opinions) if len(opinions) > 1 else ANSWERED)


def filter_by_labels(rows: QuerySet[MappingEntry], first: str, second: str) -> QuerySet[MappingEntry]:
    """Those of these rows where the first side gives one label and the second side the other."""
    ids = dict(Hashtag.objects.filter(name__in=[first, second]).values_list("name", "pk")) | {OTHER: 0}
    if first not in ids or second not in ids:
        return rows.none()
    return rows.filter(**{"answer_0": ids[first], "answer_1": ids[second]})


def _differ(opinions: Sequence[Opinion]) -> Q:
    places = range(len(sides(opinions)))
    condition = Q()
    for first, second in combinations(places, 2):
        other = F(f"answer_{second}")
        # Not “not equal”, which would also match classes that one side has not answered.
        condition |= Q(**{f"answer_{first}__gt": other}) | Q(**{f"answer_{first}__lt": other})
    return condition


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
    """Decide a class in the mapping and return its entry. A repeated click changes nothing.

    Sense and hypernym come from the first opinion with this label and a sense; otherwise they are kept.
    Raises StaleEntries, Hashtag.DoesNotExist or MappingEntry.DoesNotExist; nothing is saved then.
    """
    entry = MappingEntry.objects.select_for_update(of=("self",)).get(pk=entry_id)
    answers = answers_of(opinions, [entry.scene_class_id])
    given_answers = [
        answers[key] for opinion in opinions if (key := (opinion.pk, entry.scene_class_id)) in answers
    ]
    decision = _decision(hashtag, given_answers, note)
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
    answer_with_sense = next((answer for answer in answers if answer.label == hashtag and answer.sense), None)
    senses = {name: getattr(answer_with_sense, name) for name in SENSES} if answer_with_sense else {}
    return Decision(hashtag, note=note or None, **senses)


def _keep(entry: MappingEntry, *, version: int, by: AbstractBaseUser) -> None:
    """Settle a class by keeping its confirmed answer. Only the act behind the answer changes."""
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
class AgreedClass:
    """A class with the same label in all opinions. before: its label in the mapping, None if undecided."""

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
    """The classes to take over. left_alone: how many a curator confirmed with another label."""

    rows: list[AgreedClass]
    left_alone: int

    @property
    def now(self) -> list[AgreedClass]:
        """The classes that one act confirms; the next act confirms the rest."""
        return self.rows[:AT_ONCE]

    @property
    def moved(self) -> list[AgreedClass]:
        return [row for row in self.rows if row.moves]

    @property
    def labels(self) -> list[tuple[str, int]]:
        """Each label and its number of classes, most classes first."""
        return Counter(row.after for row in self.rows).most_common()

    @property
    def seen(self) -> str:
        """Identifies this list, so that a form can say which list the user has seen."""
        versions = [(row.entry_id, row.version, row.after) for row in self.now]
        return hashlib.sha256(repr(versions).encode()).hexdigest()[:16]


def plan_take_over(opinions: Sequence[Opinion]) -> TakeOver:
    """The unconfirmed classes that two or more opinions all answered with the same label.

    Without those that would get a blocked hashtag.
    """
    if len(opinions) < 2:
        raise ValueError("At least two opinions are needed to agree.")
    same = compare_sides(opinions).filter(ANSWERED)
    for place in range(1, len(opinions)):
        same = same.filter(**{f"answer_{place}": F("answer_0")})
    names: dict[int, str] = dict(Hashtag.objects.values_list("pk", "name")) | {0: OTHER}
    blocked = blocked_names()
    columns = ("pk", "version", "scene_class", "scene_class__key", "status", "hashtag_id", "answer_0")
    rows: list[AgreedClass] = []
    left_alone = 0
    for pk, version, scene_class, key, status, standing, answer in same.values_list(*columns):
        if status == CONFIRMED:
            left_alone += (standing or 0) != answer
            continue
        before = None if status == UNDECIDED else names[standing or 0]
        if names[answer] not in blocked or before == names[answer]:
            rows.append(AgreedClass(pk, version, scene_class, key, before, names[answer]))
    return TakeOver(rows, left_alone)


@transaction.atomic
def take_over(*, opinions: Sequence[Opinion], by: AbstractBaseUser, seen: str) -> Change | None:
    """Confirm in the mapping the labels that all opinions share, as one act. None if there are none.

    seen: TakeOver.seen of the preview. Raises AnswersMoved or StaleEntries.
    """
    plan = plan_take_over(opinions)
    if not plan.rows:
        return None
    if plan.seen != seen:
        raise AnswersMoved
    answers = answers_of(opinions, [row.scene_class for row in plan.now])
    decisions = {
        row.entry_id: _decision(row.after, [answers[opinion.pk, row.scene_class] for opinion in opinions])
        for row in plan.now
    }
    versions = {row.entry_id: row.version for row in plan.now}
    return change_many(by=by, action=Change.Action.GROUP, decisions=decisions, versions=versions)
