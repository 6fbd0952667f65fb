"""Allows only one trainer at a time in a run's folder, whatever its supervisors believe."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from formats.texts import Text
from trainer.engine.errors import EngineError
from trainer.engine.events import StopRequest, emit

NAME = "trainer.lock"
PATIENCE = 30.0  # seconds that a trainer waits for its predecessor to end
LOOK = 0.1


class BusyError(EngineError):
    """Another trainer is alive in this folder and has not ended in time."""

    kind = "busy"


@contextmanager
def only_trainer(folder: Path, stop: StopRequest, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the folder's lock during this block; the kernel releases it if the process dies.

    Half-written files of a killed predecessor are removed. Raises BusyError and Stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("w") as file:
        _take(file.fileno(), folder, stop, time.monotonic() + patience)
        for part in folder.glob("*.part"):
            part.unlink(missing_ok=True)
        yield


def _take(file: int, folder: Path, stop: StopRequest, deadline: float) -> None:
    waiting = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            stop.check()
        if not waiting:
            emit("waiting", reason=Text("another trainer of this run is still ending"))
            waiting = True
        if time.monotonic() > deadline:
            raise BusyError(
                Text("another trainer holds %(folder)s", folder=folder.name),
                hint=Text("Wait until that one has ended, or cancel it."),
            )
        time.sleep(LOOK)
