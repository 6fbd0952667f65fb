"""Runs a program for a job: in a process group of its own, watched, and ended when the job must end.

A separate process because a worker's threads cannot be killed, and because CUDA and DataLoader workers
want a process that was not forked. The program speaks JSON lines on its standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from jobs.lease import JobError, Lease

Event = dict[str, Any]
POLL = 0.5  # seconds between looks at the clock, the lease and the wish to cancel
GRACE = 4.0  # seconds a program gets to save its checkpoint before it is killed


def run_process(lease: Lease, argv: Sequence[str], on_event: Callable[[Event], None]) -> None:
    """Run argv to its end; on_event gets each JSON line as a dict.

    Raises JobError with the program's own last error event, or the end of its standard error, when it
    fails; lets Cancelled, LeaseLost and Interrupted through, the program and its children ended first.
    """
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            list(argv),
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            last_error = _follow(lease, process, on_event)
            code = process.wait()
        finally:
            end_group(process)
        if code:
            raise _failure(code, last_error, stderr)


def _follow(
    lease: Lease, process: subprocess.Popen[bytes], on_event: Callable[[Event], None]
) -> Event | None:
    last_error: Event | None = None
    assert process.stdout is not None
    fd = process.stdout.fileno()
    os.set_blocking(fd, False)
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while True:
            lease.beat()
            if not selector.select(POLL):
                continue
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                return last_error
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = _parse(line)
                if event is None:
                    continue
                if event.get("event") == "error":
                    last_error = event
                on_event(event)


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:  # a library's print among our lines
        return None
    return event if isinstance(event, dict) else None


def _failure(code: int, last_error: Event | None, stderr: IO[bytes]) -> JobError:
    if last_error:
        return JobError(str(last_error.get("message", "")), str(last_error.get("hint", "")))
    stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, stderr.tell() - 4000))
    tail = stderr.read().decode(errors="replace").strip()
    if code in (-signal.SIGKILL, 137):
        return JobError(
            "The training process was killed from outside.",
            "Usually the machine ran out of memory: choose a smaller batch or photo size, then retry.",
        )
    return JobError(f"The process ended with code {code}: {tail[-1500:] or 'it said nothing'}")


def end_group(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """SIGTERM to the whole process group, SIGKILL to what is left of it after `grace` seconds."""
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def _signal_group(pgid: int, signal_number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pgid, signal_number)
