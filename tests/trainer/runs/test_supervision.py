"""What the engine's events do, without an engine."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from pytest_django import Settings

from jobs import queue, work
from jobs.lease import Lease, LeaseLost, claim
from jobs.models import Job
from mapping.models import Release
from trainer.models import PhotoSet, TestSet, TrainingRun
from trainer.runs import start, supervision

pytestmark = pytest.mark.django_db


@pytest.fixture
def started(photo_set: PhotoSet, release: Release) -> TrainingRun:
    run = start.start_run(photo_set=photo_set, release=release, preset="frozen-lite0", by=None)
    run.folder.mkdir(parents=True)
    return run


@pytest.fixture
def lease(started: TrainingRun) -> Lease:
    new_lease = claim(started.job_id)
    assert new_lease
    return new_lease


@pytest.fixture
def recorder(lease: Lease, started: TrainingRun) -> supervision.Recorder:
    return supervision.Recorder(lease, started)


def test_a_run_without_a_place_waits_for_it(
    photo_set: PhotoSet, release: Release, settings: Settings, tmp_path: Path
) -> None:
    settings.RUNS_DIR = tmp_path / "runs"
    settings.RUNS_DIR.touch()
    run = start.start_run(photo_set=photo_set, release=release, preset="frozen-lite0", by=None)
    work.run(job_id=str(run.job.pk))
    job = Job.objects.get(pk=run.job.pk)
    assert (job.state, job.attempts) == (Job.State.QUEUED, 0)
    assert job.message.startswith("Waiting for the storage, to continue by itself: ")


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"event": kind, **fields}


def step(number: int, **fields: Any) -> dict[str, Any]:
    return event("step", epoch=1, step=number, steps=1000, loss=1 / number, lr=0.1, **fields)


def epoch(number: int, **fields: Any) -> dict[str, Any]:
    return event("epoch", epoch=number, epochs=9, loss=1.0, accuracy=0.5, balanced_accuracy=0.4, **fields)


def test_running_epoch_is_shown_and_written_at_most_every_two_seconds(
    recorder: supervision.Recorder, started: TrainingRun
) -> None:
    recorder.record(step(1, photos_per_second=40.0, memory_mb=900, seconds_left=70))
    recorder.record(step(2))
    started.refresh_from_db()
    assert started.live["step"] == 1
    assert started.live["photos_per_second"] == 40.0
    recorder.last_write -= 2
    recorder.record(step(3))
    started.refresh_from_db()
    assert started.live["curve"] == [[1, 1.0, 0.1], [2, 0.5, 0.1], [3, 1 / 3, 0.1]]
    job = Job.objects.get(pk=started.job_id)
    assert (job.done, job.total, job.message) == (1, 1000, "Epoch 1, batches")


@pytest.mark.parametrize("stride", [1, 7])
def test_curve_stays_small_and_even(stride: int) -> None:
    curve: list[list[float]] = []
    for number in range(1, 20_000, stride):
        curve = supervision.add_point(curve, [number, 0.5, 0.1])
        assert len(curve) <= supervision.CURVE_POINTS
    gaps = np.diff([point[0] for point in curve])
    assert len(curve) > supervision.CURVE_POINTS / 3
    assert gaps.max() < 4 * gaps.min()


def test_repeated_steps_replace_those_before_the_kill() -> None:
    curve = [[1, 0.9, 0.1], [5, 0.8, 0.1], [9, 0.7, 0.1]]
    assert supervision.add_point(curve, [5, 0.6, 0.1]) == [[1, 0.9, 0.1], [5, 0.6, 0.1]]


def test_epoch_keeps_all_columns_and_takes_missing_ones(
    recorder: supervision.Recorder, started: TrainingRun
) -> None:
    recorder.record(epoch(1))
    recorder.record(epoch(2, train_accuracy=0.6, seconds=3.5, memory_mb=800.0, gpu_memory_mb=None))
    first, second = started.epochs.all()
    assert (first.train_accuracy, first.memory_mb) == (None, None)
    assert (second.train_accuracy, second.seconds, second.memory_mb) == (0.6, 3.5, 800.0)


def test_epoch_without_a_test_has_no_figures(
    recorder: supervision.Recorder, started: TrainingRun, client_for: Callable[..., Client]
) -> None:
    untested = {"test_loss": None, "accuracy": None, "balanced_accuracy": None}
    recorder.record(epoch(1) | untested)
    recorder.record(epoch(2, test_loss=1.5))
    page = client_for("viewer").get(started.get_absolute_url())
    assert [(row.loss, row.accuracy) for row in page.context["epochs"]] == [(1.0, None), (1.0, 0.5)]
    lines = {line.name: line for chart in page.context["charts"] for line in chart.lines}
    assert [len(lines[name].dots) for name in ("training", "held-out", "balanced")] == [2, 1, 1]
    assert page.content.decode().count('<td class="num">–</td>') >= 3


def attempts_after(run: TrainingRun, *events: dict[str, Any]) -> int:
    """The attempts of a run that has died three times, after these events."""
    Job.objects.filter(pk=run.job_id).update(state=Job.State.QUEUED, lease_until=None, attempts=3)
    new_lease = claim(run.job_id)
    assert new_lease
    run.refresh_from_db()
    recorder = supervision.Recorder(new_lease, run)
    for one in events:
        recorder.record(one)
    return Job.objects.get(pk=run.job_id).attempts


def test_only_what_was_never_reached_before_counts_as_progress(started: TrainingRun) -> None:
    assert attempts_after(started, step(5)) == 4
    assert attempts_after(started, epoch(1)) == 1
    assert attempts_after(started, epoch(1)) == 4
    assert attempts_after(started, event("saved", epoch=1, batch=7)) == 1
    assert attempts_after(started, event("saved", epoch=1, batch=7)) == 4
    assert attempts_after(started, event("saved", epoch=1, batch=8)) == 1
    assert attempts_after(started, epoch(2)) == 1


def test_holder_whose_lease_is_lost_writes_nothing(
    recorder: supervision.Recorder, started: TrainingRun
) -> None:
    Job.objects.filter(pk=started.job_id).update(token=9)
    for one in (step(1), epoch(1), event("saved", epoch=1, batch=1)):
        with pytest.raises(LeaseLost):
            recorder.record(one)
    started.refresh_from_db()
    assert started.live == {}
    assert not started.epochs.exists()


def test_waiting_early_stop_and_unknown_events(recorder: supervision.Recorder, started: TrainingRun) -> None:
    for one, words in (
        (event("waiting", reason="Another trainer still ends"), "Another trainer still ends"),
        (event("stopped_early", epoch=4, reason="no better"), "Stopped after epoch 4: no better"),
        (event("something_new"), "Stopped after epoch 4: no better"),
        (event("pseudo_labels", labelled=3, unlabelled=9), "3 of 9 photos without labels got one"),
    ):
        recorder.lease._last_beat = 0.0
        recorder.record(one)
        assert Job.objects.get(pk=started.job_id).message == words


def test_cancelled_run_keeps_what_it_takes_to_go_on(
    recorder: supervision.Recorder, started: TrainingRun
) -> None:
    recorder.record(step(1, photos_per_second=4))
    recorder.record(event("saved", epoch=0, batch=1))
    queue.cancel(job=started.job, by=None)
    recorder.clear()
    started.refresh_from_db()
    assert started.live == {"curve": [[1, 1.0, 0.1]], "saved": [0, 1]}


def test_results_hold_the_test_photos_and_which_were_right(
    lease: Lease, recorder: supervision.Recorder, started: TrainingRun
) -> None:
    recorder.record(step(1))
    photos = list(started.photo_set.photos.all()[:11])
    for photo in photos:
        photo.sha256 = hashlib.sha256(photo.path.encode()).hexdigest()
        photo.save()
    for number in (1, 2):  # the training that was not kept had one more
        started.epochs.create(number=number, loss=1.0)
    report = {"accuracy": 0.5, "balanced_accuracy": 0.4, "history": [{"epoch": 1}]}
    (started.folder / "report.json").write_text(json.dumps(report))
    with (started.folder / "test_predictions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo_id", "true", "predicted", "confidence"))
        for number, photo in enumerate(photos):
            rows.writerow((photo.pk, "bar", "bar" if number % 3 else "beach", 0.5))
        rows.writerow((10**9, "bar", "bar", 0.5))  # deleted meanwhile
    supervision._keep_results(lease, started, {"photos": 0, "classes": [], "unreadable": 0})
    started.refresh_from_db()
    assert started.live == {}
    assert [epoch.number for epoch in started.epochs.all()] == [1]
    assert started.test_set == TestSet.objects.get()
    assert started.test_set.photos == 11
    keys = np.frombuffer(started.test_set.keys, np.uint64)
    by_key = sorted(photos, key=lambda photo: photo.sha256)
    assert [f"{key:016x}" for key in keys] == [photo.sha256[:16] for photo in by_key]
    assert started.right is not None
    bits = np.unpackbits(np.frombuffer(started.right, np.uint8))[:11]
    assert bits.tolist() == [int(photos.index(photo) % 3 > 0) for photo in by_key]


def test_partitions_beside_the_photos_are_passed_on(started: TrainingRun, photo_set: PhotoSet) -> None:
    assert "partitions" not in supervision._task(started)
    (Path(photo_set.root).parent / "Partitions").mkdir()
    assert supervision._task(started)["partitions"] == str(Path(photo_set.root).parent / "Partitions")
