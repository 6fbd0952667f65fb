"""Opinions: mappings of their own beside the mapping, made blind to it; and what several of them say.

An opinion is finished when every class has an answer. Until then it shows its owner nothing of what others
answered, nor how well they agree. Opinions without an owner came from files.
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

from mapping.models import OTHER, Hashtag, MappingEntry, Opinion, SceneClass
from mapping.opinions.agreement import Pattern

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

UNDECIDED = MappingEntry.Status.UNDECIDED
BATCH = 1000
Side = Opinion | None  # None: the mapping itself


class NameTaken(Exception):
    """Another opinion has this name already."""


@dataclass(frozen=True)
class Standing:
    """An opinion: how many classes it has answered, has entries for, and there are in all."""

    opinion: Opinion
    answered: int
    entries: int
    classes: int

    @property
    def left(self) -> int:
        return max(0, self.classes - self.answered)

    @property
    def finished(self) -> bool:
        return self.answered >= self.classes

    @property
    def in_work(self) -> bool:
        """A file's opinion says what it says; only a person's is finished one day."""
        return self.opinion.owner_id is not None and not self.finished

    def is_blind(self, user: User) -> bool:
        """Whether this person must not see what others answered where this opinion is shown."""
        return self.in_work and self.opinion.owner_id == user.pk


def opinion_of(user: User, opinion_id: int | str) -> Opinion:
    """This person's own opinion, to work on; opinion_id may come from an address as it is.

    Raises Http404 when there is none, PermissionDenied when it is another's.
    """
    opinion = Opinion.objects.filter(pk=opinion_id).first() if str(opinion_id).isdecimal() else None
    if opinion is None:
        raise Http404("There is no such opinion.")
    if opinion.owner_id is None or opinion.owner_id != user.pk:
        raise PermissionDenied("Only its owner works on an opinion.")
    return opinion


def standings(opinions: QuerySet[Opinion] | None = None) -> list[Standing]:
    """All opinions, or these, oldest first."""
    chosen = list((Opinion.objects.all() if opinions is None else opinions).select_related("owner"))
    entries = MappingEntry.everywhere.filter(opinion__in=chosen).order_by()
    answered = Count("pk", filter=~Q(status=UNDECIDED))
    counts = entries.values("opinion").annotate(rows=Count("pk"), answered=answered)
    found = {row["opinion"]: (row["answered"], row["rows"]) for row in counts}
    classes = SceneClass.objects.count()
    return [Standing(opinion, *found.get(opinion.pk, (0, 0)), classes) for opinion in chosen]


@transaction.atomic
def start_opinion(*, name: str, by: AbstractBaseUser, note: str = "") -> Opinion:
    """An empty opinion of this person's. A repeated click finds the one that is there.

    Raises ValueError without a name, NameTaken when it is another's.
    """
    name = name.strip()
    if not name:
        raise ValueError("An opinion needs a name.")
    values = {"owner_id": by.pk, "note": note.strip()}
    opinion, _ = Opinion.objects.get_or_create(name=name, defaults=values)
    if opinion.owner_id != by.pk:
        raise NameTaken(f"“{name}” is somebody else's. Choose another name.")
    fill_opinion(opinion)
    return opinion


def fill_opinion(opinion: Opinion) -> int:
    """Give the opinion an undecided entry for every class that has none. Returns how many it added."""
    there = MappingEntry.everywhere.filter(opinion=opinion, scene_class=OuterRef("pk"))
    missing = SceneClass.objects.filter(~Exists(there)).order_by("pk").values_list("pk", flat=True)
    rows = [MappingEntry(opinion=opinion, scene_class_id=pk) for pk in missing]
    MappingEntry.everywhere.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
    return len(rows)


def fill_opinions() -> int:
    """The same for everybody's, after classes were added."""
    return sum(fill_opinion(opinion) for opinion in Opinion.objects.exclude(owner=None))


@transaction.atomic
def delete_opinion(*, opinion_id: int, by: AbstractBaseUser) -> None:
    """Delete one's own opinion with its answers; a repeat does nothing. Raises PermissionDenied."""
    opinion = Opinion.objects.select_for_update(of=("self",)).filter(pk=opinion_id).first()
    if opinion is None:
        return
    if opinion.owner_id is None or opinion.owner_id != by.pk:
        raise PermissionDenied("Only its owner deletes an opinion.")
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    # Row by row, with an entry in the history for each, would take minutes for 22,000 classes.
    entries._raw_delete(entries.db)
    opinion.delete()


def compared(sides: Sequence[Side]) -> QuerySet[MappingEntry]:
    """The mapping's entries by class, with answer_0, answer_1 … of the sides.

    An answer is a hashtag's id, 0 for other, and null where the side has not decided: so comparisons with it
    are never true.
    """
    rows = MappingEntry.objects.select_related("scene_class", "hashtag").order_by("scene_class__key")
    for place, side in enumerate(sides):
        path = ""
        if side is not None:  # joined once; a subquery would be asked again in every comparison
            theirs = FilteredRelation(
                "scene_class__entries", condition=Q(scene_class__entries__opinion=side.pk)
            )
            rows = rows.annotate(**{f"side_{place}": theirs})
            path = f"side_{place}__"
        decided = Q(**{f"{path}status__in": [MappingEntry.Status.IMPORTED, MappingEntry.Status.CONFIRMED]})
        label = Coalesce(f"{path}hashtag_id", 0, output_field=IntegerField())
        rows = rows.annotate(
            **{f"answer_{place}": Case(When(decided, then=label), output_field=IntegerField())}
        )
    return rows


def patterns(sides: Sequence[Side]) -> Counter[Pattern]:
    """How many classes the sides answered so, by their labels."""
    names: dict[Any, str | None] = dict(Hashtag.objects.order_by().values_list("pk", "name"))
    names |= {0: OTHER, None: None}
    places = [f"answer_{place}" for place in range(len(sides))]
    rows = Counter(compared(sides).order_by().values_list(*places).iterator())
    return Counter({tuple(names[answer] for answer in row): classes for row, classes in rows.items()})


def answers_of(
    opinions: Sequence[Opinion], scene_classes: Iterable[int] | None = None
) -> dict[tuple[int, int], MappingEntry]:
    """What they answered about these classes, or all, by (opinion's id, class's id). One query."""
    rows = MappingEntry.everywhere.filter(opinion__in=opinions).exclude(status=UNDECIDED)
    if scene_classes is not None:
        rows = rows.filter(scene_class__in=list(scene_classes))
    rows = rows.select_related("hashtag", "changed_by")
    return {(row.opinion_id or 0, row.scene_class_id): row for row in rows}


def label_counts(opinion: Opinion) -> list[tuple[str, int]]:
    """Label and classes, most first."""
    answers = MappingEntry.everywhere.filter(opinion=opinion).exclude(status=UNDECIDED).order_by()
    counts = answers.values_list("hashtag__name").annotate(n=Count("pk")).order_by("-n", "hashtag__name")
    return [(name or OTHER, n) for name, n in counts]
