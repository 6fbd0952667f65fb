"""Rows of the mapping that people doubt. An app that asks people says so in AppConfig.ready().

The mapping knows none of them. A doubt is settled by whoever looks at the row after it was said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db.models import Q, QuerySet

from mapping.models import MappingEntry


@dataclass(frozen=True)
class Doubt:
    """How many said that the row's hashtag is too general or too specific for photos of its scene class."""

    people: int
    last_at: datetime
    url: str  # the photos behind it


class Doubts(Protocol):
    def doubted(self) -> dict[str, Doubt]:
        """Scene key → doubt, of the rows that are doubted more than the network is."""


class Nobody:
    """No app asks anybody."""

    def doubted(self) -> dict[str, Doubt]:
        return {}


_registered: Doubts = Nobody()


def register(source: Doubts) -> None:
    global _registered
    _registered = source


def of(entry: MappingEntry) -> Doubt | None:
    """What people doubt about this row and nobody has looked at since."""
    doubt = _registered.doubted().get(entry.scene_class.key)
    return doubt if doubt and doubt.last_at > entry.changed_at else None


def only_doubted(entries: QuerySet[MappingEntry]) -> QuerySet[MappingEntry]:
    wanted = Q(pk__in=[])
    for key, doubt in _registered.doubted().items():
        wanted |= Q(scene_class__key=key, changed_at__lt=doubt.last_at)
    return entries.filter(wanted)
