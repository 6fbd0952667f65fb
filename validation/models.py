"""New photos, what models predict on them, and what people say."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse

from jobs.models import Job
from mapping.models import Hashtag
from trainer.models import TrainedModel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class Photo(models.Model):
    """A new photo, stored once under its hash, with who made it and on what terms."""

    sha256 = models.CharField(max_length=64, unique=True)
    file = models.FileField(max_length=200)
    name = models.CharField(max_length=200)  # as it was called when it came in
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    source_url = models.URLField(max_length=500, blank=True)
    licence = models.CharField(max_length=100, blank=True)
    licence_url = models.URLField(max_length=500, blank=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def with_photo_counts(self) -> CampaignQuerySet:
        return self.annotate(photo_count=Count("photos")).order_by("-created_at", "-pk")


class Campaign(models.Model):
    """Photos × a model: what people are asked about."""

    name = models.CharField(max_length=100, unique=True)
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="campaigns")
    photos = models.ManyToManyField(Photo, related_name="campaigns")
    votes_per_photo = models.PositiveIntegerField(default=3)
    is_open = models.BooleanField(default=True)
    job = models.OneToOneField(Job, models.PROTECT, null=True, blank=True, related_name="campaign")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("validation:campaign", args=[self.pk])


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def of(self, campaign: Campaign) -> PredictionQuerySet:
        """What the campaign's model says about the campaign's photos."""
        return self.filter(model_id=campaign.model_id, photo__campaigns=campaign)

    def of_any_campaign(self) -> PredictionQuerySet:
        asked = Campaign.photos.through.objects.filter(
            photo_id=OuterRef("photo_id"), campaign__model_id=OuterRef("model_id")
        )
        return self.filter(Exists(asked))

    def suggested(self) -> PredictionQuerySet:
        return self.filter(hashtag__isnull=False)

    def with_votes_of(self, person: AbstractBaseUser) -> PredictionQuerySet:
        return self.filter(Exists(_votes_on_outer().filter(person_id=person.pk)))

    def without_votes_of(self, person: AbstractBaseUser) -> PredictionQuerySet:
        return self.filter(~Exists(_votes_on_outer().filter(person_id=person.pk)))

    def with_answers(self) -> PredictionQuerySet:
        """Adds fits, does_not_fit and skips: how many answered so, whichever model they saw it with."""
        counts = {answer: _count(_votes_on_outer().filter(answer=answer)) for answer in Vote.Answer.values}
        return self.annotate(
            fits=counts["fits"], does_not_fit=counts["does_not_fit"], skips=counts["skip"]
        ).annotate(answers=F("fits") + F("does_not_fit"))


def _votes_on_outer() -> QuerySet[Vote]:
    """The votes about the photo and the hashtag of the surrounding query's row."""
    return Vote.objects.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id")).order_by()


def _count(votes: QuerySet[Vote]) -> Coalesce:
    counted = votes.values("photo_id").annotate(n=Count("pk")).values("n")
    return Coalesce(models.Subquery(counted, output_field=models.IntegerField()), 0)


class Prediction(models.Model):
    """What one model says about one photo; no hashtag means it keeps silent, and reason says why."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="predictions")
    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="predictions")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, null=True, blank=True, related_name="predictions")
    confidence = models.FloatField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    candidates = models.JSONField(default=list)

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


class VoteQuerySet(models.QuerySet["Vote"]):
    def about(self, predictions: QuerySet[Prediction]) -> VoteQuerySet:
        """The votes on these photos and hashtags, whichever model they were asked with."""
        same = predictions.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
        return self.filter(Exists(same))

    def answered(self) -> VoteQuerySet:
        return self.exclude(answer=Vote.Answer.SKIP)


class Vote(models.Model):
    """One person's answer to: does this hashtag fit this photo? It is not about any model."""

    class Answer(models.TextChoices):
        FITS = "fits", "fits"
        DOES_NOT_FIT = "does_not_fit", "does not fit"
        SKIP = "skip", "skip"

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="votes")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="votes")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="votes")
    answer = models.CharField(max_length=12, choices=Answer)
    request_id = models.UUIDField(default=uuid.uuid4, unique=True)  # the browser's idempotency key
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VoteQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "hashtag", "person"], name="one_vote_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.person_id} on {self.photo_id}: {self.answer}"
