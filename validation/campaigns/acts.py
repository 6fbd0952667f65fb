"""What an admin does with a campaign: create, open or close it, add and withdraw photos, renew its link."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from formats.names import normalize_hashtag
from jobs.models import Job
from people.deeds import record
from trainer.models import TrainedModel
from validation.campaigns.counts import CHUNK, delete, in_parts
from validation.campaigns.predicting import enqueue, predict_again
from validation.campaigns.questions import drop_photo
from validation.campaigns.rules import put_many, put_rules
from validation.models import AuthorHashtag, Campaign, Photo

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
    """Create an open campaign, and a job that predicts its photos. `rules` are fields of Campaign, as for
    change_rules; rules left out keep the default of their field. Raises ValueError without photos, and
    IntegrityError for a name that is taken.
    """
    return _create(Campaign(name=name, model=model), photos, by, rules)


@transaction.atomic
def create_authors_campaign(
    *,
    name: str,
    model: TrainedModel | None,
    photos: Iterable[Photo],
    by: AbstractBaseUser | None,
    hashtags: Mapping[int, Collection[str]] | None = None,
    asks: str = Campaign.Asks.ALL,
    asked_share: float | None = None,
    asks_words: bool = False,
    **rules: Any,
) -> Campaign:
    """Create an open campaign that asks whether the authors' hashtags fit, and a job that reads them. `model`
    checks them; None: there is no check. `hashtags`: photo's key → what its author wrote, for photos that do
    not carry it yet. `asks`, `asked_share` and `asks_words` are fields of Campaign and never change again.

    Raises as create_campaign does, and ValueError if the check is to choose and there is none.
    """
    if asks == Campaign.Asks.DOUBTED and model is None:
        raise ValueError("Without a model nothing is doubted.")
    for photo, names in (hashtags or {}).items():
        keep_hashtags(photo, names)
    campaign = Campaign(name=name, model=model, kind=Campaign.Kind.AUTHORS, asks=asks, asks_words=asks_words)
    if asked_share is not None:
        campaign.asked_share = asked_share
    # What is drawn where an answer teaches most, wrong hashtags and silence need a model's suggestions.
    mixed = {"audit_share": 1.0, "control_share": 0.0, "silence_share": 0.0, "would_post_share": 0.0}
    return _create(campaign, photos, by, mixed | rules)


def keep_hashtags(photo: int, names: Iterable[str]) -> None:
    """Add to what is known of the hashtags that a photo's author wrote."""
    spelled = sorted({normalize_hashtag(name)[:100] for name in names} - {""})
    rows = (AuthorHashtag(photo_id=photo, name=name) for name in spelled)
    AuthorHashtag.objects.bulk_create(rows, ignore_conflicts=True)


def _create(
    campaign: Campaign, photos: Iterable[Photo], by: AbstractBaseUser | None, rules: dict[str, Any]
) -> Campaign:
    keys = _keys(photos)
    if not keys:
        raise ValueError("A campaign needs at least one photo.")
    campaign.created_by_id = by.pk if by else None
    many = put_rules(campaign, rules)
    campaign.save()
    put_many(campaign, many)
    campaign.photos.set(keys)
    campaign.job = enqueue(campaign, by)
    campaign.save(update_fields=["job"])
    return campaign


def _keys(photos: Iterable[Photo]) -> list[int]:
    """Of a query nothing else is read: a hundred thousand whole rows take 150 MB."""
    if isinstance(photos, QuerySet):
        return list(photos.values_list("pk", flat=True))
    return [photo.pk for photo in photos]


def set_open(*, campaign: Campaign, is_open: bool) -> bool:
    """Open or close a campaign; votes are kept either way. False if it already was open or closed. One that
    is opened is no longer archived.
    """
    changes = {"is_open": is_open} | ({"is_archived": False} if is_open else {})
    rows = Campaign.objects.filter(pk=campaign.pk).exclude(is_open=is_open).update(**changes)
    return bool(rows)


def set_archived(*, campaign: Campaign, is_archived: bool) -> bool:
    """Archive a campaign, which closes it, or bring it back, which leaves it closed. Nothing is deleted.
    False if it already was so.
    """
    rows = Campaign.objects.filter(pk=campaign.pk).exclude(is_archived=is_archived)
    return bool(rows.update(is_archived=is_archived, is_open=False))


@dataclass(frozen=True)
class Belongings:
    """What goes with a campaign, and what stays."""

    questions: int
    guests: int
    votes: int  # stay: they are about photos and hashtags

    @property
    def digest(self) -> str:
        return f"{self.questions}-{self.guests}-{self.votes}"


class CannotDelete(Exception):
    """The campaign cannot be deleted now; the message says why."""


def belongings(campaign: Campaign) -> Belongings:
    return Belongings(campaign.questions.count(), campaign.guests.count(), campaign.votes.count())


@transaction.atomic
def delete_campaign(*, campaign: Campaign, seen: str, by: AbstractBaseUser) -> None:
    """Delete a campaign with its questions, the access of its guests, and its counts of people. Photos,
    predictions and votes stay. `seen` is the digest of the belongings that the person saw.

    Raises CannotDelete.
    """
    locked = (
        Campaign.objects.select_for_update(of=("self",), no_key=True)
        .select_related("job")
        .get(pk=campaign.pk)
    )
    job = locked.job
    if job and job.is_live:
        raise CannotDelete(_("Its photos are being predicted: cancel that job first."))
    if locked.intakes.filter(job__state__in=Job.LIVE).exists():
        raise CannotDelete(_("Photos are being taken in for it: cancel that job first."))
    if belongings(locked).digest != seen:
        raise CannotDelete(_("Something was added meanwhile: look at the list again."))
    record(by=by, what="delete campaign", about=f"“{locked}”")
    delete(locked.questions.all())
    locked.delete()
    if job:
        job.delete()


@transaction.atomic
def withdraw_photo(*, campaign: Campaign, photo: Photo, by: AbstractBaseUser | None = None) -> bool:
    """Take a photo out of a campaign: the campaign no longer asks about it. Its votes are kept but no longer
    count in the campaign's rates. False if the photo was not in the campaign.
    """
    count, _ = campaign.photos.through.objects.filter(campaign=campaign, photo=photo).delete()
    drop_photo(photo=photo, campaign=campaign)
    if count:
        record(by=by, what="withdraw from campaign", about=f"{photo}, “{campaign}”")
    return bool(count)


@transaction.atomic
def add_photos(*, campaign: Campaign, photos: Iterable[Photo], by: AbstractBaseUser | None) -> int:
    """Add photos to a running campaign and predict them. Withdrawn photos and those already in the campaign
    are left out. Returns how many are new.
    """
    new_keys = sorted(set(_keys(photos)) - set(campaign.photos.values_list("pk", flat=True)))
    shown_keys = [
        pk
        for some in in_parts(new_keys, CHUNK)
        for pk in Photo.objects.shown().filter(pk__in=some).values_list("pk", flat=True)
    ]
    if shown_keys:
        campaign.photos.add(*shown_keys)
        predict_again(campaign=campaign, by=by)
    return len(shown_keys)


@transaction.atomic
def set_public(*, campaign: Campaign, is_public: bool, by: AbstractBaseUser) -> bool:
    """Let whoever has the public link read the result, or end that. False if it already was so."""
    rows = Campaign.objects.filter(pk=campaign.pk).exclude(is_public=is_public)
    if not rows.update(is_public=is_public):
        return False
    record(by=by, what="publish result" if is_public else "unpublish result", about=f"“{campaign}”")
    return True


def revoke_link(*, campaign: Campaign, version: int) -> bool:
    """Make the current link invalid: guests who came by it can no longer vote, but their votes stay.

    False if the link no longer has this `version`, so that a repeated click revokes only once.
    """
    same_version = Campaign.objects.filter(pk=campaign.pk, link_version=version)
    return bool(same_version.update(link_version=F("link_version") + 1))
