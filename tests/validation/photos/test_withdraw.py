"""Withdrawing a photo everywhere deletes all its files: in photo sets and as an original, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from jobs.models import Job
from mapping.models import Release, SceneClass
from tests.validation.photos.hostile import archive
from tests.validation.photos.test_corrections import pub
from tests.validation.photos.test_intake import media, noise
from trainer.models import PhotoSet, ScenePhoto, TrainingRun
from trainer.photosets.registration import register_folder
from trainer.runs import unlabelled
from validation.models import Campaign, Photo
from validation.photos import corrections, intake, intake_files, store

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
RunJobs = Callable[[], list[Job]]
Committed = Callable[..., Any]
__all__ = ["media", "pub"]


def withdraw(client: Client, photo: Photo, committed: Committed) -> None:
    with committed(execute=True):
        client.post(f"/validation/photos/{photo.pk}/withdraw/")


@pytest.fixture
def corrected_photos(
    campaign: Campaign,
    pub: SceneClass,
    user_for: Callable[..., User],
    run_jobs: RunJobs,
    settings: Settings,
    tmp_path: Path,
) -> PhotoSet:
    """A registered photo set of two corrected photos."""
    settings.PHOTO_SETS_DIR, settings.RUNS_DIR = tmp_path / "sets", tmp_path / "runs"
    by = user_for("admin")
    for photo in campaign.photos.order_by("pk")[:2]:
        corrections.correct(photo=photo, by=by, scene=pub, hashtag=None, seen=None)
    photo_set, missing = corrections.make_photo_set(name="Mended", by=by)
    run_jobs()
    assert (photo_set.photos.count(), missing) == (2, [])
    return photo_set


def test_withdrawing_a_photo_deletes_its_copies_in_photo_sets(
    corrected_photos: PhotoSet,
    campaign: Campaign,
    client_for: ClientFor,
    django_capture_on_commit_callbacks: Committed,
    settings: Settings,
) -> None:
    photo = campaign.photos.order_by("pk")[0]
    copy = ScenePhoto.objects.get(path__endswith=f"{photo.sha256}.jpg")
    viewer, path = client_for("viewer"), f"/trainer/photos/{copy.pk}"
    etag = viewer.get(f"{path}/").headers["ETag"]
    runs = [a_run(corrected_photos, state) for state in (Job.State.SUCCEEDED, Job.State.RUNNING)]
    boards = [settings.VAR_DIR / "tensorboard" / f"{run.pk}.json" for run in runs]
    for state in boards:  # an open TensorBoard has read the logs, and shows them until this file is gone
        state.parent.mkdir(exist_ok=True)
        state.write_text("{}")
    withdraw(client_for("admin"), photo, django_capture_on_commit_callbacks)
    assert not copy.file.exists()
    assert [(run.folder / "tensorboard").exists() for run in runs] == [False, True]
    assert [state.exists() for state in boards] == [False, True]
    assert viewer.get(f"{path}/").status_code == 404
    assert viewer.get(f"{path}/", headers={"If-None-Match": etag}).status_code == 404
    assert viewer.get(f"{path}/small/").status_code == 404
    assert viewer.get(corrected_photos.get_absolute_url()).status_code == 200
    other = corrected_photos.photos.exclude(pk=copy.pk).get()
    assert viewer.get(f"/trainer/photos/{other.pk}/").status_code == 200


def test_withdrawing_a_photo_deletes_the_logs_of_runs_that_labelled_it(
    corrected_photos: PhotoSet,
    campaign: Campaign,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Committed,
) -> None:
    """A run with pseudo-labels on a campaign's photos, whatever photo set it is on."""
    corrected = campaign.photos.order_by("pk")[:2].values_list("pk", flat=True)
    photo, other = campaign.photos.exclude(pk__in=list(corrected)).order_by("pk")[:2]
    showing, away, others, folder = (a_run(corrected_photos, Job.State.SUCCEEDED) for _ in range(4))
    for run, words in ((showing, "campaign 1"), (away, ""), (others, "campaign 2"), (folder, "/photos")):
        run.recipe = {"unlabelled": words}
        run.save()
    for run, listed in ((showing, photo), (others, other)):
        (run.folder / unlabelled.TABLE).write_text(f"path\n{listed.file.path}\n")
    client = client_for("admin")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        withdraw(client, photo, django_capture_on_commit_callbacks)
    assert (showing.folder / "tensorboard").exists()
    assert store.pixels_left(photo)
    withdraw(client, photo, django_capture_on_commit_callbacks)
    assert not store.pixels_left(photo)
    assert [(run.folder / "tensorboard").exists() for run in (showing, away, others, folder)] == [
        False,
        *[True] * 3,
    ]


def refuse(path: Path) -> None:
    raise OSError(13, "Permission denied", str(path))


def a_run(photo_set: PhotoSet, state: str) -> TrainingRun:
    from django.utils import timezone

    now = timezone.now()
    job = Job.objects.create(kind="trainer.train", title="x", state=state, finished_at=now, lease_until=now)
    release = Release.objects.get()
    run = TrainingRun.objects.create(
        name="x", photo_set=photo_set, release=release, preset="x", recipe={}, job=job
    )
    (run.folder / "tensorboard").mkdir(parents=True)
    return run


def test_photo_withdrawn_while_it_is_copied_is_deleted_from_the_photo_set(
    corrected_photos: PhotoSet,
    campaign: Campaign,
    user_for: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, first = register_folder, campaign.photos.order_by("pk")[0]

    def meanwhile(**kwargs: Any) -> PhotoSet:
        store.withdraw_everywhere(photo=first, by=user_for("admin"))
        return real(**kwargs)

    monkeypatch.setattr(corrections, "register_folder", meanwhile)
    photo_set, _ = corrections.make_photo_set(name="Again", by=user_for("admin"))
    assert len(list(Path(photo_set.root).rglob("*.jpg"))) == 1


def test_photo_with_a_missing_file_is_left_out_and_named(
    corrected_photos: PhotoSet, campaign: Campaign, client_for: ClientFor
) -> None:
    first, second = campaign.photos.order_by("pk")[:2]
    default_storage.delete(str(first.file.name))
    client, path = client_for("admin"), "/validation/corrections/train/"
    page = client.post(path, {"name": "Less"}, follow=True).content.decode()
    assert f"Left out, because their files are gone: {first}." in page
    photo_set = PhotoSet.objects.get(name="Less")
    assert [file.name for file in Path(photo_set.root).rglob("*.jpg")] == [f"{second.sha256}.jpg"]
    default_storage.delete(str(second.file.name))
    page = client.post(path, {"name": "None"}, follow=True).content.decode()
    assert "The files of all corrected photos are missing" in page
    assert not PhotoSet.objects.filter(name="None").exists()


def test_deletion_that_failed_is_tried_again(
    corrected_photos: PhotoSet,
    campaign: Campaign,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Committed,
) -> None:
    """Every file is tried, also after one that cannot be deleted."""
    photo = Photo.objects.get(pk=campaign.photos.order_by("pk")[0].pk)
    photo.small.save("photos/small.jpg", SimpleUploadedFile("s.jpg", noise(1)))
    copy = ScenePhoto.objects.get(path__endswith=f"{photo.sha256}.jpg").file
    client, page = client_for("admin"), f"/validation/photos/{photo.pk}/"
    real = FileSystemStorage.delete

    def fails(self: FileSystemStorage, name: str) -> None:
        if name == photo.file.name:
            raise PermissionError(13, "Permission denied")
        real(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStorage, "delete", fails)
        withdraw(client, photo, django_capture_on_commit_callbacks)
    exists = default_storage.exists
    assert (exists(str(photo.file.name)), exists(str(photo.small.name)), copy.exists()) == (
        True,
        False,
        False,
    )
    assert b"could not be deleted" in client.get(page).content
    withdraw(client, photo, django_capture_on_commit_callbacks)
    assert not exists(str(photo.file.name))
    content = client.get(page).content
    assert (b"pixels have been deleted" in content, b"could not be deleted" in content) == (True, True)
    assert b"could not be deleted" not in client.get(page).content


# --- originals --------------------------------------------------------------------------------


def fails_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def receive(**kwargs: Any) -> tuple[Photo, bool]:
        if kwargs["name"] == name:
            raise RuntimeError("a fault of the program")
        return store.receive(**kwargs)

    monkeypatch.setattr(intake, "receive", receive)


def test_original_is_deleted_once_its_photo_is_stored(
    run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch, client_for: ClientFor, media: Path
) -> None:
    fails_at(monkeypatch, "b.jpg")
    uploads = [SimpleUploadedFile(f"{name}.jpg", noise(n)) for n, name in enumerate("abc")]
    new_intake = intake.start(name="x", by=None, uploads=uploads)
    run_jobs()
    names = default_storage.listdir(f"intake/{new_intake.pk}")[1]
    assert sorted(names) == ["1", "2"]


def test_withdrawing_a_photo_deletes_its_original(
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    client_for: ClientFor,
    django_capture_on_commit_callbacks: Committed,
) -> None:
    """The original remains if the worker crashed after storing the photo, or could not delete it."""
    fails_at(monkeypatch, "b.jpg")
    monkeypatch.setattr(intake_files, "remove", list)
    uploads = [SimpleUploadedFile(f"{name}.jpg", noise(n)) for n, name in enumerate("ab")]
    new_intake = intake.start(name="x", by=None, uploads=uploads)
    run_jobs()
    photo, path = Photo.objects.get(), f"intake/{new_intake.pk}/0"
    assert default_storage.exists(path)
    withdraw(client_for("admin"), photo, django_capture_on_commit_callbacks)
    assert not default_storage.exists(path)
    assert default_storage.exists(f"intake/{new_intake.pk}/1")


def test_withdrawing_a_photo_deletes_what_a_killed_process_left_of_it(
    client_for: ClientFor, django_capture_on_commit_callbacks: Committed, media: Path
) -> None:
    photo = store.take_in(file=SimpleUploadedFile("a.jpg", noise(1)), name="a.jpg", by=None)
    pixels = media / str(photo.file.name)
    part = pixels.with_name(f"{pixels.name}x1y2.part")  # as formats.storage.replacing names it
    other = pixels.with_name("another.jpgx1y2.part")
    for file in (part, other):
        file.write_bytes(b"pixels")
    withdraw(client_for("admin"), photo, django_capture_on_commit_callbacks)
    assert not part.exists()
    assert other.exists()


def test_page_of_a_withdrawn_photo_names_an_archive_that_still_contains_it(
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    client_for: ClientFor,
    django_capture_on_commit_callbacks: Committed,
) -> None:
    fails_at(monkeypatch, "b.jpg")
    raw = archive({"a.jpg": noise(1), "b.jpg": noise(2)})
    new_intake = intake.start(name="Holiday", by=None, archive=SimpleUploadedFile("a.zip", raw))
    run_jobs()
    client, photo = client_for("admin"), Photo.objects.get()
    withdraw(client, photo, django_capture_on_commit_callbacks)
    page = f"/validation/photos/{photo.pk}/"
    assert b"The original file is still in the archive" in client.get(page).content
    assert intake.give_up(intake=new_intake)
    assert b"The original file is still" not in client.get(page).content
