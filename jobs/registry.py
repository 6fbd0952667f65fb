"""The function for each kind of job. Apps register their kinds in AppConfig.ready()."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

# The argument is a jobs.lease.Lease. Naming that type here would make a circle of imports.
Handler = Callable[[Any], None]
# Loads what the shards of a Job need, and gives the function that does one of them, a jobs.shards.ShardLease.
Opener = Callable[[Any], AbstractContextManager[Callable[[Any], None]]]


@dataclass(frozen=True)
class Kind:
    handler: Handler
    slots: int | None = None  # jobs at once on one machine; None: as many as workers have threads
    shards: Opener | None = None  # for a kind that is split: see jobs.crew
    event: str = ""  # that its end is, a key of notices.events.EVENTS; empty: only a failure is told of


_kinds: dict[str, Kind] = {}


def register(
    kind: str,
    handler: Handler,
    *,
    slots: int | None = None,
    shards: Opener | None = None,
    event: str = "",
) -> None:
    _kinds[kind] = Kind(handler, slots, shards, event)


def handler_of(kind: str) -> Handler:
    """Raises KeyError for a kind that no app has registered."""
    return _kinds[kind].handler


def slots_of(kind: str) -> int | None:
    entry = _kinds.get(kind)
    return entry.slots if entry else None


def is_sharded(kind: str) -> bool:
    entry = _kinds.get(kind)
    return entry is not None and entry.shards is not None


def opener_of(kind: str) -> Opener:
    """Raises KeyError for a kind that is not split into shards."""
    opener = _kinds[kind].shards
    if opener is None:
        raise KeyError(kind)
    return opener


def event_of(kind: str) -> str:
    entry = _kinds.get(kind)
    return entry.event if entry else ""


def with_slots() -> list[tuple[str, int]]:
    return [(name, kind.slots) for name, kind in _kinds.items() if kind.slots is not None]
