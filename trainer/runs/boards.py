"""Opens TensorBoard for a run, once for all web processes, and forwards requests to it."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
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

LOGS = "tensorboard"  # a folder in that of the run
PROGRAM = "trainer.runs.board_server"
START_SECONDS = 30.0
IDLE_SECONDS = 900


class BoardError(Exception):
    """TensorBoard cannot be shown; the message says why."""


def logs_of(run: TrainingRun) -> Path:
    return run.folder / LOGS


def delete_logs(run: TrainingRun) -> None:
    """Raises OSError, also if there are none."""
    end(run.pk)  # before, because a call that is repeated after a failure passes over runs without logs
    shutil.rmtree(logs_of(run))
    end(run.pk)  # somebody may have opened it meanwhile


def has_logs(run: TrainingRun) -> bool:
    return any(logs_of(run).rglob("events.out.tfevents.*"))


def port_of(run: TrainingRun) -> int | None:
    """The port of the run's TensorBoard; None if none is alive."""
    try:
        state = json.loads(_state(run.pk).read_text())
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
    with _one_at_a_time(run.pk):
        if port := port_of(run):
            return port
        state = _state(run.pk)
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


def end(run: int) -> None:
    """End the TensorBoard of a run whose logs are deleted, by its number: it would go on showing what it has
    read. Nobody reaches it from now on; the program notices a little later.
    """
    with _one_at_a_time(run):  # one that is starting writes its state first
        for ending in (".json", ".log", ".lock"):
            _state(run).with_suffix(ending).unlink(missing_ok=True)


def touch(run: TrainingRun) -> None:
    """Keep the run's TensorBoard alive: somebody is using it."""
    if (state := _state(run.pk)).exists():
        os.utime(state)


def _state(run: int) -> Path:
    folder: Path = settings.VAR_DIR / "tensorboard"
    folder.mkdir(exist_ok=True)
    return folder / f"{run}.json"


@contextmanager
def _one_at_a_time(run: int) -> Iterator[None]:
    with _state(run).with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
