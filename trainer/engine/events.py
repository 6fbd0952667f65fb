"""What a running engine reports: one JSON object per line on standard output, each with an ``event``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from formats.json_text import to_json
from formats.texts import Text, as_words
from trainer.engine.parent import supervisor

# Of the request that started the job whose program this is: for logs.
REQUEST_ID = os.environ.get("SCENETAG_REQUEST_ID", "")


class Stopped(Exception):
    """Somebody asked the run to stop; its progress is saved."""


def write(event: str, fields: dict[str, Any]) -> None:
    """One line, flushed, so that a reader sees it at once. Its `words` are those of its Texts."""
    origin: dict[str, Any] = {"request_id": REQUEST_ID} if REQUEST_ID else {}
    if words := {name: as_words(value) for name, value in fields.items() if isinstance(value, Text)}:
        origin["words"] = words
    sys.stdout.write(to_json({"event": event, **fields, **origin}) + "\n")
    sys.stdout.flush()


_listener: Callable[[str, dict[str, Any]], None] = write


def emit(event: str, **fields: Any) -> None:
    _listener(event, fields)


def listen(listener: Callable[[str, dict[str, Any]], None] | None) -> None:
    """Send events to ``listener`` from now on; None sends them to standard output again."""
    global _listener
    _listener = listener or write


class StopRequest:
    """Remembers SIGTERM or SIGINT, and notices when its supervisor is gone.

    Without its supervisor a trainer would train for hours with nobody reading its events, and could meet its
    own successor in the same folder. A trainer started in a terminal has no supervisor and may outlive its
    shell.
    """

    def __init__(self) -> None:
        self.has_signal = False
        self.supervisor = supervisor()

    def listen(self) -> StopRequest:
        signal.signal(signal.SIGTERM, self._remember)
        signal.signal(signal.SIGINT, self._remember)
        return self

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        if self.has_signal and signum == signal.SIGINT:  # a second Ctrl-C stops at once, whatever is lost
            raise KeyboardInterrupt
        self.has_signal = True

    def __bool__(self) -> bool:
        return self.has_signal or (self.supervisor is not None and os.getppid() != self.supervisor)

    def check(self) -> None:
        """Raise Stopped if the run is to stop."""
        if self:
            raise Stopped


class Progress:
    """Emits progress at most twice a second, with the time left at the rate so far."""

    def __init__(self, phase: str, total: int, *, done: int = 0) -> None:
        self.phase, self.total, self.done = phase, total, done
        self.start, self.first, self.last = time.monotonic(), done, 0.0

    def advance(self, count: int = 1) -> None:
        self.done += count
        now = time.monotonic()
        if self.done >= self.total or now - self.last >= 0.5:
            self.last = now
            count_here = self.done - self.first
            left = (now - self.start) / count_here * (self.total - self.done) if count_here else None
            emit(
                "progress",
                phase=self.phase,
                done=self.done,
                total=self.total,
                seconds_left=None if left is None else round(left, 1),
            )
