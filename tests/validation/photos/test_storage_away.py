"""Photos whose storage is away are not predicted, shown or copied as if they were broken or gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.test import Client
from pytest_django import Settings

from jobs import work
from jobs.models import Job
from mapping.models import SceneClass
from tests.validation.photos.test_corrections import pub
from trainer.models import PhotoSet
from validation.campaigns import predicting
from validation.models import Campaign, Correction, Prediction

__all__ = ["pub"]
ClientFor = Callable[..., Client]


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def quiet(client: Client) -> Client:
    client.raise_request_exception = False
    return client


def test_photo_is_away_with_its_storage_or_gone_alone(
    media: Path, campaign: Campaign, client_for: ClientFor
) -> None:
    client = quiet(client_for("admin"))
    photo = campaign.photos.all()[0]
    media.rename(media.with_name("unmounted"))
    media.mkdir()  # what a lost mount leaves
    answer = client.get(f"/validation/photos/{photo.pk}.jpg")
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert b"files cannot be reached" in answer.content
    assert str(media).encode() not in answer.content
    answer = client.get(f"/validation/photos/{photo.pk}.jpg", headers={"Accept": "application/json"})
    assert answer.json()["detail"].startswith("The site's files cannot be reached")
    media.rmdir()
    media.with_name("unmounted").rename(media)
    assert client.get(f"/validation/photos/{photo.pk}.jpg").status_code == 200
    Path(photo.file.path).unlink()
    assert client.get(f"/validation/photos/{photo.pk}.jpg").status_code == 404


@pytest.mark.integration  # the engine assembles the model
def test_prediction_waits(media: Path, campaign: Campaign, assembled_starter: Path) -> None:
    Prediction.objects.all().delete()
    campaign.predictor.folder.parent.mkdir(parents=True, exist_ok=True)
    campaign.predictor.folder.symlink_to(assembled_starter)
    try:
        job = predicting.predict_again(campaign=campaign, by=None)
        media.rename(media.with_name("unmounted"))
        work.run(job_id=str(job.pk))
        job.refresh_from_db()
        assert (job.state, job.message[:23]) == (Job.State.QUEUED, "Waiting for the storage")
        assert not Prediction.objects.exists()
    finally:
        campaign.predictor.folder.unlink()


def test_no_photo_set_is_made_of_corrections(
    media: Path, campaign: Campaign, pub: SceneClass, client_for: ClientFor
) -> None:
    for photo in campaign.photos.all():
        Correction.objects.create(photo=photo, scene_class=pub)
    media.rename(media.with_name("unmounted"))
    answer = quiet(client_for("admin")).post("/validation/corrections/train/", {"name": "x"})
    assert answer.status_code == 503
    assert not PhotoSet.objects.exists()
    corrected = Path(configured.PHOTO_SETS_DIR) / "corrected"
    assert not list(corrected.rglob("*.part"))
