"""What hangs on a model here, for trainer.registry.dependents. Votes are about photos, and stay."""

from __future__ import annotations

from collections.abc import Collection

from django.urls import reverse

from jobs.models import Job
from trainer.registry.dependents import Thing
from validation.models import Campaign, Prediction, Vote

NAMED = 20  # campaigns listed one by one; more are counted


class Judged:
    """Campaigns that ask about a model's predictions, and the predictions."""

    def on(self, models: Collection[int]) -> list[Thing]:
        words = ("campaign", "campaigns")
        campaigns = Campaign.objects.filter(model__in=models).order_by("pk")
        rows = list(campaigns.values_list("pk", "name"))
        things = [
            Thing(words, 1, name, reverse("validation:campaign", args=[pk]), f"campaign {pk}")
            for pk, name in rows[:NAMED]
        ]
        if more := rows[NAMED:]:
            key = f"campaigns {[pk for pk, _ in more]}"
            things.append(Thing(("more campaign", "more campaigns"), len(more), key=key))
        predictions = Prediction.objects.filter(model__in=models)
        if count := predictions.count():
            things.append(Thing(("prediction", "predictions"), count, key="predictions"))
            if votes := Vote.objects.about(predictions).count():
                things.append(Thing(("vote", "votes"), votes, stays=True))
        return things

    def refusal(self, models: Collection[int]) -> str:
        live = Campaign.objects.filter(model__in=models, job__state__in=Job.LIVE).first()
        return f"The photos of the campaign “{live}” are being predicted: cancel that first." if live else ""

    def remove(self, models: Collection[int]) -> None:
        campaigns = Campaign.objects.filter(model__in=models)
        jobs = list(campaigns.values_list("job", flat=True))
        campaigns.delete()
        Job.objects.filter(pk__in=jobs).delete()
        Prediction.objects.filter(model__in=models).delete()
