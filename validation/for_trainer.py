"""What the trainer asks about campaigns: what depends on a model, and photos for pseudo-labels.

Votes are about photos, so they stay when a model goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from django.urls import reverse

from jobs.models import Job
from trainer.registry.dependents import Thing
from trainer.runs.unlabelled import NoPhotos
from validation.models import Campaign, Prediction, Vote

MOST_NAMES = 20  # campaigns listed by name; the rest are counted


class JudgedModels:
    """The campaigns that ask about a model's predictions, and the predictions."""

    def on(self, models: Collection[int]) -> list[Thing]:
        words = ("campaign", "campaigns")
        campaigns = Campaign.objects.filter(model__in=models).order_by("pk")
        rows = list(campaigns.values_list("pk", "name"))
        things = [
            Thing(words, 1, name, reverse("validation:campaign", args=[pk]), f"campaign {pk}")
            for pk, name in rows[:MOST_NAMES]
        ]
        if more := rows[MOST_NAMES:]:
            key = f"campaigns {[pk for pk, _ in more]}"
            things.append(Thing(("more campaign", "more campaigns"), len(more), key=key))
        predictions = Prediction.objects.filter(model__in=models)
        if count := predictions.count():
            things.append(Thing(("prediction", "predictions"), count, key="predictions"))
            if votes := Vote.objects.about(predictions).count():
                things.append(Thing(("vote", "votes"), votes, stays=True))
        return things

    def refusal(self, models: Collection[int]) -> str:
        campaign = Campaign.objects.filter(model__in=models, job__state__in=Job.LIVE).first()
        if campaign is None:
            return ""
        return f"The photos of the campaign “{campaign}” are being predicted: cancel that job first."

    def remove(self, models: Collection[int]) -> None:
        campaigns = Campaign.objects.filter(model__in=models)
        jobs = list(campaigns.values_list("job", flat=True))
        campaigns.delete()
        Job.objects.filter(pk__in=jobs).delete()
        Prediction.objects.filter(model__in=models).delete()


class CampaignPhotos:
    """The photos of a campaign that are still shown: a withdrawn one is used for nothing more."""

    def check(self, number: int) -> None:
        campaign = Campaign.objects.filter(pk=number).first()
        if campaign is None or not campaign.photos.shown().exists():
            raise NoPhotos(f"There is no campaign {number} with photos.")

    def files(self, number: int) -> Iterable[Path]:
        self.check(number)
        try:
            return [Path(photo.file.path) for photo in Campaign.objects.get(pk=number).photos.shown()]
        except NotImplementedError as error:  # a storage that is not a disk, such as S3
            raise NoPhotos("The campaign's photos are not on this machine's disk.") from error
