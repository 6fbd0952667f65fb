"""What the trainer asks about campaigns: what depends on a model, photos for pseudo-labels, and what people
answered about photos.

Votes are about photos, so they stay when a model goes.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from formats.texts import Text
from jobs.models import Job
from trainer.registry.asked import Asked, AskedPhoto, Objections, Suggest
from trainer.registry.dependents import Thing
from trainer.runs.unlabelled import NoPhotos
from validation import made_up
from validation.agreement import objections
from validation.models import Campaign, Prediction, Question, Vote
from validation.statistics.rate import majority
from validation.stored import read_stored

PHOTOS_AT_ONCE = 100
MOST_NAMES = 20  # campaigns listed by name; the rest are counted


class JudgedModels:
    """The campaigns that ask about a model's predictions, and the predictions."""

    def on(self, models: Collection[int]) -> list[Thing]:
        words = ("campaign", "campaigns")
        campaigns = Campaign.objects.real().predicted().filter(model__in=models).order_by("pk")
        rows = list(campaigns.values_list("pk", "name"))
        things = [
            Thing(words, 1, name, reverse("validation:campaign", args=[pk]), f"campaign {pk}")
            for pk, name in rows[:MOST_NAMES]
        ]
        if more := rows[MOST_NAMES:]:
            key = f"campaigns {[pk for pk, _ in more]}"
            things.append(Thing(("more campaign", "more campaigns"), len(more), key=key))
        if checked := Campaign.objects.filter(model__in=models, kind=Campaign.Kind.AUTHORS).count():
            words = ("campaign about authors' hashtags", "campaigns about authors' hashtags")
            things.append(Thing(words, checked, stays=True))
        if Campaign.objects.made_up().filter(model__in=models).exists():
            things.append(Thing(("made-up crowd", "made-up crowds"), 1, key="made-up crowd"))
        predictions = Prediction.objects.filter(model__in=models)
        if count := predictions.count():
            things.append(Thing(("prediction", "predictions"), count, key="predictions"))
            real = Vote.objects.exclude(campaign__in=Campaign.objects.made_up())
            if votes := real.about(predictions).count():
                things.append(Thing(("vote", "votes"), votes, stays=True))
        return things

    def refusal(self, models: Collection[int]) -> str:
        campaign = Campaign.objects.filter(model__in=models, job__state__in=Job.LIVE).first()
        if campaign is None:
            return ""
        if campaign.is_authors:
            return _("It checks the authors' hashtags of “%(campaign)s”: cancel that job first.") % {
                "campaign": campaign
            }
        return _("The photos of the campaign “%(campaign)s” are being predicted: cancel that job first.") % {
            "campaign": campaign
        }

    def remove(self, models: Collection[int]) -> None:
        for pk in Campaign.objects.made_up().filter(model__in=models).values_list("pk", flat=True):
            made_up.remove_all(seen=pk, by=None)
        # What the check said of authors' hashtags is kept with them.
        Campaign.objects.filter(model__in=models, kind=Campaign.Kind.AUTHORS).update(model=None)
        campaigns = Campaign.objects.filter(model__in=models)
        jobs = list(campaigns.values_list("job", flat=True))
        campaigns.delete()
        Job.objects.filter(pk__in=jobs).delete()
        Prediction.objects.filter(model__in=models).delete()


class CampaignPhotos:
    """The photos of a campaign that are still shown: a withdrawn one is used for nothing more."""

    def check(self, number: int) -> None:
        campaign = Campaign.objects.real().filter(pk=number).first()
        if campaign is None or not campaign.photos.shown().exists():
            raise NoPhotos(Text("There is no campaign %(number)s with photos.", number=str(number)))

    def files(self, number: int) -> Iterable[Path]:
        self.check(number)
        try:
            return [Path(photo.file.path) for photo in Campaign.objects.get(pk=number).photos.shown()]
        except NotImplementedError as error:  # a storage that is not a disk, such as S3
            raise NoPhotos(Text("The campaign's photos are not on this machine's disk.")) from error


class AskedPeople:
    """The photos of the newest campaign that a model has predicted, as its own or as a rival."""

    def last_asked(self, model: int, most: int) -> Asked | None:
        asking = Campaign.objects.real().predicted().filter(Q(model=model) | Q(rivals=model))
        campaigns = asking.distinct().order_by("-pk")
        for campaign in campaigns:
            photos = campaign.photos.shown()
            keys = list(
                Prediction.objects.filter(model=model, photo__in=photos)
                .order_by("photo")
                .values_list("pk", flat=True)
            )
            if keys:
                drawn = sorted(random.Random(campaign.pk).sample(keys, min(most, len(keys))))  # noqa: S311
                url = reverse("validation:campaign", args=[campaign.pk])
                return Asked(campaign.name, url, len(keys), len(drawn), _asked_photos(drawn))
        return None

    def objections(
        self, model: int, *, groups: Sequence[Collection[str]], target: float, suggest: Suggest
    ) -> Objections | None:
        judged = Question.objects.judged().suggestions()
        campaigns = Campaign.objects.real().predicted().filter(model=model, pk__in=judged.values("campaign"))
        campaign = campaigns.order_by("-pk").first()
        if campaign is None:
            return None
        return objections.find(campaign=campaign, groups=groups, target=target, suggest=suggest)


def _asked_photos(predictions: list[int]) -> Iterator[AskedPhoto]:
    for at in range(0, len(predictions), PHOTOS_AT_ONCE):
        some = Prediction.objects.filter(pk__in=predictions[at : at + PHOTOS_AT_ONCE])
        rows = list(some.select_related("photo", "hashtag").order_by("pk"))
        answers: dict[int, dict[str, float]] = defaultdict(dict)
        judged = Question.objects.judged().filter(campaign__kind=Campaign.Kind.PREDICTED)
        judged = judged.filter(photo__in=[row.photo_id for row in rows]).order_by()
        fields = ("photo_id", "hashtag__name", "fits", "does_not_fit")
        for photo, hashtag, fits, misfits in judged.values_list(*fields):
            answers[photo][hashtag] = majority(fits, misfits)
        for row in rows:
            try:
                content = read_stored(str(row.photo.file.name))
            except FileNotFoundError:
                content = b""  # as when it is predicted: unreadable
            suggestion = row.suggestion.name if row.suggestion else None
            yield AskedPhoto(content, suggestion, answers[row.photo_id])
