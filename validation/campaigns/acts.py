"""What an admin does with a campaign: create, open or close it, add and withdraw photos, renew its link."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F

from jobs import queue as jobs
from trainer.models import TrainedModel
from validation.campaigns.predicting import PREDICT, predict_again
from validation.campaigns.questions import drop_photo
from validation.campaigns.rules import put_many, put_rules
from validation.models import Campaign, Photo

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


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
    photo_list = list(photos)
    if not photo_list:
        raise ValueError("A campaign needs at least one photo.")
    campaign = Campaign(name=name, model=model, created_by_id=by.pk if by else None)
    many = put_rules(campaign, rules)
    campaign.save()
    put_many(campaign, many)
    campaign.photos.set(photo_list)
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


@transaction.atomic
def add_photos(*, campaign: Campaign, photos: Iterable[Photo], by: AbstractBaseUser | None) -> int:
    """Photos join a running campaign and are predicted. Returns how many are new to it; withdrawn ones and
    those already in it are left out.
    """
    inside = set(campaign.photos.values_list("pk", flat=True))
    new = [photo for photo in photos if photo.withdrawn_at is None and photo.pk not in inside]
    if new:
        campaign.photos.add(*new)
        predict_again(campaign=campaign, by=by)
    return len(new)


def revoke_link(*, campaign: Campaign, version: int) -> bool:
    """Make the link given out worthless: guests who came by it can vote no more, what they said stays.

    False if `version` is not the link's any more: a repeated click revokes only once.
    """
    revoked = Campaign.objects.filter(pk=campaign.pk, link_version=version)
    return bool(revoked.update(link_version=F("link_version") + 1))
