"""What a running engine reports: one JSON object per line on standard output, each with an ``event``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from trainer.engine.parent import supervisor


class Stopped(Exception):
    """Somebody asked the run to stop; its progress is saved."""


def _write(event: str, fields: dict[str, Any]) -> None:
    """One line, flushed, so that a reader sees it at once."""
    sys.stdout.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


_listener: Callable[[str, dict[str, Any]], None] = _write


def emit(event: str, **fields: Any) -> None:
    _listener(event, fields)


def listen(listener: Callable[[str, dict[str, Any]], None] | None) -> None:
    """Give events to ``listener`` from now on; None: to standard output again."""
    global _listener
    _listener = listener or _write


class StopRequest:
    """Remembers SIGTERM or SIGINT, and notices when its supervisor is gone.

    A trainer without its supervisor would go on for hours with nobody reading, and could meet its own
    successor in the same folder. One that was started in a terminal has none, and may outlive its shell.
    """

    def __init__(self) -> None:
        self.asked = False
        self.supervisor = supervisor()

    def listen(self) -> StopRequest:
        signal.signal(signal.SIGTERM, self._remember)
        signal.signal(signal.SIGINT, self._remember)
        return self

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        if self.asked and signum == signal.SIGINT:  # a second Ctrl-C: now, whatever is lost
            raise KeyboardInterrupt
        self.asked = True

    def __bool__(self) -> bool:
        return self.asked or (self.supervisor is not None and os.getppid() != self.supervisor)

    def check(self) -> None:
        """Raise Stopped when somebody asked for it."""
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
            fresh = self.done - self.first
            left = (now - self.start) / fresh * (self.total - self.done) if fresh else None
            emit(
                "progress",
                phase=self.phase,
                done=self.done,
                total=self.total,
                seconds_left=None if left is None else round(left, 1),
            )
