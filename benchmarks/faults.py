"""Rule 2, one run has one live trainer: kills at random moments, while a thread watches.

    python -m benchmarks.faults [--kills 100] [--cancels 20] [--lease 4] [--kinds worker,valkey] [--seed 0]

A separate site (database, Valkey, workers) trains real runs on tiny photos, one after the other. Faults of
the kinds below are injected, each as soon as training has recovered from the one before. Messages are
acknowledged late and redelivered after 3 s, so Redis delivers a running training again and again. A thread
checks the processes and the job's row ten times a second: how many trainers of one run are alive, how many of
them hold its lock, and for how long the state on the page was wrong. In the end every run must have succeeded
with exactly the weights of an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.small_site import Site, queue_run, register_photos, wait_until
from benchmarks.watching import Watch, descendants, trainers

if TYPE_CHECKING:
    from trainer.models import PhotoSet, TrainingRun

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("trainer", "checkpoint", "reader", "worker", "both", "valkey", "redelivery", "two workers")
RECIPE = {
    "kind": "finetune",
    "network": "test_resnet",
    "weights": "none",
    "image_size": 32,
    "batch_size": 8,
    "num_workers": 2,
    "augment": 2,
    "epochs": 40,
    "keep": "last",
}
PHOTOS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--lease", type=float, default=4.0, help="in seconds; a real installation uses 20")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--minutes", type=float, default=60.0, help="no kills after this time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenetag-faults-") as name:
        site = Site(
            Path(name),
            lease=options.lease,
            VISIBILITY_TIMEOUT_SECONDS="3",
            TASK_ACKS_LATE="1",
            OMP_NUM_THREADS="1",
        )
        try:
            bench = Bench(site, options.kinds.split(","), random.Random(options.seed))
            bench.run(options.kills, options.cancels, options.minutes)
        finally:
            site.stop()


class Bench:
    def __init__(self, site: Site, kinds: list[str], chance: random.Random) -> None:
        self.site, self.kinds, self.chance = site, kinds, chance
        self.kills: Counter[str] = Counter()
        self.going_on: dict[str, list[float]] = defaultdict(list)
        self.cancel_seconds: list[float] = []
        self.short_seconds: list[float] = []
        self.troubles: list[str] = []
        self.runs: list[TrainingRun] = []
        self.photo_set = register_photos(site.folder / "photos", PHOTOS)
        self.watch = Watch(self.site.folder / "runs")

    def run(self, kills: int, cancels: int, minutes: float) -> None:
        began = time.monotonic()
        self.watch.start()
        try:
            self._inject(kills, began + 60 * minutes)
            self._cancel(cancels)
        except RuntimeError as error:  # goes into the report, because earlier measurements are valid
            self.troubles.append(str(error))
        self._finish()
        self.watch.end()
        self._report(time.monotonic() - began)

    # --- runs

    def _queue(self) -> None:
        run = queue_run(self.photo_set, f"Run {len(self.runs) + 1}", RECIPE)
        self.runs.append(run)
        self.watch.runs[run.pk] = run.job_id

    def _current(self) -> TrainingRun:
        """The run whose turn it is. Two more are always queued."""
        states = [self._job(run).state for run in self.runs]
        if states.count("failed") > 2:
            raise RuntimeError(f"Runs fail: {[run.job.error[-500:] for run in self.runs]}")
        live = [run for run in self.runs if self._job(run).is_live]
        while len(live) < 3:
            self._queue()
            live.append(self.runs[-1])
        return live[0]

    def _job(self, owner: TrainingRun | PhotoSet) -> Any:
        assert owner.job
        owner.job.refresh_from_db()
        return owner.job

    def _reached(self, run: TrainingRun) -> int:
        last_epoch = run.epochs.last()
        return last_epoch.number if last_epoch else 0

    def _wait_for_progress(self, run: TrainingRun, reached: int, seconds: float = 120) -> float:
        def goes_on() -> bool:
            return self._reached(run) > reached or not self._job(run).is_live

        return wait_until(goes_on, seconds, f"{run} does not go on: {run.job} {run.job.message}")

    # --- faults

    def _inject(self, kills: int, until: float) -> None:
        while sum(self.kills.values()) < kills and time.monotonic() < until:
            run = self._current()
            self._wait_for_progress(run, 0)
            time.sleep(self.chance.uniform(0, 1.5))
            if not trainers(self.site.folder / "runs").get(run.pk):
                continue  # it has just ended, so take the next one
            kind = self.chance.choice(self.kinds)
            back = FAULTS[kind](self, run)
            if back is None:
                continue
            epoch = self._reached(run)
            self._wait_for_progress(run, epoch)
            self.going_on[kind].append(time.monotonic() - back)
            self.kills[kind] += 1
            print(
                f"{sum(self.kills.values()):4} {kind:<12} {run} at epoch {epoch}, "
                f"goes on after {self.going_on[kind][-1]:.1f} s",
                flush=True,
            )

    def kill_trainer(self, run: TrainingRun) -> float | None:
        return self._kill(trainers(self.site.folder / "runs").get(run.pk, []))

    def kill_at_checkpoint(self, run: TrainingRun) -> float | None:
        """Kill the trainer while it writes a checkpoint file."""
        until = time.monotonic() + 30
        pids = trainers(self.site.folder / "runs").get(run.pk, [])
        while time.monotonic() < until:
            if any(name.endswith(".part") for name in os.listdir(run.folder)):
                return self._kill(pids)
            time.sleep(0.0005)
        return None

    def kill_reader(self, run: TrainingRun) -> float | None:
        """Kill a process that loads photos for the trainer, or the process that starts these."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for pid in trainers(self.site.folder / "runs").get(run.pk, []):
                if children := descendants(pid):
                    return self._kill([self.chance.choice(children)])
            time.sleep(0.005)
        return None

    def _kill(self, pids: list[int]) -> float | None:
        if not pids:
            return None
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return time.monotonic()

    def kill_worker(self, run: TrainingRun) -> float | None:
        return self._restart_worker(run, with_trainer=False)

    def kill_both(self, run: TrainingRun) -> float | None:
        return self._restart_worker(run, with_trainer=True)

    def _restart_worker(self, run: TrainingRun, *, with_trainer: bool) -> float | None:
        holder = self.site.holder(run)
        if holder is None:
            return None
        pids = trainers(self.site.folder / "runs").get(run.pk, [])
        self.site.kill_worker(holder)
        if with_trainer:
            self._kill(pids)
        time.sleep(self.chance.uniform(0, 1.5 * self.site.lease))
        back = time.monotonic()
        self.site.start_worker()
        return back

    def kill_valkey(self, run: TrainingRun) -> float | None:
        """Kill Valkey, and with it the whole queue. A job that is queued later must be done, too."""
        from trainer.photosets import registration

        self.site.valkey.process.kill()
        self.site.valkey.process.wait()
        time.sleep(self.chance.uniform(0, 3))
        began = time.monotonic()
        self.site.start_valkey()
        folder = self.site.folder / "photos" / "b"
        photo_set = registration.register_folder(name=f"Short {time.time()}", folder=folder, by=None)
        wait_until(lambda: not self._job(photo_set).is_live, 120, "the worker takes no jobs after the kill")
        self.short_seconds.append(time.monotonic() - began)
        return time.monotonic()

    def deliver_again(self, run: TrainingRun) -> float | None:
        from jobs.tasks import run_job

        for _ in range(3):
            run_job.delay(str(run.job_id))
        return time.monotonic()

    def kill_one_of_two(self, run: TrainingRun) -> float | None:
        from jobs.models import Worker

        other = self.site.start_worker()
        ready = Worker.objects.filter(name__endswith=f":{other.process.pid}")
        wait_until(ready.exists, 60, "the second worker did not start")
        holder = self.site.holder(run)
        if holder is None:
            return None
        self.site.kill_worker(holder)
        return time.monotonic()

    # --- cancels

    def _cancel(self, cancels: int) -> None:
        from jobs import queue

        while len(self.cancel_seconds) < cancels:
            self._current()  # so that there is always a next run
            live = trainers(self.site.folder / "runs")
            run = next((run for run in self.runs if run.pk in live), None)
            if run is None:
                time.sleep(0.1)
                continue
            self._wait_for_progress(run, self._reached(run))
            time.sleep(self.chance.uniform(0, 1.5))
            pids = [
                p for t in trainers(self.site.folder / "runs").get(run.pk, []) for p in (t, *descendants(t))
            ]
            if not pids:
                continue
            queue.cancel(job=self._job(run), by=None)
            began = time.monotonic()
            wait_until(lambda pids=pids: not self.watch.living(pids), 30, "trainer or child is alive")  # type: ignore[misc]
            seconds = time.monotonic() - began
            wait_until(lambda run=run: not self._job(run).is_live, 10, "not cancelled")  # type: ignore[misc]
            if self._job(run).state == "succeeded":
                continue  # it ended before it got the message, so it is complete
            # With a report, training had ended, and resuming reads the report.
            if not any((run.folder / name).exists() for name in ("checkpoint.pt", "report.json")):
                self.troubles.append(f"{run} was cancelled and has no checkpoint")
            self.cancel_seconds.append(seconds)
            print(f"cancel {len(self.cancel_seconds)}: {self.cancel_seconds[-1]:.1f} s", flush=True)
            queue.retry(job=run.job, by=None)

    # --- the end

    def _finish(self) -> None:
        """Wait until the disturbed runs end, and cancel those that have not started."""
        from jobs import queue

        for run in self.runs:
            if not run.epochs.exists():
                queue.cancel(job=self._job(run), by=None)
        for run in self.runs:
            wait_until(lambda run=run: not self._job(run).is_live, 600, f"{run} does not end")  # type: ignore[misc]
        self.runs = [run for run in self.runs if run.job.state != "cancelled"]

    def _different(self) -> int:
        """The number of runs whose weights differ from those of the same recipe without faults."""
        out = self.site.folder / "undisturbed"
        out.mkdir()
        task = json.loads((self.runs[0].folder / "job.json").read_text()) | {"out": str(out)}
        (out / "job.json").write_text(json.dumps(task))
        argv = [sys.executable, "-m", "trainer.engine", "train", str(out / "job.json")]
        subprocess.run(argv, check=True, capture_output=True, cwd=ROOT)
        import torch

        def weights(folder: Path) -> dict[str, torch.Tensor]:
            state: dict[str, torch.Tensor] = torch.load(folder / "best.pt", weights_only=True)["state"]
            return state

        own_weights, different = weights(out), 0
        for run in self.runs:
            if run.job.state == "succeeded":
                state = weights(run.folder)
                different += not all(torch.equal(state[name], own_weights[name]) for name in own_weights)
        return different

    def _report(self, seconds: float) -> None:
        states = Counter(str(run.job.state) for run in self.runs)
        losses = [
            f"{run}: {run.job.state} {run.job.error}" for run in self.runs if run.job.state != "succeeded"
        ]
        for kind, times in self.going_on.items():
            print(
                f"{kind:<12} {len(times):4} × goes on after {median(times):5.1f} s, at most {max(times):.1f}"
            )
        wrong = self.watch.wrong_seconds
        result = {
            "benchmark": "faults",
            "kills": sum(self.kills.values()),
            "by_kind": dict(self.kills),
            "lease_seconds": self.site.lease,
            "runs": len(self.runs),
            "states": dict(states),
            "lost": len(losses),
            "duplicates": self.watch.duplicates,
            "waiting_beside": self.watch.overlaps,
            "looks": self.watch.looks,
            "page_wrong_at_most_s": round(max(wrong, default=0.0), 1),
            "goes_on_at_most_s": round(max((max(t) for t in self.going_on.values()), default=0.0), 1),
            "goes_on_median_s": round(median([t for ts in self.going_on.values() for t in ts]), 1),
            "short_job_after_valkey_at_most_s": round(max(self.short_seconds, default=0.0), 1),
            "cancels": len(self.cancel_seconds),
            "cancel_at_most_s": round(max(self.cancel_seconds, default=0.0), 2),
            "cancel_median_s": round(median(self.cancel_seconds), 2),
            "different_weights": self._different(),
            "troubles": self.troubles,
            "seconds": round(seconds),
        }
        for name, value in result.items():
            print(f"{name:<36} {value}")
        print(*losses, sep="\n")
        print(json.dumps(result))


def median(values: list[float]) -> float:
    return float(np.median(values)) if values else 0.0


FAULTS: dict[str, Callable[[Bench, Any], float | None]] = {
    "trainer": Bench.kill_trainer,
    "checkpoint": Bench.kill_at_checkpoint,
    "reader": Bench.kill_reader,
    "worker": Bench.kill_worker,
    "both": Bench.kill_both,
    "valkey": Bench.kill_valkey,
    "redelivery": Bench.deliver_again,
    "two workers": Bench.kill_one_of_two,
}


if __name__ == "__main__":
    main()
