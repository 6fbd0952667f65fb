"""Which function does which kind of job. Apps register theirs in AppConfig.ready()."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.lease import Lease

Handler = Callable[["Lease"], None]
_handlers: dict[str, Handler] = {}


def register(kind: str, handler: Handler) -> None:
    _handlers[kind] = handler


def handler_of(kind: str) -> Handler:
    """Raises KeyError for a kind that no installed app registered."""
    return _handlers[kind]
