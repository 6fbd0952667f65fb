"""The photos of a campaign as photos without labels for a training run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.utils import timezone

from trainer.runs import unlabelled
from validation.for_trainer import CampaignPhotos
from validation.models import Campaign, Photo

pytestmark = pytest.mark.django_db


def test_withdrawn_photos_are_left_out(campaign: Campaign, tmp_path: Path) -> None:
    withdrawn = campaign.photos.order_by("pk")[0]
    Photo.objects.filter(pk=withdrawn.pk).update(withdrawn_at=timezone.now())
    with unlabelled.write_table(f"campaign {campaign.pk}", tmp_path / "x.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert sorted(paths) == sorted(photo.file.path for photo in campaign.photos.shown())
    assert len(paths) == campaign.photos.count() - 1
    assert all(Path(path).is_file() for path in paths)


def test_a_campaign_without_photos_is_refused(campaign: Campaign) -> None:
    campaign.photos.update(withdrawn_at=timezone.now())
    for number in (campaign.pk, 999):
        with pytest.raises(unlabelled.NoPhotos, match=f"There is no campaign {number} with photos"):
            CampaignPhotos().check(number)


def test_photos_that_are_on_no_disk_are_refused(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on S3: such a storage has no paths."""
    from django.core.files.storage import Storage

    monkeypatch.setattr(Photo._meta.get_field("file"), "storage", Storage())
    with pytest.raises(unlabelled.NoPhotos, match="not on this machine's disk"):
        CampaignPhotos().files(campaign.pk)
