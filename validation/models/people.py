"""Who votes: guests, how much each has answered in a campaign, and how each stands."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords

from validation.models.answers import AnswerCounts
from validation.models.campaigns import Campaign


class Guest(models.Model):
    """Somebody who came by a campaign's link, without an account: a user who cannot sign in anywhere else."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="guest")
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="guests")
    link_version = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Guest {self.pk}"


class Participation(AnswerCounts):
    """One person in one campaign, counted vote by vote: pages need not count a million votes."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="participations")
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="participations")
    fast = models.PositiveIntegerField(default=0)  # answers faster than anybody can look
    gold = models.PositiveIntegerField(default=0)  # known answers given, skips apart
    gold_right = models.PositiveIntegerField(default=0)
    control = models.PositiveIntegerField(default=0)  # wrong hashtags shown on purpose, skips apart
    control_fits = models.PositiveIntegerField(default=0)
    # Rank below which nothing was open for this person, when last seen.
    front = models.FloatField(default=0.0)
    last_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["person", "campaign"], name="one_participation_per_campaign")
        ]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.campaign_id}"


class Standing(models.Model):
    """How somebody stands who was paused, or whose votes were set aside. Nobody's row: in good standing."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="standing")
    is_paused = models.BooleanField(default=False)
    is_set_aside = models.BooleanField(default=False)
    is_trusted = models.BooleanField(default=False)  # by an admin: never paused by itself again
    reason = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.person_id}: {'paused' if self.is_paused else 'good'}"
