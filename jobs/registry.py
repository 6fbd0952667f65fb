"""Which function does which kind of job. Apps register theirs in AppConfig.ready()."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Handler = Callable[
    [Any], None
]  # of a jobs.lease.Lease; to name the type here would close a circle of imports


@dataclass(frozen=True)
class Kind:
    handler: Handler
    slots: int | None = None  # how many at once on one machine; None: as many as workers have threads


_kinds: dict[str, Kind] = {}


def register(kind: str, handler: Handler, *, slots: int | None = None) -> None:
    _kinds[kind] = Kind(handler, slots)


def handler_of(kind: str) -> Handler:
    """Raises KeyError for a kind that no installed app registered."""
    return _kinds[kind].handler


def slots_of(kind: str) -> int | None:
    entry = _kinds.get(kind)
    return entry.slots if entry else None


def with_slots() -> list[tuple[str, int]]:
    return [(name, kind.slots) for name, kind in _kinds.items() if kind.slots is not None]
