"""Slots limit how many jobs of a kind one machine does at once, whatever its workers' concurrency.

A slot is a locked file. The kernel releases the lock when its holder dies, so no slot is ever lost. The
holder notes its job in the file, so a note in an unlocked file shows that the holder died.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings

from jobs.machines import machine_name

TRIES = 3  # more than one, because `left_behind` locks a free slot for an instant


class Slot:
    def __init__(self, handle: int) -> None:
        self.handle = handle

    def note(self, words: str) -> None:
        """Write what the holder works on: a job and its token, or nothing."""
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


@contextmanager
def hold_gpus(ids: Sequence[str], count: int) -> Iterator[list[str] | None]:
    """So many of this machine's GPUs, by their ids; None, and none is held, unless so many are free."""
    taken: dict[str, int] = {}
    with _choosing():
        for one in ids:
            if len(taken) < count and (handle := _locked("gpu", one)) is not None:
                taken[one] = handle
        if len(taken) < count:
            _close(taken)
    try:
        yield list(taken) if len(taken) == count else None
    finally:
        _close(taken)


@contextmanager
def _choosing() -> Iterator[None]:
    """One at a time chooses GPUs: two that each took half of what they need would both go without."""
    handle = _open("gpu", "choosing")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _close(handles: dict[str, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])


def left_behind(kind: str, count: int) -> list[tuple[UUID, int]]:
    """The job and token of each holder that died on this machine. The job may have ended since."""
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


def _open(kind: str, number: int | str) -> int:
    folder = Path(settings.VAR_DIR) / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    # The name contains the machine's, because several machines may share the folder.
    path = folder / f"{machine_name()}-{kind}-{number}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(kind: str, number: int | str) -> int | None:
    """Open and lock the slot's file; None while another process has it."""
    handle = _open(kind, number)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
