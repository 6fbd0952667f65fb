"""The function for each kind of job. Apps register their kinds in AppConfig.ready()."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The argument is a jobs.lease.Lease. Naming that type here would make a circle of imports.
Handler = Callable[[Any], None]


@dataclass(frozen=True)
class Kind:
    handler: Handler
    slots: int | None = None  # jobs at once on one machine; None: as many as workers have threads
    event: str = ""  # that its end is, a key of notices.events.EVENTS; empty: only a failure is told of


_kinds: dict[str, Kind] = {}


def register(kind: str, handler: Handler, *, slots: int | None = None, event: str = "") -> None:
    _kinds[kind] = Kind(handler, slots, event)


def handler_of(kind: str) -> Handler:
    """Raises KeyError for a kind that no app has registered."""
    return _kinds[kind].handler


def slots_of(kind: str) -> int | None:
    entry = _kinds.get(kind)
    return entry.slots if entry else None


def event_of(kind: str) -> str:
    entry = _kinds.get(kind)
    return entry.event if entry else ""


def with_slots() -> list[tuple[str, int]]:
    return [(name, kind.slots) for name, kind in _kinds.items() if kind.slots is not None]
