"""Opinions: separate mappings, made without seeing the mapping, and the comparison of several of them.

An opinion is finished when every class has an answer. Until then its owner sees neither the answers of others
nor the agreement with them. Opinions without an owner came from files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Case, Count, Exists, FilteredRelation, IntegerField, OuterRef, Q, QuerySet, When
from django.db.models.functions import Coalesce
from django.http import Http404
from django.utils.translation import gettext as _

from formats.numbers import read_number
from mapping.models import OTHER, Hashtag, MappingEntry, Opinion, SceneClass
from mapping.opinions.agreement import Pattern

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

UNDECIDED = MappingEntry.Status.UNDECIDED
BATCH = 1000
Side = Opinion | None  # None: the mapping itself


class NameTaken(Exception):
    """Another opinion already has this name."""


@dataclass(frozen=True)
class Standing:
    """The progress of an opinion: its answered classes, its entries, and the number of all classes."""

    opinion: Opinion
    answers: int
    entries: int
    classes: int

    @property
    def left(self) -> int:
        return max(0, self.classes - self.answers)

    @property
    def is_finished(self) -> bool:
        return self.answers >= self.classes

    @property
    def in_work(self) -> bool:
        """Whether a person is still working on it. An opinion from a file is complete as it is."""
        return self.opinion.owner_id is not None and not self.is_finished

    def is_blind(self, user: User) -> bool:
        """Whether this user must not see the answers of others beside this opinion."""
        return self.in_work and self.opinion.owner_id == user.pk


def opinion_of(user: User, opinion_id: int | str) -> Opinion:
    """The opinion, if it belongs to this user. opinion_id may be unchecked text from an address.

    Raises Http404 for an unknown opinion, PermissionDenied for another user's.
    """
    number = read_number(str(opinion_id))
    opinion = None if number is None else Opinion.objects.filter(pk=number).first()
    if opinion is None:
        raise Http404(_("There is no such opinion."))
    if opinion.owner_id is None or opinion.owner_id != user.pk:
        raise PermissionDenied(_("Only its owner can work on an opinion."))
    return opinion


def standings(opinions: QuerySet[Opinion] | None = None) -> list[Standing]:
    """The progress of all opinions, or of these, oldest first."""
    opinion_list = list((Opinion.objects.all() if opinions is None else opinions).select_related("owner"))
    entries = MappingEntry.everywhere.filter(opinion__in=opinion_list).order_by()
    answered_count = Count("pk", filter=~Q(status=UNDECIDED))
    counts = entries.values("opinion").annotate(rows=Count("pk"), answered=answered_count)
    counts_by_opinion = {row["opinion"]: (row["answered"], row["rows"]) for row in counts}
    classes = SceneClass.objects.count()
    return [
        Standing(opinion, *counts_by_opinion.get(opinion.pk, (0, 0)), classes) for opinion in opinion_list
    ]


@transaction.atomic
def start_opinion(*, name: str, by: AbstractBaseUser, note: str = "") -> Opinion:
    """Create an empty opinion of this user. A repeated call returns the existing one.

    Raises ValueError without a name, NameTaken if another user's opinion has this name.
    """
    name = name.strip()
    if not name:
        raise ValueError(_("An opinion needs a name."))
    values = {"owner_id": by.pk, "note": note.strip()}
    opinion = Opinion.objects.get_or_create(name=name, defaults=values)[0]
    if opinion.owner_id != by.pk:
        raise NameTaken(_("“%(name)s” belongs to somebody else. Choose another name.") % {"name": name})
    fill_opinion(opinion)
    return opinion


def fill_opinion(opinion: Opinion) -> int:
    """Give the opinion an undecided entry for every class that has none. Returns how many it added."""
    present = MappingEntry.everywhere.filter(opinion=opinion, scene_class=OuterRef("pk"))
    missing_classes = SceneClass.objects.filter(~Exists(present)).order_by("pk").values_list("pk", flat=True)
    rows = [MappingEntry(opinion=opinion, scene_class_id=pk) for pk in missing_classes]
    MappingEntry.everywhere.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
    return len(rows)


def fill_opinions() -> int:
    """Fill the opinions of all users, after classes were added. Returns how many entries it added."""
    return sum(fill_opinion(opinion) for opinion in Opinion.objects.exclude(owner=None))


@transaction.atomic
def delete_opinion(*, opinion_id: int, by: AbstractBaseUser) -> None:
    """Delete this user's opinion with its answers. A repeated call does nothing. Raises PermissionDenied."""
    opinion = Opinion.objects.select_for_update(of=("self",)).filter(pk=opinion_id).first()
    if opinion is None:
        return
    if opinion.owner_id is None or opinion.owner_id != by.pk:
        raise PermissionDenied(_("Only its owner can delete an opinion."))
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    # Deleting row by row, with a line in the history for each, would take minutes for 22,000 classes.
    entries._raw_delete(entries.db)
    opinion.delete()


def compare_sides(sides: Sequence[Side]) -> QuerySet[MappingEntry]:
    """The mapping's entries by class, annotated with the answers of the sides: answer_0, answer_1 …

    An answer is a hashtag's id, or 0 for other. It is null if the side is undecided, so that no comparison
    with it is true.
    """
    rows = MappingEntry.objects.select_related("scene_class", "hashtag").order_by("scene_class__key")
    for place, side in enumerate(sides):
        path = ""
        if side is not None:  # joined once; a subquery would run again in every comparison
            theirs = FilteredRelation(
                "scene_class__entries", condition=Q(scene_class__entries__opinion=side.pk)
            )
            rows = rows.annotate(**{f"side_{place}": theirs})
            path = f"side_{place}__"
        is_decided = Q(**{f"{path}status__in": [MappingEntry.Status.IMPORTED, MappingEntry.Status.CONFIRMED]})
        label = Coalesce(f"{path}hashtag_id", 0, output_field=IntegerField())
        rows = rows.annotate(
            **{f"answer_{place}": Case(When(is_decided, then=label), output_field=IntegerField())}
        )
    return rows


def patterns(sides: Sequence[Side]) -> Counter[Pattern]:
    """Count the classes by the labels that the sides give them."""
    names: dict[Any, str | None] = dict(Hashtag.objects.order_by().values_list("pk", "name"))
    names |= {0: OTHER, None: None}
    places = [f"answer_{place}" for place in range(len(sides))]
    rows = Counter(compare_sides(sides).order_by().values_list(*places).iterator())
    return Counter({tuple(names[answer] for answer in row): classes for row, classes in rows.items()})


def answers_of(
    opinions: Sequence[Opinion], scene_classes: Iterable[int] | None = None
) -> dict[tuple[int, int], MappingEntry]:
    """Answers to these classes (by default all), by (opinion id, class id). One query."""
    rows = MappingEntry.everywhere.filter(opinion__in=opinions).exclude(status=UNDECIDED)
    if scene_classes is not None:
        rows = rows.filter(scene_class__in=list(scene_classes))
    rows = rows.select_related("hashtag", "changed_by")
    return {(row.opinion_id or 0, row.scene_class_id): row for row in rows}


def label_counts(opinion: Opinion) -> list[tuple[str, int]]:
    """Each label and its number of classes, most classes first."""
    answers = MappingEntry.everywhere.filter(opinion=opinion).exclude(status=UNDECIDED).order_by()
    counts = answers.values_list("hashtag__name").annotate(n=Count("pk")).order_by("-n", "hashtag__name")
    return [(name or OTHER, n) for name, n in counts]
