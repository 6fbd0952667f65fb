"""Opens TensorBoard for a run, once for all web processes, and forwards requests to it."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from trainer.models import TrainingRun

PROGRAM = "trainer.runs.board_server"
START_SECONDS = 30.0
IDLE_SECONDS = 900


class BoardError(Exception):
    """TensorBoard cannot be shown; the message says why."""


def logs_of(run: TrainingRun) -> Path:
    return run.folder / "tensorboard"


def has_logs(run: TrainingRun) -> bool:
    return any(logs_of(run).rglob("events.out.tfevents.*"))


def port_of(run: TrainingRun) -> int | None:
    """The port of the run's TensorBoard; None if none is alive."""
    try:
        state = json.loads(_state(run).read_text())
        # Another program may have this process id by now.
        if PROGRAM in psutil.Process(state["pid"]).cmdline():
            return int(state["port"])
    except (OSError, ValueError, KeyError, psutil.Error):
        pass
    return None


def open_board(run: TrainingRun) -> int:
    """Start the run's TensorBoard unless it is running; returns its port. Raises BoardError."""
    if not has_logs(run):
        raise BoardError(_("This run has written no TensorBoard logs yet."))
    with _one_at_a_time(run):
        if port := port_of(run):
            return port
        state = _state(run)
        state.unlink(missing_ok=True)
        log = state.with_suffix(".log")
        prefix = reverse("trainer:board", args=[run.pk]).rstrip("/")
        argv = [sys.executable, "-m", PROGRAM, str(logs_of(run)), str(state), "--prefix", prefix]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*argv, "--idle", str(IDLE_SECONDS)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=settings.BASE_DIR,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if port := port_of(run):
                return port
            time.sleep(0.05)
        process.kill()
        process.wait()
        last = log.read_text(errors="replace").strip().rsplit("\n", 1)[-1]
        raise BoardError(
            _("TensorBoard does not start: %(words)s") % {"words": last[:300] or _("it printed nothing")}
        )


def ask(port: int, method: str, path: str, body: bytes, kind: str) -> http.client.HTTPResponse:
    """TensorBoard's answer, to be read by the caller. Raises OSError if TensorBoard is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body or None, {"Content-Type": kind} if kind else {})
    return connection.getresponse()


def touch(run: TrainingRun) -> None:
    """Keep the run's TensorBoard alive: somebody is using it."""
    if (state := _state(run)).exists():
        os.utime(state)


def _state(run: TrainingRun) -> Path:
    folder: Path = settings.VAR_DIR / "tensorboard"
    folder.mkdir(exist_ok=True)
    return folder / f"{run.pk}.json"


@contextmanager
def _one_at_a_time(run: TrainingRun) -> Iterator[None]:
    with _state(run).with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
