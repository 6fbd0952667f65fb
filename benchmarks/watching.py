"""Watch the trainers' processes and the state on the page ten times a second (Linux only)."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from uuid import UUID


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, parent and session of a process, or None if it is gone."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return words[0], int(words[1]), int(words[3])
    return None


def trainers(folder: Path) -> dict[int, list[int]]:
    """Run → ids of its living trainers, which are session leaders, unlike their children."""
    pids_of_run: dict[int, list[int]] = defaultdict(list)
    start = f"{folder}/".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            job = next((w for w in words if w.startswith(start)), None)
            if job is None or b"trainer.engine" not in words:
                continue
            stat = _stat(int(name))
            if stat and stat[0] not in "ZX" and stat[2] == int(name):
                pids_of_run[int(job[len(start) :].split(b"/")[0])].append(int(name))
    return pids_of_run


def descendants(pid: int) -> list[int]:
    """Living children of a process (of all its threads), and their children."""
    pids: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                if (stat := _stat(int(word))) and stat[0] not in "ZX":
                    pids += [int(word), *descendants(int(word))]
    return pids


def holds_lock(pid: int) -> bool:
    """Whether this process holds the lock of a run's folder, even if the file was deleted since."""
    with contextlib.suppress(OSError):
        for handle in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if "trainer.lock" in os.readlink(f"/proc/{pid}/fd/{handle}"):
                    return "lock:" in Path(f"/proc/{pid}/fdinfo/{handle}").read_text()
    return False


class Watch(threading.Thread):
    """duplicates: checks that found two lock holders of one run. overlaps: two processes, one may wait."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.runs: dict[int, UUID] = {}
        self.looks = self.duplicates = self.overlaps = 0
        self.wrong_seconds: list[float] = []
        self._wrong_since: dict[int, float] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self._look()

    def end(self) -> None:
        self._ended.set()
        self.join()
        now = time.monotonic()
        self.wrong_seconds += [now - since for since in self._wrong_since.values()]

    def living(self, pids: list[int]) -> list[int]:
        return [pid for pid in pids if (stat := _stat(pid)) and stat[0] not in "ZX"]

    def _look(self) -> None:
        from jobs.models import Job

        runs = dict(self.runs)
        live = trainers(self.folder)
        jobs = Job.objects.in_bulk(list(runs.values()))
        self.looks += 1
        now = time.monotonic()
        for run, job_id in runs.items():
            pids = live.get(run, [])
            if len(pids) > 1:
                self.overlaps += 1
                self.duplicates += sum(holds_lock(pid) for pid in pids) > 1
            if job_id not in jobs:
                continue
            says_running = jobs[job_id].get_state_display() in ("Running", "Cancelling")
            if says_running == bool(pids):
                if run in self._wrong_since:
                    self.wrong_seconds.append(now - self._wrong_since.pop(run))
            else:
                self._wrong_since.setdefault(run, now)
