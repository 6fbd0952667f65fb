"""How many jobs of a kind one machine does at once, whatever its workers' concurrency.

A slot is a locked file: the kernel takes the lock back when its holder dies, so no slot is ever lost.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


@contextmanager
def slot(kind: str, count: int) -> Iterator[bool]:
    """True while one of this machine's `count` slots for the kind is held; False if all are taken."""
    held = _take(kind, count)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def _take(kind: str, count: int) -> int | None:
    folder = Path(settings.VAR_DIR) / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        # By host: the folder may be shared by several machines.
        path = folder / f"{socket.gethostname()}-{kind}-{number}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            return handle
    return None
