"""Rarer troubles: names that are no text, a death between photo and row, an original that is gone."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from jobs.models import Job
from tests.validation.test_intake import media, noise, states
from validation import intake as services
from validation.models import Campaign, Photo
from validation.photos import receive, take_in, withdraw_everywhere
from validation.similar import Known

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], list[Job]]
__all__ = ["media"]


def smaller(raw: bytes, width: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(raw)).resize((width, width * 3 // 4)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_name_that_is_no_text_is_refused_and_the_rest_goes_on(
    user_for: Callable[..., User], run_jobs: RunJobs, tmp_path: Path
) -> None:
    root = tmp_path / "photos/x"
    root.mkdir()
    (root / "a.jpg").write_bytes(noise(1))
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).write_bytes(noise(2))
    made = services.start(name="x", by=user_for("admin"), folder=str(root))
    run_jobs()
    assert states(made) == {"a.jpg": "taken", "\N{REPLACEMENT CHARACTER}.jpg": "refused"}
    assert "UTF-8" in made.files.get(state="refused").reason


def test_a_near_duplicate_stored_by_a_worker_that_died_is_still_found(
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

    monkeypatch.setattr(services, "receive", stored_by_who_died)
    made = services.start(name="x", by=user_for("admin"), folder=str(root), campaign=campaign)
    run_jobs()
    assert states(made) == {"a.jpg": "taken", "b.jpg": "similar"}
    assert not campaign.photos.filter(name="b.jpg").exists()


def test_what_resembles_a_withdrawn_photo_stands_for_itself(user_for: Callable[..., User]) -> None:
    raw = noise(1, (800, 600))
    original = take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    copy = take_in(file=io.BytesIO(smaller(raw, 400)), name="b.jpg", by=None)
    Photo.objects.filter(pk=copy.pk).update(near_duplicate_of=original)
    withdraw_everywhere(photo=original, by=user_for("admin"))
    assert copy.phash is not None
    assert Known().nearest(copy.phash, before=copy.pk + 1) == copy.pk


def test_given_up_the_uploads_are_gone_and_what_was_taken_in_stays(
    user_for: Callable[..., User], client_for: Callable[..., Client], run_jobs: RunJobs, media: Path
) -> None:
    made = services.start(name="x", by=user_for("admin"), archive=SimpleUploadedFile("a.zip", b"no zip"))
    client, path = client_for("admin"), f"/validation/intakes/{made.pk}/give-up/"
    assert b"still works on it" in client.post(path, follow=True).content
    run_jobs()
    assert b"Give up, and delete it" in client.get(f"/validation/intakes/{made.pk}/").content
    for role, status in (("stranger", 302), ("viewer", 403)):
        assert client_for(role).post(path).status_code == status
    assert default_storage.exists(made.path)
    assert b"is deleted" in client.post(path, follow=True).content
    assert b"nothing to delete" in client.post(path, follow=True).content
    assert not default_storage.exists(made.path)
