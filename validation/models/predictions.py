"""What models say about photos."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from mapping.models import Hashtag, SceneClass
from trainer.models import TrainedModel
from validation.models.campaigns import Campaign
from validation.models.pairs import PairQuerySet
from validation.models.photos import Photo


class PredictionQuerySet(PairQuerySet["Prediction"]):
    def of(self, campaign: Campaign) -> Self:
        """What the campaign's model says about the campaign's photos."""
        # Past the table of photos, which tells nothing here: half the time with 100,000.
        inside = Campaign.photos.through.objects.filter(
            photo_id=OuterRef("photo_id"), campaign_id=campaign.pk
        )
        return self.filter(Exists(inside), model_id=campaign.model_id)

    def of_any_campaign(self) -> Self:
        inside = Campaign.photos.through.objects.filter(
            photo_id=OuterRef("photo_id"), campaign__model_id=OuterRef("model_id")
        )
        return self.filter(Exists(inside))

    def suggested(self) -> Self:
        return self.filter(hashtag__isnull=False)


class Prediction(models.Model):
    """What one model says about one photo; no hashtag means it keeps silent, and reason says why."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="predictions")
    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="predictions")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, null=True, blank=True, related_name="predictions")
    confidence = models.FloatField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    candidates = models.JSONField(default=list)
    # The scene class the photo looks most like, where the model can tell: which mapping row it came by.
    scene_class = models.ForeignKey(SceneClass, models.SET_NULL, null=True, blank=True, related_name="+")
    scene_confidence = models.FloatField(null=True, blank=True)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "model"], name="one_prediction_per_photo_and_model"),
            models.CheckConstraint(
                name="silence_has_a_reason", condition=Q(hashtag__isnull=False) | ~Q(reason="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.hashtag or self.reason}"
