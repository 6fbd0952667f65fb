"""The limit on weights of runs: which are deleted, in which order, and which never."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from mapping.models import Release
from trainer.models import PhotoSet, TrainedModel, TrainingRun
from trainer.runs import disk

pytestmark = pytest.mark.django_db
RunFor = Callable[..., TrainingRun]


@pytest.fixture
def run_for(photo_set: PhotoSet, release: Release, finished_job: Callable[..., Job]) -> RunFor:
    """A run with 100 bytes of checkpoint and of weights; each ended a minute after the one before."""

    def make(state: str = "succeeded", **fields: Any) -> TrainingRun:
        job = finished_job("trainer.train", "queued" if state == "running" else state)
        minutes = timedelta(minutes=TrainingRun.objects.count() - 100)
        if job.finished_at:
            Job.objects.filter(pk=job.pk).update(finished_at=timezone.now() + minutes)
        elif state == "running":
            Job.objects.filter(pk=job.pk).update(state=state, lease_until=timezone.now())
        run = TrainingRun.objects.create(
            name="Run", photo_set=photo_set, release=release, preset="x", recipe={}, job=job, **fields
        )
        run.folder.mkdir(parents=True)
        for name in ("checkpoint.pt", "best.pt", "report.json", "test_predictions.csv"):
            (run.folder / name).write_bytes(bytes(100))
        return run

    return make


def left(run: TrainingRun) -> set[str]:
    return {file.name.removesuffix(".pt") for file in run.folder.glob("*.pt")}


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda size: monkeypatch.setattr(settings, "RUNS_DISK_BYTES", size)


def test_checkpoints_of_finished_runs_go_first(run_for: RunFor, limit: Callable[[int], None]) -> None:
    failure, old, new = run_for("failed"), run_for(), run_for()
    limit(500)
    assert disk.make_room() == [old.folder / "checkpoint.pt"]
    old.refresh_from_db()
    assert old.weights_removed_at is None  # the run lacks nothing that it still needs
    limit(400)
    assert disk.make_room() == [new.folder / "checkpoint.pt"]
    assert left(failure) == {"checkpoint", "best"}
    assert disk.make_room() == []


def test_the_checkpoint_before_the_newest_is_the_first_to_go(
    run_for: RunFor, limit: Callable[[int], None]
) -> None:
    failure, _last = run_for("failed"), run_for()
    previous = failure.folder / "checkpoint.old"
    previous.write_bytes(bytes(100))
    assert disk.usage().size == 500
    limit(400)
    assert disk.make_room() == [previous]
    failure.refresh_from_db()
    assert failure.weights_removed_at is None  # it can go on all the same


def test_both_trainings_of_a_run_with_pseudo_labels_count(
    run_for: RunFor, limit: Callable[[int], None]
) -> None:
    failure, _last = run_for("failed"), run_for()
    files = [failure.folder / name for name in ("first/checkpoint.pt", "again/checkpoint.pt")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(bytes(100))
    assert disk.usage().size == 600
    limit(200)
    assert set(files) <= set(disk.make_room())
    failure.refresh_from_db()
    assert failure.weights_removed_at


def test_pixels_that_a_killed_trainer_left_go_once_its_run_has_ended(run_for: RunFor) -> None:
    ended, live = run_for("failed"), run_for("running")
    files = [run.folder / "train.pixels" for run in (ended, live)]
    for file in files:
        file.write_bytes(b"pixels")
    disk.make_room()
    assert [file.exists() for file in files] == [False, True]
    ended.refresh_from_db()
    assert not ended.weights_removed_at


def test_weights_that_are_exported_go_before_those_that_are_not(
    run_for: RunFor, limit: Callable[[int], None], model_for: Callable[..., TrainedModel]
) -> None:
    mine, with_model, failure, _last = run_for(), run_for(), run_for("cancelled"), run_for()
    model_for("Ready", run=with_model)
    limit(1)
    order = [(file.parent.name, file.name) for file in disk.make_room()]
    assert order[3:] == [
        (str(with_model.pk), "best.pt"),
        (str(failure.pk), "checkpoint.pt"),
        (str(failure.pk), "best.pt"),
        (str(mine.pk), "best.pt"),
    ]
    for run in (mine, with_model, failure):
        run.refresh_from_db()
        assert run.weights_removed_at
        assert (run.folder / "report.json").exists()
        assert (run.folder / "test_predictions.csv").exists()


def test_live_newest_and_exporting_runs_keep_theirs(
    run_for: RunFor, limit: Callable[[int], None], finished_job: Callable[..., Job]
) -> None:
    waiting, exporting = run_for("queued"), run_for()
    job = finished_job("trainer.export", "queued")
    TrainedModel.objects.create(name="Soon", run=exporting, job=job)
    newest = run_for()
    running = run_for("running")
    limit(1)
    assert disk.make_room() == [newest.folder / "checkpoint.pt"]
    assert left(newest) == {"best"}
    assert left(waiting) == left(running) == left(exporting) == {"checkpoint", "best"}


def test_no_limit_and_enough_room_remove_nothing(run_for: RunFor, limit: Callable[[int], None]) -> None:
    runs = [run_for() for _ in range(3)]
    for size in (0, 600):
        limit(size)
        assert disk.make_room() == []
    assert all(left(run) == {"checkpoint", "best"} for run in runs)


def test_half_written_files_count(run_for: RunFor, limit: Callable[[int], None]) -> None:
    run = run_for()
    (run.folder / "checkpoint.ptx1.part").write_bytes(bytes(50))
    limit(10**9)
    assert disk.usage() == disk.Usage(250, 10**9)
    assert disk.Usage(8_130_000_000, 20 * 10**9).words == "8.1 of 20 GB"


def test_run_that_starts_again_is_no_longer_marked_as_removed(run_for: RunFor) -> None:
    run = run_for("queued", weights_removed_at=timezone.now())
    disk.make_room(next_run=run)
    run.refresh_from_db()
    assert run.weights_removed_at is None


def test_pages_say_so(
    run_for: RunFor, client_for: Callable[..., Client], limit: Callable[[int], None]
) -> None:
    run = run_for(weights_removed_at=timezone.now())
    limit(20 * 10**9)
    client = client_for("admin")
    page = client.get(run.get_absolute_url()).content.decode()
    assert "Its weights were removed on" in page
    assert f"?based_on={run.pk}" in page
    assert "0.0 of 20 GB" in client.get("/trainer/models/").content.decode()
