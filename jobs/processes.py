"""Runs a program for a job in a process group of its own, and ends it when the job must end.

It is a separate process because a worker's threads cannot be killed, and because CUDA and DataLoader workers
need a process that was not forked. The program writes JSON lines to its standard output.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, Protocol

from formats import spans
from formats.json_text import from_json, to_json
from formats.storage import StorageFailure, for_own_files
from formats.texts import Text, from_words
from jobs import request_id
from jobs.lease import Busy, Died, JobError

Event = dict[str, Any]
POLL = 0.25  # seconds between checks of the lease and for a cancellation
# Seconds that a program gets to save its checkpoint before it is killed. Together with the time to notice a
# cancellation this is less than the five seconds that a cancellation may take.
GRACE = 3.5
STOPPED = 143  # exit code of our programs when SIGTERM ended them
MEMORY_HINT = Text("Usually the machine ran out of memory: choose a smaller batch or photo size, then retry.")


class Beats(Protocol):
    """A jobs.lease.Lease, or the lease of a shard."""

    def beat(self) -> None: ...


class HoldsGpus(Beats, Protocol):
    gpus: list[str]  # ids; empty: it may use any


def run_process(lease: HoldsGpus, argv: Sequence[str], on_event: Callable[[Event], None]) -> None:
    """Run argv until it ends; on_event gets each JSON line as a dict.

    If the program fails, raises JobError with the program's last error event or the end of its standard
    error; Died if it was ended from outside; Busy or StorageFailure if the program reports that. On
    Cancelled, LeaseLost and Interrupted it ends the program and its children and raises them again.
    """
    with _own_file() as stderr:
        process = _start(argv, stderr, stdin=subprocess.DEVNULL, gpus=lease.gpus)
        try:
            last_error = _follow(lease, process, on_event)
            _wait(lease, process)
        finally:
            end_group(process)
        if process.returncode:
            raise _failure(process.returncode, last_error, stderr)


class StandingProgram:
    """A program that stays between two requests, so that it loads what it needs once.

    A request is a JSON line on its standard input; it answers with events, of which the last is "answered".
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self.stderr = _own_file()
        self.process = _start(argv, self.stderr, stdin=subprocess.PIPE)

    def ask(self, lease: Beats, request: Event, on_event: Callable[[Event], None]) -> None:
        """Wait until it has answered. Raises what run_process raises; then the program has ended."""
        answers: list[Event] = []

        def hear(event: Event) -> None:
            if event.get("event") == "answered":
                answers.append(event)
            on_event(event)

        try:
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has ended: why is found below
                self.process.stdin.write(to_json(request).encode() + b"\n")
                self.process.stdin.flush()
            last_error = _follow(lease, self.process, hear, lambda: bool(answers))
            if answers:
                return
            _wait(lease, self.process)
        except BaseException:
            self.close()
            raise
        self.close()
        raise _failure(self.process.returncode, last_error, self.stderr)

    def close(self) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        end_group(self.process, grace=0)


def _own_file() -> IO[bytes]:
    with for_own_files():
        return tempfile.TemporaryFile()


def _start(
    argv: Sequence[str], stderr: IO[bytes], *, stdin: int, gpus: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=stdin,
        start_new_session=True,
        env=os.environ
        | {"SCENETAG_SUPERVISED": str(os.getpid())}  # it ends when this process ends
        | {request_id.VARIABLE: request_id.current()}
        | spans.environment()
        | ({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}),
    )


def _follow(
    lease: Beats,
    process: subprocess.Popen[bytes],
    on_event: Callable[[Event], None],
    has_answered: Callable[[], bool] = lambda: False,
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
                if _has_ended(process):  # but one of its children still holds the pipe
                    return last_error
                continue
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                return last_error
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = read_event(line)
                if event is None:
                    continue
                if event.get("event") == "error":
                    last_error = event
                on_event(event)
            if has_answered():
                return last_error


def _wait(lease: Beats, process: subprocess.Popen[bytes]) -> None:
    """Wait until a program that has closed its output ends. Until then it can still be cancelled."""
    while not _has_ended(process):
        lease.beat()
        time.sleep(0.02)


def read_event(line: bytes | str) -> Event | None:
    """What our own program wrote in this line, with its Texts; None for anything else."""
    try:
        event = from_json(line)
    except ValueError:  # output of a library between our lines
        return None
    if not isinstance(event, dict):
        return None
    if "event" in event:
        for name, kept in event.pop("words", {}).items():  # as trainer.engine.events sends them
            event[name] = from_words(kept)
    return event


def _failure(code: int, last_error: Event | None, stderr: IO[bytes]) -> Exception:
    stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, stderr.tell() - 4000))
    tail = stderr.read().decode(errors="replace").strip()
    message: str = last_error.get("message", "") if last_error else ""
    if last_error and last_error.get("kind") == "busy":
        return Busy(message)
    if last_error and last_error.get("kind") == "disk":
        return StorageFailure(message)
    if last_error and last_error.get("kind") == "killed":  # one of the program's own processes
        return Died(message, MEMORY_HINT)
    if code < 0 or code in (128 + signal.SIGKILL, STOPPED):
        signal_name = _signal_name(code)
        return Died(Text("The program was ended from outside (%(signal)s).", signal=signal_name), MEMORY_HINT)
    if last_error and last_error.get("kind") == "loader":
        return Died(Text("A process that reads photos was ended from outside."), MEMORY_HINT)
    if last_error:
        return JobError(message, last_error.get("hint", ""))
    said = tail[-1500:] or Text("it wrote nothing")
    return JobError(Text("The process ended with code %(code)s: %(said)s", code=str(code), said=said))


def _signal_name(code: int) -> str:
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end_group(process: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """Send SIGTERM to the program, then SIGKILL to the rest of its process group after `grace` seconds.

    The group does not get SIGTERM: a program that saves its checkpoint must not lose its children meanwhile.
    """
    if process.returncode is not None:  # reaped: another process may have its number by now
        return
    deadline = time.monotonic() + grace
    if not _has_ended(process):
        process.terminate()
        while not _has_ended(process) and time.monotonic() < deadline:
            time.sleep(0.02)
    # The program has not been reaped yet, so its number cannot belong to another process.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended. Does not reap it: its number stays reserved until `wait`."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
