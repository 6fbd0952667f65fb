"""The cost of supervision: the same training by a worker, with events and database, and alone.

    python -m benchmarks.supervision [--repetitions 4]

The two take turns on all cores, so the supervisor takes its time from the trainer. Seconds are those that the
engine reports for training; processor seconds cover the whole trainer, and the worker beside it. If the
machine does other work at the same time, trust the processor seconds rather than the seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.small_site import Site, queue_run, register_photos, wait_until

ROOT = Path(__file__).resolve().parent.parent
RECIPE = {
    "kind": "finetune",
    "network": "resnet18",
    "weights": "none",
    "image_size": 64,
    "batch_size": 16,
    "epochs": 20,
    "keep": "last",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=4)
    repetitions = parser.parse_args().repetitions
    bare, with_supervisor = [], []
    with tempfile.TemporaryDirectory(prefix="scenetag-supervision-") as name:
        site = Site(Path(name), lease=20)
        try:
            photo_set = register_photos(site.folder / "photos", 300)
            for number in range(repetitions):
                run, figures = with_worker(site, photo_set, f"Run {number}")
                with_supervisor.append(figures)
                bare.append(alone(run, site.folder / f"bare-{number}"))
                print(f"{number}: supervised {with_supervisor[-1]}, bare {bare[-1]}", flush=True)
        finally:
            site.stop()
    report(with_supervisor, bare)


def with_worker(site: Site, photo_set: Any, name: str) -> tuple[Any, dict[str, float]]:
    worker = psutil.Process(site.workers[0].process.pid)
    before = worker.cpu_times()
    run = queue_run(photo_set, name, RECIPE)

    def has_ended() -> bool:
        run.job.refresh_from_db()
        return not run.job.is_live

    # Polling twenty times a second, the default, would take a twentieth of the training's processor time.
    wait_until(has_ended, 900, "the run did not end", every=2)
    assert run.job.state == "succeeded", run.job.error
    after = worker.cpu_times()
    worker_seconds = [getattr(after, x) - getattr(before, x) for x in ("user", "system")]
    trainer_seconds = [getattr(after, x) - getattr(before, x) for x in ("children_user", "children_system")]
    return run, figures_of(run.folder, sum(trainer_seconds)) | {"worker_cpu": round(sum(worker_seconds), 2)}


def alone(run: Any, out: Path) -> dict[str, float]:
    out.mkdir()
    task = json.loads((run.folder / "job.json").read_text()) | {"out": str(out)}
    (out / "job.json").write_text(json.dumps(task))
    argv = [sys.executable, "-m", "trainer.engine", "train", str(out / "job.json")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, capture_output=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return figures_of(out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def figures_of(folder: Path, cpu: float) -> dict[str, float]:
    report = json.loads((folder / "report.json").read_text())
    return {"seconds": report["training_seconds"], "cpu": round(cpu, 2)}


def report(supervised: list[dict[str, float]], bare: list[dict[str, float]]) -> None:
    def median(rows: list[dict[str, float]], name: str) -> float:
        return float(np.median([row[name] for row in rows]))

    result = {
        "benchmark": "supervision",
        "repetitions": len(bare),
        "supervised_seconds": median(supervised, "seconds"),
        "bare_seconds": median(bare, "seconds"),
        "seconds_percent": percent(median(supervised, "seconds"), median(bare, "seconds")),
        "fastest_seconds_percent": percent(
            min(row["seconds"] for row in supervised), min(row["seconds"] for row in bare)
        ),
        "trainer_cpu_percent": percent(median(supervised, "cpu"), median(bare, "cpu")),
        "worker_cpu_seconds": median(supervised, "worker_cpu"),
        "worker_cpu_percent": round(100 * median(supervised, "worker_cpu") / median(bare, "cpu"), 2),
    }
    for name, value in result.items():
        print(f"{name:<26} {value}")
    print(json.dumps(result))


def percent(more: float, than: float) -> float:
    return round(100 * (more / than - 1), 2)


if __name__ == "__main__":
    main()
