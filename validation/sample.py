"""The campaign of the free sample photos, for `make demo` and `manage.py prepare`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from jobs import work
from trainer.registry import serving
from validation.campaigns.acts import create_campaign
from validation.models import Campaign, Photo
from validation.photos.store import take_in

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

SAMPLE_CAMPAIGN = "Sample photos"
SAMPLES = settings.BASE_DIR / "samples"


def load_sample_campaign(*, by: AbstractBaseUser | None, predict_now: bool = True) -> Campaign:
    """Return the campaign of the free sample photos; create it if it does not exist. Raises NoActiveModel."""
    campaign = Campaign.objects.filter(name=SAMPLE_CAMPAIGN).first()
    if campaign is None:
        model = serving.active_model()
        if model is None:
            raise serving.NoActiveModel("The sample campaign needs an active model: promote one first.")
        photos = _sample_photos(by)
        campaign = create_campaign(name=SAMPLE_CAMPAIGN, model=model, photos=photos, by=by)
    if predict_now and campaign.job and campaign.job.is_live:
        work.do_here(job=campaign.job)
    return campaign


def _sample_photos(by: AbstractBaseUser | None) -> list[Photo]:
    photos = []
    for path, terms in sample_files():
        with path.open("rb") as file:
            photos.append(take_in(file=file, name=path.name, by=by, **terms))
    return photos


def sample_files() -> list[tuple[Path, dict[str, str]]]:
    """Each sample photo with its terms, as fields of Photo."""
    with (SAMPLES / "ATTRIBUTION.csv").open(newline="") as table:
        rows = {row["file"].rsplit("/", 1)[-1]: row for row in csv.DictReader(table)}
    files = []
    for path in sorted((SAMPLES / "campaign").glob("*.jpg")):
        row = rows[path.name]  # KeyError: a sample without terms must not be published
        terms = {field: row[field] for field in ("licence", "licence_url")}
        files.append((path, {"source_url": row["flickr_url"], **terms}))
    return files
