"""People who vote: guests, what each person answered in a campaign, and their standing."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords

from validation.models.answers import AnswerCounts
from validation.models.campaigns import Campaign


class Guest(models.Model):
    """Somebody who came by a campaign's link, without an account: a user who cannot sign in elsewhere."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="guest")
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="guests")
    link_version = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Guest {self.pk}"


class Participation(AnswerCounts):
    """One person in one campaign. Counts are updated with every vote, so that pages need not count votes."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="participations")
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="participations")
    fast = models.PositiveIntegerField(default=0)  # answers faster than anybody can look
    gold = models.PositiveIntegerField(default=0)  # answers to gold questions, without skips
    gold_right = models.PositiveIntegerField(default=0)
    control = models.PositiveIntegerField(default=0)  # answers to controls, without skips
    control_fits = models.PositiveIntegerField(default=0)
    # The rank below which nothing was open for this person when they last got questions.
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
    """Whether a person is paused, or their votes are set aside. No row: in good standing."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="standing")
    is_paused = models.BooleanField(default=False)
    is_set_aside = models.BooleanField(default=False)
    is_trusted = models.BooleanField(default=False)  # an admin's decision: never paused automatically again
    reason = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.person_id}: {'paused' if self.is_paused else 'good'}"
