"""Collect photos into campaigns, predict them; the services other apps and views call, votes among them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from jobs import services as jobs
from jobs.models import Job
from trainer import serving
from trainer.models import TrainedModel
from validation import campaigns, results
from validation.models import Campaign, Photo, Prediction
from validation.photos import take_in
from validation.predicting import PREDICT as PREDICT
from validation.predicting import predict as predict
from validation.predicting import predict_again as predict_again
from validation.questions import drop_photo
from validation.statistics.headline import Headline
from validation.votes import CampaignClosed as CampaignClosed
from validation.votes import PersonPaused as PersonPaused
from validation.votes import VoteRefused as VoteRefused
from validation.votes import record_vote as record_vote
from validation.votes import say_more as say_more
from validation.votes import undo_vote as undo_vote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


SAMPLE_CAMPAIGN = "Sample photos"
SAMPLES = settings.BASE_DIR / "samples"


# --- campaigns --------------------------------------------------------------------------------


@transaction.atomic
def create_campaign(
    *,
    name: str,
    model: TrainedModel,
    photos: Iterable[Photo],
    by: AbstractBaseUser | None,
    **rules: Any,
) -> Campaign:
    """An open campaign whose photos a job predicts. `rules` are fields of Campaign, as change_rules takes
    them; what is left out has the model's default. Raises ValueError without photos, IntegrityError for a
    name that is taken.
    """
    chosen = list(photos)
    if not chosen:
        raise ValueError("A campaign needs at least one photo.")
    campaign = Campaign(name=name, model=model, created_by_id=by.pk if by else None)
    many = campaigns.put_rules(campaign, rules)
    campaign.save()
    campaigns.put_many(campaign, many)
    campaign.photos.set(chosen)
    campaign.job = jobs.enqueue(
        kind=PREDICT, title=f"Predict the photos of “{name}”", by=by, url=campaign.get_absolute_url()
    )
    campaign.save(update_fields=["job"])
    return campaign


def set_open(*, campaign: Campaign, is_open: bool) -> bool:
    """Open or close a campaign; votes are kept either way. False if it was so already."""
    changed = Campaign.objects.filter(pk=campaign.pk).exclude(is_open=is_open).update(is_open=is_open)
    return bool(changed)


@transaction.atomic
def withdraw_photo(*, campaign: Campaign, photo: Photo) -> bool:
    """Take a photo out of a campaign: nobody is asked about it there any more, its votes leave the campaign's
    rates and are kept. False if it was not in it.
    """
    removed, _ = campaign.photos.through.objects.filter(campaign=campaign, photo=photo).delete()
    drop_photo(photo=photo, campaign=campaign)
    return bool(removed)


def load_sample_campaign(*, by: AbstractBaseUser | None, predict_now: bool = True) -> Campaign:
    """The campaign of the free sample photos, made if it is not there. Raises NoActiveModel."""
    campaign = Campaign.objects.filter(name=SAMPLE_CAMPAIGN).first()
    if campaign is None:
        model = serving.active_model()
        if model is None:
            raise serving.NoActiveModel("The sample campaign needs an active model: promote one first.")
        photos = _sample_photos(by)
        campaign = create_campaign(name=SAMPLE_CAMPAIGN, model=model, photos=photos, by=by)
    if predict_now and campaign.job and campaign.job.state == Job.State.QUEUED:
        jobs.run(job_id=str(campaign.job_id))
        campaign.job.refresh_from_db()
    return campaign


def _sample_photos(by: AbstractBaseUser | None) -> list[Photo]:
    with (SAMPLES / "ATTRIBUTION.csv").open(newline="") as table:
        terms = {row["file"].rsplit("/", 1)[-1]: row for row in csv.DictReader(table)}
    photos = []
    for path in sorted((SAMPLES / "campaign").glob("*.jpg")):
        row = terms[path.name]  # a sample without its terms must not ship: KeyError
        with path.open("rb") as file:
            photo = take_in(
                file=file,
                name=path.name,
                by=by,
                source_url=row["flickr_url"],
                licence=row["licence"],
                licence_url=row["licence_url"],
            )
        photos.append(photo)
    return photos


# --- predictions -------------------------------------------------------------------------------


def silent_by_reason(*, campaign: Campaign) -> list[tuple[str, int]]:
    """Why the model kept silent, and about how many photos; the most frequent reason first.

    Only the kind of reason counts, the part before a colon or bracket: what follows differs by photo.
    """
    silent = Prediction.objects.of(campaign).filter(hashtag=None).order_by()
    counts: Counter[str] = Counter()
    for reason in silent.values_list("reason", flat=True):
        counts[reason.split(":")[0].split("(")[0].strip()] += 1
    return counts.most_common()


def headline() -> Headline | None:
    """The agreement over all campaigns, and how much no answer stands for; None before the first answer."""
    return results.headline()


def count_people() -> int:
    """Whose answers stand behind the headline."""
    return results.people(None)
