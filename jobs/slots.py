"""How many jobs of a kind one machine does at once, whatever its workers' concurrency.

A slot is a locked file: the kernel takes the lock back when its holder dies, so none is ever lost. What the
holder worked on stands in the file: a note in a file that nobody locks was left behind by a death.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings

TRIES = 3  # a look at a free slot locks it for an instant


class Slot:
    def __init__(self, handle: int) -> None:
        self.handle = handle

    def note(self, words: str) -> None:
        """What its holder works on: a job and its token, or nothing."""
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, words.encode(), 0)


@contextmanager
def slot(kind: str, count: int) -> Iterator[Slot | None]:
    """One of this machine's `count` slots for the kind; None if all are taken."""
    handle = _take(kind, count)
    try:
        yield None if handle is None else Slot(handle)
    finally:
        if handle is not None:
            os.close(handle)


def left_behind(kind: str, count: int) -> list[tuple[UUID, int]]:
    """Job and token of what died with its holder on this machine. It may have ended since."""
    notes = []
    for number in range(count):
        if (handle := _locked(kind, number)) is None:
            continue
        words = os.pread(handle, 100, 0).decode().split()
        os.close(handle)
        if len(words) == 2:
            notes.append((UUID(words[0]), int(words[1])))
    return notes


def _take(kind: str, count: int) -> int | None:
    for attempt in range(TRIES):
        for number in range(count):
            if (handle := _locked(kind, number)) is not None:
                return handle
        if attempt < TRIES - 1:
            time.sleep(0.01)
    return None


def _locked(kind: str, number: int) -> int | None:
    """The slot's file, opened and locked; None while somebody else has it."""
    folder = Path(settings.VAR_DIR) / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    # By host: the folder may be shared by several machines.
    path = folder / f"{socket.gethostname()}-{kind}-{number}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
