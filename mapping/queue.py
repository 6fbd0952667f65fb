"""Which class comes next. One class per screen, in the order of keys, so that each place has an address."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from mapping.models import OTHER, Hashtag, MappingEntry, Opinion

NAMES = 200  # hashtags offered as completions


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


def next_entry(rows: QuerySet[MappingEntry], key: str) -> MappingEntry | None:
    """The next row after this class. After the last class it is the first row, so that none is missed."""
    return rows.filter(scene_class__key__gt=key).first() or rows.exclude(scene_class__key=key).first()


def previous_entry(rows: QuerySet[MappingEntry], key: str) -> MappingEntry | None:
    others = rows.exclude(scene_class__key=key).reverse()
    return others.filter(scene_class__key__lt=key).first() or others.first()


def hashtag_names() -> list[str]:
    """The most popular hashtags and other, as completions while typing. The search finds all hashtags."""
    names = Hashtag.objects.unblocked().values_list("name", flat=True)
    return [*names[:NAMES], OTHER]


@dataclass(frozen=True)
class Page:
    """A page by keyset, so that page 300 is as quick as page 1."""

    rows: list[MappingEntry]
    next: str  # the next page begins behind this key; blank on the last page
    previous: str  # the previous page ends before this key; blank on the first page


def page(rows: QuerySet[MappingEntry], *, size: int, behind: str = "", in_front: str = "") -> Page:
    """At most size rows behind one key, or in front of another."""
    backwards = bool(in_front)
    if backwards:
        entries = list(rows.reverse().filter(scene_class__key__lt=in_front)[: size + 1])
    else:
        entries = list(rows.filter(scene_class__key__gt=behind)[: size + 1])
    has_more, entries = len(entries) > size, entries[:size]
    if backwards:
        entries.reverse()
    first_key, last_key = (entries[0].scene_class.key, entries[-1].scene_class.key) if entries else ("", "")
    return Page(
        rows=entries,
        next=last_key if has_more or backwards else "",
        previous=first_key if (has_more if backwards else behind) else "",
    )
