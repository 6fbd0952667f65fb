"""Rarer problems: names that are not text, a crash between photo and row, files that crash the program."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from formats.storage import StorageFailure
from jobs import queue as jobs
from jobs.keeper import keep_house
from jobs.models import Job
from tests.validation.photos.test_intake import NEW, media, noise, states
from validation.models import Campaign, Intake, Photo
from validation.photos import intake, intake_files
from validation.photos.similar import Hashes
from validation.photos.store import PhotoRefused, receive, take_in, withdraw_everywhere

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], list[Job]]
__all__ = ["media"]


def smaller(raw: bytes, width: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(raw)).resize((width, width * 3 // 4)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_file_name_that_is_not_utf8_is_refused_and_other_files_are_taken_in(
    user_for: Callable[..., User], run_jobs: RunJobs, tmp_path: Path
) -> None:
    root = tmp_path / "photos/x"
    root.mkdir()
    (root / "a.jpg").write_bytes(noise(1))
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).write_bytes(noise(2))
    new_intake = intake.start(name="x", by=user_for("admin"), folder=str(root))
    run_jobs()
    assert states(new_intake) == {"a.jpg": "taken", "\N{REPLACEMENT CHARACTER}.jpg": "refused"}
    assert "UTF-8" in new_intake.files.get(state="refused").reason


def test_near_duplicate_stored_by_a_worker_that_crashed_is_still_found(
    campaign: Campaign,
    user_for: Callable[..., User],
    run_jobs: RunJobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "photos/x"
    root.mkdir()
    first = noise(1, (800, 600))
    (root / "a.jpg").write_bytes(first)
    (root / "b.jpg").write_bytes(smaller(first, 400))

    def stored_by_who_died(*, name: str, **rest: Any) -> tuple[Photo, bool]:
        photo, is_new = receive(name=name, **rest)
        return photo, is_new and name != "b.jpg"

    monkeypatch.setattr(intake, "receive", stored_by_who_died)
    new_intake = intake.start(name="x", by=user_for("admin"), folder=str(root), campaign=campaign)
    run_jobs()
    assert states(new_intake) == {"a.jpg": "taken", "b.jpg": "similar"}
    assert not campaign.photos.filter(name="b.jpg").exists()


def test_near_duplicate_of_a_withdrawn_photo_becomes_an_original(user_for: Callable[..., User]) -> None:
    raw = noise(1, (800, 600))
    original = take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    copy = take_in(file=io.BytesIO(smaller(raw, 400)), name="b.jpg", by=None)
    Photo.objects.filter(pk=copy.pk).update(near_duplicate_of=original)
    withdraw_everywhere(photo=original, by=user_for("admin"))
    assert copy.phash is not None
    assert Hashes().nearest(copy.phash, before=copy.pk + 1) == copy.pk


def test_giving_up_deletes_the_uploads_and_keeps_the_photos(
    user_for: Callable[..., User], client_for: Callable[..., Client], run_jobs: RunJobs, media: Path
) -> None:
    made = intake.start(name="x", by=user_for("admin"), archive=SimpleUploadedFile("a.zip", b"no zip"))
    client, path = client_for("admin"), f"/validation/intakes/{made.pk}/give-up/"
    assert b"the job is still working" in client.post(path, follow=True).content
    run_jobs()
    assert b"Give up and delete them" in client.get(f"/validation/intakes/{made.pk}/").content
    for role, status in (("stranger", 302), ("viewer", 403)):
        assert client_for(role).post(path).status_code == status
    assert default_storage.exists(made.path)
    assert b"are deleted" in client.post(path, follow=True).content
    assert b"nothing to delete" in client.post(path, follow=True).content
    assert not default_storage.exists(made.path)


# --- deaths and failures ----------------------------------------------------------------------


def silence(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.requeue_expired()


def test_file_that_keeps_crashing_the_program_is_refused_and_others_are_taken_in(
    run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six such files in a row, three crashes each: a job fails only after five crashes at the same place."""

    def receive_or_die(**kwargs: Any) -> tuple[Photo, bool]:
        if kwargs["name"].startswith("deadly"):
            raise KeyboardInterrupt  # nothing of the job's own code runs after it, as after a kill
        return receive(**kwargs)

    monkeypatch.setattr(intake, "receive", receive_or_die)
    names = [f"{'deadly' if n < 6 else 'good'}{n}.jpg" for n in range(7)]
    uploads = [SimpleUploadedFile(name, noise(n)) for n, name in enumerate(names)]
    new_intake = intake.start(name="x", by=None, uploads=uploads)
    job = new_intake.job
    assert job
    for _ in range(18):
        with pytest.raises(KeyboardInterrupt):
            run_jobs()
        silence(job)
    run_jobs()
    job.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED
    assert states(new_intake) == {name: "refused" if "deadly" in name else "taken" for name in names}
    assert set(new_intake.files.filter(state="refused").values_list("reason", flat=True)) == {
        intake_files.DEADLY
    }


def test_slow_file_keeps_the_lease(run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(**kwargs: Any) -> tuple[Photo, bool]:
        long_ago = timezone.now() - timedelta(minutes=5)
        Job.objects.update(lease_until=long_ago)
        keep_house()
        assert not Job.objects.get().is_silent
        return receive(**kwargs)

    monkeypatch.setattr(intake, "receive", slow)
    new_intake = intake.start(name="x", by=None, uploads=[SimpleUploadedFile("a.jpg", noise(1))])
    run_jobs()
    assert states(new_intake) == {"a.jpg": "taken"}


def test_failed_start_stores_nothing(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, stored_names = default_storage.save, list[str]()

    def full(name: str, content: Any, **options: Any) -> str:
        if len(stored_names) == 2:
            raise OSError(28, "No space left on device")
        stored_names.append(real(name, content, **options))
        return stored_names[-1]

    monkeypatch.setattr(default_storage, "save", full)
    uploads = [SimpleUploadedFile(f"{n}.jpg", noise(n)) for n in range(3)]
    with pytest.raises(StorageFailure, match="No space"):
        intake.start(name="x", by=None, uploads=uploads)
    assert (len(stored_names), Intake.objects.count(), Job.objects.count()) == (2, 0, 0)
    assert not [path for path in media.rglob("*") if path.is_file()]


# --- the form ---------------------------------------------------------------------------------


def test_junk_files_are_not_stored(
    client_for: Callable[..., Client], run_jobs: RunJobs, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    junk = [SimpleUploadedFile(name, b"GPS") for name in ("._a.jpg", ".DS_Store", "Thumbs.db")]
    photo = SimpleUploadedFile("a.jpg", noise(1))
    new_intake = intake.start(name="x", by=None, uploads=[*junk, photo])
    assert default_storage.listdir(f"intake/{new_intake.pk}")[1] == ["0"]
    page = client_for("admin").post(NEW, {"name": "y", "uploads": junk})
    assert (page.status_code, b"one of the three" in page.content) == (422, True)


def test_the_form_names_uploads_that_are_too_large(
    client_for: Callable[..., Client], settings: Settings
) -> None:
    settings.MAX_PHOTO_BYTES = 2**20
    uploads = [SimpleUploadedFile("big.jpg", bytes(2**20 + 1)), SimpleUploadedFile("a.jpg", noise(1))]
    page = client_for("admin").post(NEW, {"name": "x", "uploads": uploads})
    assert (page.status_code, b"these files are larger than 1 MB: big.jpg." in page.content) == (
        422,
        True,
    )
    assert not Intake.objects.exists()


def test_form_sent_twice_starts_one_intake(client_for: Callable[..., Client], media: Path) -> None:
    client = client_for("admin")
    key = client.get(NEW).context["form"]["request_id"].value()
    pages = [
        client.post(
            NEW,
            {"name": "x", "request_id": key, "uploads": [SimpleUploadedFile("a.jpg", noise(1))]},
            follow=True,
        )
        for _ in range(2)
    ]
    new_intake = Intake.objects.get()
    assert [page.redirect_chain[-1][0] for page in pages] == [new_intake.get_absolute_url()] * 2
    assert b"sent before" in pages[1].content
    new_key = client.get(NEW).context["form"]["request_id"].value()
    assert new_key != key
    assert str(new_key) in client.post(NEW, {"name": "", "request_id": new_key}).content.decode()
    # Its files may be gone, because the first click took them: it is told the same.
    assert client.post(NEW, {"name": "", "request_id": key})["Location"] == new_intake.get_absolute_url()


@pytest.mark.postgres
@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_form_sent_twice_at_the_same_time_starts_one_intake(media: Path) -> None:
    key, together = uuid4(), Barrier(2)

    def send(_: int) -> bool:
        try:
            together.wait(20)
            upload = SimpleUploadedFile("a.jpg", noise(1))
            return bool(intake.start(name="x", by=None, uploads=[upload], request_id=key))
        except intake.SentAlready as error:
            return error.intake != Intake.objects.get()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(send, range(2))) == [False, True]
    new_intake = Intake.objects.get()
    assert default_storage.listdir(f"intake/{new_intake.pk}")[1] == ["0"]


# --- two at once ------------------------------------------------------------------------------


def test_storing_a_photo_that_is_withdrawn_meanwhile_leaves_no_file(
    media: Path, user_for: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = noise(1, (1400, 900))
    first = take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    with transaction.atomic():
        withdraw_everywhere(photo=first, by=user_for("admin"))
    real, seen = Photo.objects.filter, [Photo.objects.none()]
    monkeypatch.setattr(Photo.objects, "filter", lambda **kwargs: seen.pop() if seen else real(**kwargs))
    with pytest.raises(PhotoRefused, match="it was withdrawn on"):
        take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    assert not [path for path in media.rglob("*") if path.is_file()]


def test_photo_whose_row_breaks_another_rule_leaves_no_file(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise IntegrityError("some other rule")

    monkeypatch.setattr(Photo, "save", fail)
    with pytest.raises(IntegrityError, match="some other rule"):
        take_in(file=io.BytesIO(noise(1)), name="a.jpg", by=None)
    assert not [path for path in media.rglob("*") if path.is_file()]
