"""Corrections of what a photo shows, and the photo set made of them for training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from mapping.models import Hashtag, Release, ReleaseLabel, SceneClass
from trainer.models import PhotoSet
from validation.models import Campaign, Correction
from validation.photos import corrections
from validation.photos.store import withdraw_everywhere

ClientFor = Callable[..., Client]


@pytest.fixture
def pub(hashtags: dict[str, Hashtag]) -> SceneClass:
    scene = SceneClass.objects.create(key="p/pub/indoor", name="pub")
    release = Release.objects.create(number=1, note="x")
    ReleaseLabel.objects.create(release=release, scene_key=scene.key, label="bar")
    return scene


def test_a_scene_class_brings_its_hashtag_and_a_stale_page_decides_nothing(
    campaign: Campaign, pub: SceneClass, client_for: ClientFor
) -> None:
    photo, client = campaign.photos.all()[0], client_for("admin")
    path = f"/validation/photos/{photo.pk}"
    form = {"scene": pub.key, "hashtag": "sport", "seen": ""}
    assert b"Saved: #bar" in client.post(f"{path}/correct/", form, follow=True).content
    assert b"Somebody else has decided" in client.post(f"{path}/correct/", form, follow=True).content
    version = client.get(f"{path}/").context["seen"]
    page = client.post(f"{path}/correct/", {"hashtag": "sport", "seen": version}, follow=True)
    assert b"Saved: #sport" in page.content
    row = Correction.objects.get()
    assert (row.scene_class, str(row.hashtag), row.history.count()) == (None, "#sport", 2)
    wrong = client.post(f"{path}/correct/", {"scene": "x/nowhere"}, follow=True)
    assert "There is no scene class “x/nowhere”" in wrong.content.decode()


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("viewer", 403), ("curator", 403), ("validator", 403)]
)
def test_only_admins_correct(campaign: Campaign, client_for: ClientFor, role: str, status: int) -> None:
    client = client_for(role)
    assert client.post(f"/validation/photos/{campaign.photos.all()[0].pk}/correct/").status_code == status
    assert client.post("/validation/corrections/train/").status_code == status
    assert not Correction.objects.exists()


def test_corrected_photos_become_a_photo_set(
    campaign: Campaign,
    pub: SceneClass,
    client_for: ClientFor,
    user_for: Callable[..., User],
    settings: Settings,
    tmp_path: Path,
) -> None:
    settings.PHOTO_SETS_DIR = tmp_path
    client, by = client_for("admin"), user_for("admin")
    page = client.post("/validation/corrections/train/", {"name": "Mended"}, follow=True)
    assert b"No correction names" in page.content
    first, withdrawn, without_class, _ = campaign.photos.order_by("pk")
    for photo in (first, withdrawn):
        corrections.correct(photo=photo, by=by, scene=pub, hashtag=None, seen=None)
    corrections.correct(photo=without_class, by=by, scene=None, hashtag=None, seen=None)
    withdraw_everywhere(photo=withdrawn, by=by)
    client.post("/validation/corrections/train/", {"name": "Mended"})
    photo_set = PhotoSet.objects.get()
    assert [path.relative_to(photo_set.root).as_posix() for path in Path(photo_set.root).rglob("*.jpg")] == [
        f"{pub.key}/{first.sha256}.jpg"
    ]
    again = client.post("/validation/corrections/train/", {"name": "Mended"}, follow=True)
    assert b"exists already" in again.content
    assert len(list((tmp_path / "corrected").iterdir())) == 1
