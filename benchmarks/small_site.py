"""A small site for benchmarks: database, Valkey and workers in one folder, and tiny photos to train on."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hashtags_site.management.commands.up import Part
    from trainer.models import PhotoSet, TrainingRun


class Site:
    """Database, Valkey and workers in one folder. This process is part of the site."""

    concurrency = 2  # threads of a worker

    def __init__(self, folder: Path, *, lease: float, **environment: str) -> None:
        self.folder, self.lease = folder, lease
        for name in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "hashtags_site.settings",
            "SCENETAG_VAR": str(folder),
            "JOB_LEASE_SECONDS": str(lease),
            "LOG_LEVEL": "WARNING",
            **environment,
        }
        import django

        django.setup()
        from django.core.management import call_command

        from mapping.files.catalogue import load_catalogue

        call_command("migrate", verbosity=0)
        load_catalogue()
        self.workers: list[Part] = []
        self.start_valkey()
        self.start_worker()

    def start_valkey(self) -> None:
        from django.conf import settings

        from hashtags_site.management.commands.up import Part
        from hashtags_site.valkey import answers, valkey_command

        self.valkey = Part("valkey", valkey_command(settings.VALKEY_SOCKET))
        wait_until(lambda: answers(settings.VALKEY_SOCKET), 10, "Valkey did not start")

    def start_worker(self) -> Part:
        from hashtags_site.management.commands.up import Part

        argv = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "celery",
            "--quiet",
            "-A",
            "hashtags_site",
            "worker",
            "--pool",
            "threads",
        ]
        argv += [
            "--concurrency",
            str(self.concurrency),
            "--loglevel",
            "WARNING",
            "--without-gossip",
            "--without-mingle",
        ]
        argv += ["--logfile", str(self.folder / "workers.log")]
        self.workers.append(Part("worker", argv))
        return self.workers[-1]

    def holder(self, run: TrainingRun) -> Part | None:
        """The worker that holds the run's lease."""
        run.job.refresh_from_db()
        pid = run.job.worker.rpartition(":")[2]
        return next((part for part in self.workers if str(part.process.pid) == pid), None)

    def kill_worker(self, part: Part) -> None:
        part.process.kill()
        part.process.wait()
        self.workers.remove(part)

    def stop(self) -> None:
        for part in self.workers:
            part.stop()
        for part in self.workers:
            part.wait(time.monotonic() + 10)
        self.valkey.stop()
        self.valkey.wait(time.monotonic() + 3)


def wait_until(is_true: Callable[[], Any], seconds: float, otherwise: str, *, every: float = 0.05) -> float:
    """Wait until is_true. Returns the seconds that it took; raises RuntimeError after `seconds`."""
    began = time.monotonic()
    while not is_true():
        if time.monotonic() - began > seconds:
            raise RuntimeError(otherwise)
        time.sleep(every)
    return time.monotonic() - began


def register_photos(folder: Path, count: int, size: int = 64) -> PhotoSet:
    """Register noise in three colours, one for each of three scene classes, through the worker."""
    from PIL import Image

    from trainer.photosets import registration

    colours = {"a/abbey": (200, 60, 60), "b/bar": (60, 200, 60), "b/beach": (60, 60, 200)}
    rng = np.random.default_rng(0)
    for key, colour in colours.items():
        (folder / key).mkdir(parents=True)
        for n in range(count // 3):
            pixels = rng.normal(colour, 60, (size, size, 3)).clip(0, 255).astype(np.uint8)
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "JPEG")
            (folder / key / f"{n}.jpg").write_bytes(out.getvalue())
    photo_set = registration.register_folder(name="Tiny", folder=folder, by=None)
    job = photo_set.job
    assert job

    def has_ended() -> bool:
        job.refresh_from_db()
        return not job.is_live

    wait_until(has_ended, 60, "the photos were not registered")
    return photo_set


def queue_run(photo_set: PhotoSet, name: str, recipe: dict[str, Any]) -> TrainingRun:
    """Queue a run of the preset resnet18-scratch-quick with these changes of the recipe."""
    from mapping.models import Release
    from trainer.models import TrainingRun
    from trainer.runs import start

    TrainingRun.objects.update(
        created_at="2000-01-01T00:00Z"
    )  # so that this does not count as a repeated click
    run = start.start_run(
        photo_set=photo_set,
        release=Release.objects.earliest("number"),
        preset="resnet18-scratch-quick",
        by=None,
        name=name,
    )
    run.recipe |= recipe
    run.save(update_fields=["recipe"])
    return run
