"""Registering a photo set: the job and its report."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import IntegrityError, transaction
from django.test import override_settings
from pytest_django import Settings

from formats.storage import StorageFailure
from jobs import work
from jobs.lease import Lease, LeaseLost, claim
from jobs.models import Job
from tests.trainer.conftest import jpeg, write
from tests.trainer.photosets.test_archive import entry, tar_of
from trainer.models import PhotoSet, ScenePhoto
from trainer.photosets import registration

RunJobs = Callable[[], list[Job]]
pytestmark = pytest.mark.django_db


def skipped(photo_set: PhotoSet) -> dict[str, int]:
    photo_set.refresh_from_db()
    return {row["reason"]: row["total"] for row in photo_set.report["skipped"]}


def test_folder_is_registered_and_stays_where_it_is(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    write(folder / "a/athletic_field/outdoor/x.jpg", jpeg((1, 2, 3)))
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    photo_set.refresh_from_db()
    assert photo_set.report["taken"] == photo_set.photos.count() == 41
    deep = photo_set.photos.get(path="a/athletic_field/outdoor/x.jpg")
    assert deep.scene_class
    assert deep.scene_class.key == "a/athletic_field/outdoor"
    assert deep.file.read_bytes() == jpeg((1, 2, 3))
    assert photo_set.report["skipped"] == []


def label_photos(folder: Path) -> None:
    write(folder / "_other/pets/1.jpg", jpeg((1, 2, 3)))
    write(folder / "_hashtag/cars/1.jpg", jpeg((4, 5, 6)))


def test_photos_out_of_scope_and_of_a_hashtag_need_no_class(
    classes: object, folder: Path, run_jobs: RunJobs
) -> None:
    label_photos(folder)
    write(folder / "_hashtag/1.jpg", jpeg((7, 8, 9)))
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    photo_set.refresh_from_db()
    assert (photo_set.report["taken"], photo_set.report["classes"]) == (42, 4)
    assert skipped(photo_set) == {"unknown class folder": 1}
    photos = photo_set.photos.filter(scene_class=None)
    assert sorted(photo.subject for photo in photos) == ["_hashtag/cars", "_other/pets"]
    labels = {"b/beach": "beach", "b/bar": "cars"}
    with_label, left_out = registration.photos_per_label(photo_set, labels)
    assert with_label == {"beach": 10, "cars": 11, "other": 1}
    assert sum(left_out.values()) == 20
    assert registration.photos_per_label(photo_set, {})[1]["_hashtag/cars"] == 1


def test_a_tar_may_have_label_folders(classes: object, tmp_path: Path, run_jobs: RunJobs) -> None:
    tar = tar_of(tmp_path / "x.tar", entry("SUN/_other/pets/1.jpg", jpeg((1, 2, 3))))
    photo_set = registration.register_tar(name="Tar", tar=tar, by=None)
    run_jobs()
    assert photo_set.photos.get().label_folder == "_other/pets"


def test_a_photo_has_a_class_or_a_label_folder(photo_set: PhotoSet) -> None:
    photo = photo_set.photos.first()
    assert photo
    for changes in ({"scene_class": None}, {"label_folder": "_other"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            photo_set.photos.filter(pk=photo.pk).update(**changes)


def test_one_bad_file_never_stops_the_rest(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    write(folder / "b/bar/broken.jpg", jpeg(size=(300, 300))[:-200])
    write(folder / "b/bar/empty.jpg", b"")
    write(folder / "b/bar/again.jpg", (folder / "b/bar/0.jpg").read_bytes())
    write(folder / "b/bar/notes.txt", b"x")
    for i in range(30):
        write(folder / f"x/nowhere{i}/1.jpg", jpeg())
        write(folder / f"x/nowhere{i}/2.jpg", jpeg())
    secret = write(folder.parent / "secret.jpg", jpeg((9, 9, 9)))
    (folder / "b/bar/link.jpg").symlink_to(secret)
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    assert skipped(photo_set) == {
        "unknown class folder": 60,
        "does not decode": 1,
        "empty file": 1,
        "the same photo as another": 1,
        "not a photo file": 1,
        "link that leads out of the folder": 1,
    }
    unknown = photo_set.report["skipped"][0]
    assert len(unknown["examples"]) == registration.EXAMPLES
    assert unknown["examples"][0] == "x/nowhere0/ (2 files)"
    assert photo_set.photos.count() == 40


def test_folders_mean_the_class_in_any_spelling_and_links_are_named(
    classes: object, folder: Path, run_jobs: RunJobs
) -> None:
    for number, name in enumerate(("A/Athletic-Field/outdoor", "a/athletic field/Outdoor")):
        write(folder / name / "x.jpg", jpeg((1, 2, 90 * number)))
    write(folder.parent / "real/1.jpg", jpeg((7, 8, 9)))
    (folder / "b/shore").symlink_to(folder.parent / "real")
    (folder / "b/bar/circle.jpg").symlink_to("circle.jpg")
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    assert photo_set.photos.filter(scene_class__key="a/athletic_field/outdoor").count() == 2
    assert skipped(photo_set) == {"link to a folder: links are not followed": 1, "cannot be read": 1}
    examples = [row["examples"] for row in photo_set.report["skipped"]]
    assert sorted(examples) == [["b/bar/circle.jpg"], ["b/shore"]]


def test_name_that_is_no_text_is_reported(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    target = os.fsencode(folder / "b/bar") + b"/\xff\xfe.jpg"
    with open(target, "wb") as file:
        file.write(jpeg((5, 5, 5)))
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    assert skipped(photo_set) == {"name is not text, or too long": 1}


def test_interrupted_registration_continues(
    classes: object, folder: Path, monkeypatch: pytest.MonkeyPatch, run_jobs: RunJobs
) -> None:
    monkeypatch.setattr(registration, "BATCH", 8)
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    assert photo_set.job
    lease = claim(photo_set.job.pk)
    assert lease
    read: list[str] = []
    check = registration._check

    def counted(root: Path, path: str) -> Any:
        read.append(path)
        return check(root, path)

    monkeypatch.setattr(registration, "_check", counted)
    fences = 0
    fenced = Lease.fenced

    def dies_at_the_third(self: Lease) -> Any:
        nonlocal fences
        fences += 1
        if fences == 3:
            Job.objects.filter(pk=self.job.pk).update(state=Job.State.QUEUED, lease_until=None)
        return fenced(self)

    monkeypatch.setattr(Lease, "fenced", dies_at_the_third)
    with pytest.raises(LeaseLost):
        registration.register(lease)
    assert photo_set.photos.count() == 16
    read.clear()
    run_jobs()
    assert photo_set.photos.count() == 40
    assert len(read) == 24
    photo_set.refresh_from_db()
    assert photo_set.report["taken"] == 40


def test_two_sets_may_share_photos(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    registration.register_folder(name="one", folder=folder, by=None)
    registration.register_folder(name="two", folder=folder, by=None)
    assert [job.state for job in run_jobs()] == ["succeeded", "succeeded"]
    assert ScenePhoto.objects.count() == 80


def test_folder_without_photos_fails_with_a_reason(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    (tmp_path / "empty").mkdir()
    registration.register_folder(name="SUN", folder=tmp_path / "empty", by=None)
    registration.register_folder(name="gone", folder=tmp_path / "gone", by=None)
    first, second = run_jobs()
    assert (first.state, first.error) == (Job.State.FAILED, "No photo was registered.")
    assert "There is no folder" in second.error


def test_tar_is_unpacked_and_reported(classes: object, tmp_path: Path, run_jobs: RunJobs) -> None:
    tar = tar_of(
        tmp_path / "t.tar.gz",
        entry("SUN397/b/bar/1.jpg", jpeg((1, 1, 1))),
        entry("SUN397/b/bar/../../../up.jpg", b"x"),
        entry("SUN397/b/bar/2.jpg", b"broken"),
        mode="w:gz",
    )
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    assert skipped(photo_set) == {"path leads out of the archive (..)": 1, "does not decode": 1}
    assert photo_set.photos.get().file.is_relative_to(settings.PHOTO_SETS_DIR / str(photo_set.pk))
    assert tar.exists()


def test_truncated_tar_is_registered_in_part_with_a_warning(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    tar = tar_of(tmp_path / "t.tar", *(entry(f"b/bar/{i}.jpg", jpeg((i, 1, 1))) for i in range(20)))
    tar.write_bytes(tar.read_bytes()[:15_000])
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    [job] = run_jobs()
    photo_set.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED
    assert "cut off or damaged" in photo_set.report["warning"]
    assert 0 < photo_set.photos.count() < 20


def test_file_that_is_not_a_tar_fails_with_a_reason(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    registration.register_tar(name="SUN", tar=write(tmp_path / "t.tar", b"hello"), by=None)
    [job] = run_jobs()
    assert job.state == Job.State.FAILED
    assert "not a tar" in job.error


def test_upload_is_deleted_when_all_photos_are_registered(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg()))
    upload = TemporaryUploadedFile("../../t.tar", "application/x-tar", tar.stat().st_size, None)
    upload.write(tar.read_bytes())
    upload.seek(0)
    photo_set = registration.register_upload(name="SUN", upload=upload, by=None)
    upload.close()
    kept = Path(photo_set.source)
    assert kept.is_file()
    assert kept.is_relative_to(settings.PHOTO_SETS_DIR)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    assert not kept.exists()


# --- the disk fails ---------------------------------------------------------------------------


def attempt(photo_set: PhotoSet) -> Job:
    assert photo_set.job
    work.run(job_id=str(photo_set.job.pk))
    return Job.objects.get(pk=photo_set.job.pk)


def test_folder_that_goes_away_is_waited_for(
    classes: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    away = folder.with_name("unmounted")
    check, count = registration._check, 0

    def unmounted_at_the_fifth(root: Path, path: str) -> Any:
        nonlocal count
        count += 1
        if count == 5:
            folder.rename(away)
        return check(root, path)

    monkeypatch.setattr(registration, "BATCH", 8)
    monkeypatch.setattr(registration, "_check", unmounted_at_the_fifth)
    monkeypatch.setattr(registration, "_threads", lambda: 1)
    job = attempt(photo_set)
    assert (job.state, job.message[:23]) == (Job.State.QUEUED, "Waiting for the storage")
    photo_set.refresh_from_db()
    assert (photo_set.photos.count(), photo_set.report) == (0, {})
    away.rename(folder)
    assert attempt(photo_set).state == Job.State.SUCCEEDED
    photo_set.refresh_from_db()
    assert (photo_set.photos.count(), photo_set.report["skipped_total"]) == (40, 0)


def test_registered_folder_that_is_away_is_waited_for(classes: object, folder: Path) -> None:
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    job = attempt(photo_set)
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED, finished_at=None)
    folder.rename(folder.with_name("unmounted"))
    assert attempt(photo_set).state == Job.State.QUEUED


def test_tar_is_unpacked_when_there_is_room_again(classes: object, tmp_path: Path) -> None:
    big = jpeg(size=(48, 32)) + bytes(2**25)  # larger than the database
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg((1, 1, 1))), entry("b/bar/2.jpg", big))
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**25, hard))
    try:
        with override_settings(MAX_PHOTO_BYTES=2**26):
            job = attempt(photo_set)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (job.state, "File too large" in job.message) == (Job.State.QUEUED, True)
    photos = [path.name for path in Path(photo_set.root).rglob("*") if path.is_file()]
    assert photos == ["1.jpg"]
    with override_settings(MAX_PHOTO_BYTES=2**26):
        assert attempt(photo_set).state == Job.State.SUCCEEDED
    photo_set.refresh_from_db()
    assert (photo_set.photos.count(), skipped(photo_set)) == (2, {})


def test_place_of_unpacked_photos_that_is_no_folder_is_waited_for(
    classes: object, tmp_path: Path, settings: Settings
) -> None:
    settings.PHOTO_SETS_DIR = tmp_path / "sets"
    settings.PHOTO_SETS_DIR.touch()
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg()))
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    assert attempt(photo_set).state == Job.State.QUEUED
    settings.PHOTO_SETS_DIR.unlink()
    assert attempt(photo_set).state == Job.State.SUCCEEDED


def test_upload_that_cannot_be_kept_leaves_nothing(
    classes: object, tmp_path: Path, settings: Settings
) -> None:
    settings.PHOTO_SETS_DIR = tmp_path / "sets"
    settings.PHOTO_SETS_DIR.touch()
    with pytest.raises(StorageFailure):
        registration.register_upload(name="SUN", upload=SimpleUploadedFile("t.tar", b"x"), by=None)
    assert not PhotoSet.objects.exists()
