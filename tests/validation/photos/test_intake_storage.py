"""A storage that fails speaks against no photo: the originals stay, and the intake goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from jobs import work
from jobs.models import Job
from tests.validation.photos.hostile import archive
from tests.validation.photos.test_intake import media, noise, states
from trainer.models import TrainedModel
from validation.models import Campaign, Intake, Photo
from validation.photos import intake as intakes
from validation.photos.intake_files import uploads_of

pytestmark = pytest.mark.django_db
__all__ = ["media"]


def block(media: Path) -> Path:
    """A file where the folder of the photos belongs: no photo can be written, as on a disk that is full."""
    blocker = media / "photos"
    media.mkdir(parents=True, exist_ok=True)
    blocker.write_bytes(b"")
    return blocker


def attempt(intake: Intake) -> Job:
    assert intake.job
    work.run(job_id=str(intake.job.pk))
    return Job.objects.get(pk=intake.job.pk)


@pytest.mark.parametrize("kind", ["uploads", "archive", "folder"])
def test_nothing_is_refused_or_deleted_and_the_job_goes_on(media: Path, tmp_path: Path, kind: str) -> None:
    blocker = block(media)
    photos = {f"{n}.jpg": noise(n) for n in range(2)}
    if kind == "uploads":
        uploads = [SimpleUploadedFile(name, content) for name, content in photos.items()]
        intake = intakes.start(name="x", by=None, uploads=uploads)
    elif kind == "archive":
        intake = intakes.start(name="x", by=None, archive=SimpleUploadedFile("a.zip", archive(photos)))
    else:
        folder = tmp_path / "photos" / "x"
        folder.mkdir()
        for name, content in photos.items():
            (folder / name).write_bytes(content)
        intake = intakes.start(name="x", by=None, folder=str(folder))
    originals = uploads_of(intake)
    for _ in range(9):  # more often than a job may die
        job = attempt(intake)
        assert (job.state, job.message[:24]) == (Job.State.QUEUED, "Waiting for the storage,")
    assert states(intake) == {"0.jpg": "waiting", "1.jpg": "waiting"}
    assert uploads_of(intake) == originals
    blocker.unlink()
    assert attempt(intake).state == Job.State.SUCCEEDED
    assert states(intake) == {"0.jpg": "taken", "1.jpg": "taken"}


def test_uploads_that_are_away_with_their_disk_are_not_refused(media: Path) -> None:
    uploads = [SimpleUploadedFile(f"{n}.jpg", noise(n)) for n in range(2)]
    intake = intakes.start(name="x", by=None, uploads=uploads)
    (media / "intake").rename(media / "unmounted")
    assert attempt(intake).state == Job.State.QUEUED
    (media / "unmounted").rename(media / "intake")
    assert attempt(intake).state == Job.State.SUCCEEDED
    assert states(intake) == {"0.jpg": "taken", "1.jpg": "taken"}


def test_a_single_upload_that_is_missing_is_refused(media: Path) -> None:
    uploads = [SimpleUploadedFile(f"{n}.jpg", noise(n)) for n in range(2)]
    intake = intakes.start(name="x", by=None, uploads=uploads)
    default_storage.delete(f"intake/{intake.pk}/0")
    assert attempt(intake).state == Job.State.SUCCEEDED
    assert states(intake) == {"0.jpg": "refused", "1.jpg": "taken"}


def test_the_form_says_that_files_cannot_be_stored(client_for: Callable[..., Client], media: Path) -> None:
    media.mkdir(parents=True, exist_ok=True)
    (media / "intake").write_bytes(b"")
    data = {"name": "x", "uploads": [SimpleUploadedFile("a.jpg", noise(1))]}
    page = client_for("admin").post("/validation/intakes/new/", data)
    assert (page.status_code, b"The files cannot be stored" in page.content) == (503, True)
    assert not Intake.objects.exists()


def test_a_campaign_is_not_created_if_its_photos_cannot_be_stored(
    client_for: Callable[..., Client], model: TrainedModel, media: Path
) -> None:
    block(media)
    data = {"name": "x", "model": model.pk, "votes_per_photo": 3, "audience": "members"}
    shares = dict.fromkeys(
        ("audit_share", "gold_share", "control_share", "silence_share", "would_post_share"), 5
    )
    uploads = {"uploads": [SimpleUploadedFile("a.jpg", noise(1))]}
    page = client_for("admin").post(
        "/validation/campaigns/new/", data | shares | {"min_confidence": 0} | uploads
    )
    assert (page.status_code, b"Photos cannot be stored" in page.content) == (503, True)
    assert not Campaign.objects.exists()
    assert not Photo.objects.exists()
