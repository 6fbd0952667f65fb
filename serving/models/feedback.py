"""What people did with a suggestion, as a network reports it: one row an answer, and counts by day."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from trainer.models import TrainedModel


class Feedback(models.Model):
    """The newest that is known about one answer. Every event means that its suggestion was shown."""

    class Event(models.TextChoices):
        SHOWN = "shown"
        ACCEPTED = "accepted"
        DISMISSED = "dismissed"
        REPLACED = "replaced"

    answer = models.UUIDField(primary_key=True)  # the key of its id: serving.answer_ids
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+", db_index=False)
    trial = models.PositiveBigIntegerField(default=0)  # 0: none
    hashtag = models.CharField(max_length=50, blank=True)  # empty: the model was silent
    confidence = models.FloatField()
    answered_at = models.DateTimeField()
    event = models.CharField(max_length=10, choices=Event)
    at = models.DateTimeField()  # of the event, by the network's clock
    replaced_by = models.CharField(max_length=50, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="replaced_by_something", condition=Q(replaced_by="") ^ Q(event="replaced")
            ),
            models.CheckConstraint(
                name="silence_is_only_replaced", condition=~Q(hashtag="") | Q(event="replaced")
            ),
        ]
        indexes = [  # what was replaced by what, read from the index alone
            models.Index(
                fields=["answered_at", "model", "hashtag", "replaced_by"],
                condition=Q(event="replaced"),
                name="replacements",
            )
        ]

    def __str__(self) -> str:
        return f"{self.answer} {self.event}"


class FeedbackTally(models.Model):
    """Feedback rows by the day of their answer. They are counted in the transaction that writes the rows."""

    day = models.DateField()
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    trial = models.PositiveBigIntegerField(default=0)
    hashtag = models.CharField(max_length=50, blank=True)
    # Not positive fields: the database would refuse to subtract 1, before it adds that to what is there.
    shown = models.BigIntegerField(default=0)  # all rows
    accepted = models.BigIntegerField(default=0)
    dismissed = models.BigIntegerField(default=0)
    replaced = models.BigIntegerField(default=0)

    KEYS: ClassVar[tuple[str, ...]] = ("day", "model", "trial", "hashtag")
    COUNTS: ClassVar[tuple[str, ...]] = ("shown", "accepted", "dismissed", "replaced")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "model", "trial", "hashtag"], name="one_feedback_tally")
        ]

    def __str__(self) -> str:
        return f"{self.day} #{self.hashtag}: {self.accepted} of {self.shown}"
