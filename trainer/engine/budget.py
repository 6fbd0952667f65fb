"""Memory that the threads of a process share to decode photos, so that many at once do not exhaust it.

Whoever needs some waits in a queue. First come, first served: small photos do not overtake a large one for
ever.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLE = "DECODE_MEMORY_MB"
_seconds: ContextVar[float | None] = ContextVar("seconds", default=None)


class DecodersBusy(Exception):
    """Other photos take all memory for decoding. That says nothing against this photo: try again later."""

    def __init__(self) -> None:
        super().__init__("too many photos are being opened at the moment")


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait at most so long for each share that is asked for in this block; elsewhere there is no limit."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


class Budget:
    """So many bytes, to be shared by threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def share(self, need: int) -> Iterator[None]:
        """Hold so many bytes, at most ``size``, during the block. Who holds a share must not ask for another.

        Raises DecodersBusy if `patience` ends first.
        """
        self._take(need)
        try:
            yield
        finally:
            with self._changed:
                self._free += need
                self._changed.notify_all()

    def _take(self, need: int) -> None:
        place = object()
        with self._changed:
            self._queue.append(place)
            try:
                if not self._changed.wait_for(
                    lambda: self._queue[0] is place and need <= self._free, _seconds.get()
                ):
                    raise DecodersBusy
                self._free -= need
            finally:
                self._queue.remove(place)
                self._changed.notify_all()


def read_size(text: str) -> int:
    """Bytes from a number of megabytes. Raises ValueError."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ValueError(f"{VARIABLE} must be a whole number of megabytes, not {text!r}")
    return int(text) * 2**20


DECODING = Budget(read_size(os.environ.get(VARIABLE) or "1024"))  # of this process
