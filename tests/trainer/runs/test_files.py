"""A run that another machine continues: from the newest stored checkpoint, and under the newest lease."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

import pytest

from jobs import work
from jobs.lease import Lease, LeaseLost, claim, stopping
from jobs.models import Job
from jobs.processes import Event
from mapping.models import Release
from tests.conftest import RealBucket
from trainer import features
from trainer.models import PhotoSet, TrainingRun
from trainer.runs import files, start, supervision
from trainer.shared import Superseded

pytestmark = pytest.mark.django_db
OnMachine = Callable[[str], None]


@pytest.fixture
def run(bucket: RealBucket, on_machine: OnMachine, photo_set: PhotoSet, release: Release) -> TrainingRun:
    on_machine("a")
    return start.start_run(photo_set=photo_set, release=release, preset="frozen-lite0", by=None)


def write(run: TrainingRun, **contents: str) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (run.folder / f"{name}.pt").write_text(content)


def read(run: TrainingRun) -> dict[str, str]:
    return {file.stem: file.read_text() for file in run.folder.glob("*.pt")}


def saved(epoch: int) -> dict[str, object]:
    return {"event": "saved", "epoch": epoch, "batch": 0}


@pytest.fixture
def lease(run: TrainingRun) -> Lease:
    new = claim(run.job_id)
    assert new
    return new


def test_another_machine_continues_from_the_checkpoint_and_the_first_one_from_that(
    bucket: RealBucket, run: TrainingRun, lease: Lease, on_machine: OnMachine
) -> None:
    write(run, checkpoint="1", best="1")
    (run.folder / "checkpoint.old").touch()
    supervision.Recorder(lease, run).record(saved(1))
    on_machine("b")
    files.bring(run)
    assert read(run) == {"checkpoint": "1", "best": "1"}
    assert run.has_weights
    write(run, checkpoint="2", best="1")
    files.store(run, token=lease.token + 1)
    on_machine("a")
    files.bring(run)
    assert read(run) == {"checkpoint": "2", "best": "1"}
    assert not (run.folder / "checkpoint.old").exists()
    (run.folder / "checkpoint.pt").unlink()  # the run has ended here
    files.store(run, token=lease.token + 2)
    on_machine("b")
    files.bring(run)
    assert read(run) == {"best": "1"}
    assert len(bucket.keys) == 2  # an index and a content: nothing of earlier checkpoints


def test_machine_that_could_not_store_its_last_checkpoint_keeps_it(
    bucket: RealBucket, run: TrainingRun, lease: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = supervision.Recorder(lease, run)
    write(run, checkpoint="1")
    recorder.record(saved(1))
    write(run, checkpoint="2")
    with bucket.away(), caplog.at_level(logging.WARNING):
        recorder.record(saved(2))  # training goes on
    assert "stays on this machine" in caplog.text
    files.bring(run)
    assert read(run) == {"checkpoint": "2"}


def test_trainer_that_was_believed_dead_stores_nothing_more(
    run: TrainingRun, lease: Lease, on_machine: OnMachine
) -> None:
    on_machine("b")
    write(run, checkpoint="newer")
    files.store(run, token=lease.token + 1)
    on_machine("a")
    write(run, checkpoint="older")
    with pytest.raises(LeaseLost):
        supervision.Recorder(lease, run).record(saved(1))
    with pytest.raises(Superseded):
        files.store(run, token=lease.token)
    on_machine("b")
    files.bring(run)
    assert read(run) == {"checkpoint": "newer"}


def test_features_computed_by_one_machine_are_read_by_another(
    bucket: RealBucket, on_machine: OnMachine, settings: object
) -> None:
    from django.conf import settings as configured

    def parts() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in configured.FEATURE_CACHE_DIR.rglob("*.npz")}

    on_machine("a")
    for folder in ("lite0-224-whole-1", "lite2-260-whole-1", "teacher-a7-1", "teacher-b8-1"):
        (configured.FEATURE_CACHE_DIR / folder).mkdir(parents=True)
        (configured.FEATURE_CACHE_DIR / folder / f"{folder}.npz").write_bytes(b"features")
    features.store("lite0+teacher-a7")
    on_machine("b")
    features.bring("lite0+lite2+teacher-a7+teacher-b8")
    assert parts() == {"lite0-224-whole-1.npz": b"features", "teacher-a7-1.npz": b"features"}
    on_machine("c")
    [key, teachers_key] = sorted(bucket.keys)
    bucket.client.put_object(Bucket=bucket.name, Key=f"site/{key}", Body=b"damaged")
    features.bring("lite0")
    assert parts() == {}
    assert bucket.keys == {teachers_key}


@pytest.mark.integration
def test_training_that_is_interrupted_on_one_machine_continues_on_another(
    bucket: RealBucket,
    run: TrainingRun,
    on_machine: OnMachine,
    run_jobs: Callable[[], list[Job]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for photo in run.photo_set.photos.all():
        photo.sha256 = hashlib.sha256(photo.path.encode()).hexdigest()
        photo.save()
    begun: list[Event] = []
    record = supervision.Recorder.record

    def stop_the_first_time(recorder: supervision.Recorder, event: Event) -> None:
        record(recorder, event)
        if event["event"] == "started":
            begun.append(event)
        if event["event"] == "epoch" and len(begun) == 1:
            stopping.set()

    monkeypatch.setattr(supervision.Recorder, "record", stop_the_first_time)
    work.run(job_id=str(run.job_id))
    stopping.clear()
    assert Job.objects.get().state == Job.State.QUEUED
    computed = {key for key in bucket.keys if key.startswith("features/")}
    on_machine("b")
    [job] = run_jobs()
    assert (job.state, job.error) == (Job.State.SUCCEEDED, "")
    assert [event["resumed"] for event in begun] == [False, True]
    assert computed == {key for key in bucket.keys if key.startswith("features/")} != set()
    on_machine("c")
    files.bring(run)
    assert (run.folder / "report.json").exists()
