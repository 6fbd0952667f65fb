"""Photo sets of several machines: unpacked by one, used by another, and withdrawn photos by none."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from formats.storage import StorageFailure
from jobs import work
from jobs.models import Job
from mapping.models import SceneClass
from tests.conftest import RealBucket
from tests.trainer.conftest import jpeg
from tests.validation.conftest import taken_in
from trainer import set_files
from trainer.models import PhotoSet
from trainer.photosets import registration
from trainer.photosets.registration import register_upload
from trainer.shared import MARK
from validation.models import Correction, Photo
from validation.photos import corrections

OnMachine = Callable[[str], None]
RunJobs = Callable[[], list[Job]]


def archive(count: int = 3) -> SimpleUploadedFile:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(count):
            content = jpeg((number * 40, 20, 20))
            entry = tarfile.TarInfo(f"b/bar/{number}.jpg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return SimpleUploadedFile("bars.tar", out.getvalue())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != MARK}


def test_archive_sent_to_one_machine_is_unpacked_and_used_by_others(
    bucket: RealBucket,
    on_machine: OnMachine,
    classes: dict[str, SceneClass],
    run_jobs: RunJobs,
    client_for: Callable[..., Client],
) -> None:
    on_machine("web")
    photo_set = register_upload(name="Bars", upload=archive(), by=None)
    assert any(key.startswith("photo_sets/uploads-") for key in bucket.keys)
    assert not list(Path(settings.PHOTO_SETS_DIR).rglob("*.tar"))
    on_machine("worker")
    with bucket.away():
        work.run(job_id=str(photo_set.job_id))
        assert Job.objects.get().state == Job.State.QUEUED
    [job] = run_jobs()
    assert (job.state, job.error) == (Job.State.SUCCEEDED, "")
    assert {key.split("/")[1] for key in bucket.keys} == {str(photo_set.pk)}
    on_machine("another")
    photo_set.refresh_from_db()
    photo = photo_set.photos.all()[0]
    assert client_for("admin").get(f"/trainer/photos/{photo.pk}/").status_code == 200
    assert names(photo_set.folder) == {Path(photo.path).name}  # a page fetches what it shows
    photo.file.write_bytes(b"cut off")
    set_files.bring(photo_set)
    assert names(photo_set.folder) == {"0.jpg", "1.jpg", "2.jpg"}
    assert photo.file.read_bytes()[:2] == b"\xff\xd8"


def test_archive_is_refused_as_a_whole_while_the_bucket_is_away(
    bucket: RealBucket, on_machine: OnMachine, db: None
) -> None:
    on_machine("web")
    with bucket.away(), pytest.raises(StorageFailure):
        register_upload(name="Bars", upload=archive(), by=None)
    assert not PhotoSet.objects.exists()


def corrected_set(scene: SceneClass) -> tuple[PhotoSet, list[Photo]]:
    photos = [taken_in(number) for number in (1, 2)]
    for photo in photos:
        Correction.objects.create(photo=photo, scene_class=scene)
    photo_set, _ = corrections.make_photo_set(name="Corrected", by=None)  # type: ignore[arg-type]
    return photo_set, photos


def test_withdrawn_photo_leaves_the_bucket_and_the_copies(
    bucket: RealBucket, on_machine: OnMachine, classes: dict[str, SceneClass], run_jobs: RunJobs
) -> None:
    on_machine("web")
    photo_set, [gone, kept] = corrected_set(classes["b/bar"])
    on_machine("worker")
    assert [job.state for job in run_jobs()] == [Job.State.SUCCEEDED]
    assert len(names(photo_set.folder)) == 2
    on_machine("another web")
    assert corrections.has_copies(gone)
    with bucket.away():
        corrections.delete_copies(gone)  # it is told in the log, and asked again
    assert corrections.has_copies(gone)
    corrections.delete_copies(gone)
    assert not corrections.has_copies(gone)
    on_machine("worker")
    set_files.tidy()
    assert names(photo_set.folder) == {f"{kept.sha256}.jpg"}


def test_photo_withdrawn_while_its_set_is_registered_stays_out_of_the_bucket(
    bucket: RealBucket,
    on_machine: OnMachine,
    classes: dict[str, SceneClass],
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_machine("web")
    photo_set, [gone, kept] = corrected_set(classes["b/bar"])
    on_machine("worker")
    register = registration._register_photos

    def register_late(*args: Any) -> None:
        on_machine("web")
        corrections.delete_copies(gone)
        on_machine("worker")
        register(*args)

    monkeypatch.setattr(registration, "_register_photos", register_late)
    run_jobs()
    tree = set_files.tree_of(photo_set.root)
    assert tree
    index = tree.index()
    assert index
    assert [Path(path).name for path in index.files] == [f"{kept.sha256}.jpg"]
