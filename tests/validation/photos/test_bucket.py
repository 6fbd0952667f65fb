"""Photos in a bucket: taken in, shown, linked, withdrawn, and while the bucket is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from jobs import work
from jobs.models import Job
from tests.conftest import RealBucket
from tests.validation.conftest import picture, taken_in
from validation.models import Intake, Photo
from validation.photos import intake as intakes
from validation.photos.intake_files import remove_leftovers
from validation.photos.uploads import remove_leftover_parts
from validation.stored import save

ClientFor = Callable[..., Client]
NEW = "/validation/intakes/new/"


def names(photo: Photo) -> set[str]:
    return {f"media/{file.name}" for file in (photo.file, photo.small) if file}


@pytest.fixture
def admin(client_for: ClientFor) -> Client:
    client = client_for("admin")
    client.raise_request_exception = False
    return client


def send(client: Client, count: int = 1) -> int:
    files = [SimpleUploadedFile(f"{n}.jpg", picture(n, (900, 700))) for n in range(count)]
    return client.post(NEW, {"name": "x", "uploads": files, "consent": "own"}).status_code


def test_photo_is_taken_in_shown_and_withdrawn(
    bucket: RealBucket,
    admin: Client,
    run_jobs: Callable[[], list[Job]],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    assert send(admin) == 302
    assert [job.state for job in run_jobs()] == [Job.State.SUCCEEDED]
    photo = Photo.objects.get()
    assert bucket.keys == names(photo)  # the original is gone
    assert len(names(photo)) == 2
    for size in ("", "?size=small"):
        answer = admin.get(f"/validation/photos/{photo.pk}.jpg{size}")
        assert b"".join(answer)[:3] == b"\xff\xd8\xff"
    with django_capture_on_commit_callbacks(execute=True):
        admin.post(f"/validation/photos/{photo.pk}/withdraw/")
    assert bucket.keys == set()
    assert admin.get(f"/validation/photos/{photo.pk}.jpg").status_code == 404


def test_signed_link_dies_with_the_photo(
    bucket: RealBucket,
    admin: Client,
    client_for: ClientFor,
    settings: Settings,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    settings.STORAGE_LINK_SECONDS = 60
    address = f"/validation/photos/{taken_in(1).pk}.jpg"
    answer = admin.get(address)
    link = answer["Location"]
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["60"]
    assert "max-age=30" in answer["Cache-Control"]
    assert urlopen(link, timeout=5).read(2) == b"\xff\xd8"  # noqa: S310
    assert "Location" not in client_for("nobody").get(address)
    with django_capture_on_commit_callbacks(execute=True):
        admin.post(address.replace(".jpg", "/withdraw/"))
    with pytest.raises(HTTPError, match="404"):
        urlopen(link, timeout=5)  # noqa: S310
    assert admin.get(address).status_code == 404


def test_upload_while_the_bucket_goes_away_is_refused_as_a_whole(
    bucket: RealBucket, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []

    def save_and_cut(name: str, content: object) -> str:
        saved.append(save(name, content))  # type: ignore[arg-type]
        bucket.server.stop()
        return saved[-1]

    monkeypatch.setattr(intakes, "save", save_and_cut)
    try:
        assert send(admin, 2) == 503
    finally:
        bucket.server.start()
    assert len(saved) == 1
    assert not Intake.objects.exists()
    default_storage.save("uploads/7/000-a", ContentFile(b"a piece whose row was never written"))
    remove_leftovers()  # not yet: a row may still come
    remove_leftover_parts()
    assert len(bucket.keys) == 2
    remove_leftovers(minutes=0)  # a day later: the bucket could not be asked to delete it
    remove_leftover_parts(minutes=0)
    assert bucket.keys == set()


def test_intake_waits_for_the_bucket_and_goes_on(
    bucket: RealBucket, admin: Client, run_jobs: Callable[[], list[Job]]
) -> None:
    send(admin, 2)
    job = Job.objects.get()
    with bucket.away():
        work.run(job_id=str(job.pk))
        job.refresh_from_db()
        assert (job.state, job.message[:23]) == (Job.State.QUEUED, "Waiting for the storage")
        assert admin.get("/validation/photos/1.jpg").status_code == 404  # what is in the database is told
    run_jobs()
    assert (Photo.objects.count(), Intake.objects.get().files.filter(state="refused").count()) == (2, 0)


def test_photo_that_cannot_be_reached_is_not_said_to_be_gone(bucket: RealBucket, admin: Client) -> None:
    photo = taken_in(1)
    address = f"/validation/photos/{photo.pk}.jpg"
    with bucket.away():
        assert admin.get(address).status_code == 503
    bucket.client.delete_object(Bucket=bucket.name, Key=f"site/media/{photo.file.name}")
    assert admin.get(address).status_code == 404
    bucket.client.delete_bucket(Bucket=bucket.name)
    assert admin.get(address).status_code == 503
