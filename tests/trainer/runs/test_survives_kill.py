"""Rule 2, one live trainer per run: worker and trainer are killed by SIGKILL during a training; cancelling.

`python -m benchmarks.faults` does this a hundred times, with more kinds of faults.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.contrib.auth.models import User

from jobs.models import Job
from mapping.models import Release
from tests.conftest import RealWorker, wait_for
from tests.trainer.conftest import jpeg
from trainer.models import TrainingRun
from trainer.photosets import registration
from trainer.runs import start

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("kill"),
]
EPOCHS = 8


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the workers that the test starts: 3 s instead of 20; and one thread each."""
    monkeypatch.setitem(os.environ, "JOB_LEASE_SECONDS", "3")
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")


@pytest.fixture
def run(
    release: Release, tmp_path: Path, user_for: Callable[..., User], run_jobs: Callable[[], list[Job]]
) -> TrainingRun:
    """Queued: a small network from scratch on 48 tiny photos, slow enough to be caught at it.

    EfficientNet-Lite0 is ours: each trainer starts without torchvision.
    """
    for name, colour in (("a/abbey", (200, 30, 30)), ("b/bar", (30, 200, 30)), ("b/beach", (30, 30, 200))):
        (tmp_path / name).mkdir(parents=True)
        for n in range(16):
            (tmp_path / name / f"{n}.jpg").write_bytes(jpeg((colour[0], colour[1], colour[2] - n)))
    by = user_for("admin")
    photo_set = registration.register_folder(name="Tiny", folder=tmp_path, by=by)
    run_jobs()
    new_run = start.start_run(photo_set=photo_set, release=release, preset="resnet18-scratch-quick", by=by)
    small = {"network": "efficientnet_lite0", "image_size": 64, "batch_size": 4}
    new_run.recipe |= small | {"epochs": EPOCHS}
    new_run.save()
    return new_run


def folder(run: TrainingRun) -> Path:
    """Where the worker keeps it: the test's own process has folders of its own, see conftest.py."""
    path: Path = settings.VAR_DIR / "runs" / str(run.pk)
    return path


def trainers(run: TrainingRun) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "trainer.engine" in words and any(str(folder(run)) in w for w in words):
            processes.append(process)
    return processes


@pytest.mark.postgres  # a killed worker leaves its connections and transactions open
def test_run_continues_and_ends_once_after_trainer_and_worker_are_killed(run: TrainingRun) -> None:
    worker = RealWorker()
    worker.start()
    try:
        wait_for(lambda: run.epochs.exists(), 240, "no epoch was trained")
        [trainer] = trainers(run)
        trainer.kill()
        epoch = run.epochs.count()
        wait_for(lambda: run.epochs.count() > epoch, 240, "it did not go on after the trainer's death")
        assert [process.pid for process in trainers(run)] != [trainer.pid]
        worker.kill()
        wait_for(lambda: not trainers(run), 15, "the trainer outlived its worker")
        wait_for(lambda: Job.objects.get(pk=run.job_id).is_silent, 15, "the page calls it running")
        assert run.epochs.count() < EPOCHS
        worker.start()
        wait_for(lambda: not Job.objects.get(pk=run.job_id).is_live, 240, "the run did not end")
    finally:
        worker.stop()
    run.refresh_from_db()
    assert run.job.state == Job.State.SUCCEEDED, (run.job.error, run.job.hint)
    assert (run.job.token, run.job.attempts) == (
        3,
        1,
    )  # it made progress in between, so this is not a failed attempt
    assert list(run.epochs.values_list("number", flat=True)) == list(range(1, EPOCHS + 1))
    assert run.balanced_accuracy is not None


def test_cancelled_it_stops_with_its_children_and_keeps_its_checkpoint(run: TrainingRun) -> None:
    from jobs.queue import cancel

    worker = RealWorker()
    worker.start()
    try:
        wait_for(lambda: run.epochs.exists(), 240, "no epoch was trained")
        cancel(job=run.job, by=None)
        wait_for(lambda: not trainers(run), 5, "the trainer outlived its cancel by five seconds")
        wait_for(
            lambda: Job.objects.get(pk=run.job_id).state == Job.State.CANCELLED, 5, "it was not cancelled"
        )
        assert (folder(run) / "checkpoint.pt").exists()
    finally:
        worker.stop()
