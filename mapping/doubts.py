"""Rows of the mapping that people doubt. An app that asks people registers itself in AppConfig.ready().

The mapping imports no such app. A doubt is settled as soon as a curator changes the row after it was raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db.models import Q, QuerySet

from mapping.models import MappingEntry


@dataclass(frozen=True)
class Doubt:
    """How many people find the row's hashtag too general or too specific for photos of its scene class."""

    people: int
    last_at: datetime
    url: str  # the photos behind it


class Doubts(Protocol):
    def find_doubts(self) -> dict[str, Doubt]:
        """Scene key → doubt, for the rows that people doubt more than they doubt the network."""


class Nobody:
    """The default: no app asks people."""

    def find_doubts(self) -> dict[str, Doubt]:
        return {}


_source: Doubts = Nobody()


def register(source: Doubts) -> None:
    global _source
    _source = source


def of(entry: MappingEntry) -> Doubt | None:
    """The doubt about this row, or None if the row was changed since."""
    doubt = _source.find_doubts().get(entry.scene_class.key)
    return doubt if doubt and doubt.last_at > entry.changed_at else None


def filter_doubted(entries: QuerySet[MappingEntry]) -> QuerySet[MappingEntry]:
    condition = Q(pk__in=[])
    for key, doubt in _source.find_doubts().items():
        condition |= Q(scene_class__key=key, changed_at__lt=doubt.last_at)
    return entries.filter(condition)
