"""Which class comes next: one screen, one class, by the order of keys, so that a place can be linked to."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from mapping.models import OTHER, Hashtag, MappingEntry, Opinion

NAMES = 200


@dataclass(frozen=True)
class Progress:
    total: int
    confirmed: int
    imported: int

    @property
    def left(self) -> int:
        return self.total - self.confirmed


def entries_of(opinion: Opinion | None) -> QuerySet[MappingEntry]:
    """The mapping's entries, or those of an opinion, by class."""
    rows = MappingEntry.everywhere.filter(opinion=opinion)
    return rows.select_related("scene_class", "hashtag").order_by("scene_class__key")


def progress(opinion: Opinion | None) -> Progress:
    confirmed = Count("pk", filter=Q(status=MappingEntry.Status.CONFIRMED))
    imported = Count("pk", filter=Q(status=MappingEntry.Status.IMPORTED))
    rows = MappingEntry.everywhere.filter(opinion=opinion)
    return Progress(**rows.aggregate(total=Count("pk"), confirmed=confirmed, imported=imported))


def after(rows: QuerySet[MappingEntry], key: str) -> MappingEntry | None:
    """The next of these rows behind that class; from the end on to the first, so that nothing is missed."""
    return rows.filter(scene_class__key__gt=key).first() or rows.exclude(scene_class__key=key).first()


def before(rows: QuerySet[MappingEntry], key: str) -> MappingEntry | None:
    behind = rows.exclude(scene_class__key=key).reverse()
    return behind.filter(scene_class__key__lt=key).first() or behind.first()


def hashtag_names() -> list[str]:
    """For a list to choose from while typing: the most popular, and other. All are found by searching."""
    names = Hashtag.objects.filter(blocked=False).values_list("name", flat=True)
    return [*names[:NAMES], OTHER]


@dataclass(frozen=True)
class Page:
    """A page by keyset: where the next and the page before begin, so that page 300 is as quick as page 1."""

    rows: list[MappingEntry]
    next: str  # the key to ask behind of; blank on the last page
    previous: str  # the key to ask in front of; blank on the first


def page(rows: QuerySet[MappingEntry], *, size: int, behind: str = "", in_front: str = "") -> Page:
    """At most size rows behind one key, or in front of another."""
    backwards = bool(in_front)
    if backwards:
        found = list(rows.reverse().filter(scene_class__key__lt=in_front)[: size + 1])
    else:
        found = list(rows.filter(scene_class__key__gt=behind)[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    first, last = (found[0].scene_class.key, found[-1].scene_class.key) if found else ("", "")
    return Page(
        rows=found,
        next=last if more or backwards else "",
        previous=first if (more if backwards else behind) else "",
    )
