"""New photos, what models predict on them, and what people say."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from jobs.models import Job
from mapping.models import Hashtag
from trainer.models import TrainedModel


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

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("validation:campaign", args=[self.pk])


class Prediction(models.Model):
    """What one model says about one photo; no hashtag means it keeps silent, and reason says why."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="predictions")
    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="predictions")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, null=True, blank=True, related_name="predictions")
    confidence = models.FloatField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    candidates = models.JSONField(default=list)

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

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "hashtag", "person"], name="one_vote_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.person_id} on {self.photo_id}: {self.answer}"
