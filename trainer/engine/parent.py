"""A supervised trainer ends when its supervisor does, even in the middle of a batch that takes minutes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

SUPERVISED = "SCENETAG_SUPERVISED"  # set by the supervisor to its process id
PR_SET_PDEATHSIG = 1
GRACE = 10.0  # seconds to save a checkpoint without a parent


def supervisor() -> int | None:
    """The process id of the program that started this one to watch over it; None in a terminal."""
    supervisor = os.environ.get(SUPERVISED, "")
    return int(supervisor) if supervisor.isdecimal() else None


def end_with_parent() -> None:
    """From now on SIGTERM comes when the supervisor dies, and SIGKILL if that does not help in time.

    Does nothing for a trainer started in a terminal: that one may outlive its shell.
    """
    parent = supervisor()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)  # it may have died before the kernel was asked to tell
    time.sleep(GRACE)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with the processes that load photos
    os._exit(137)
