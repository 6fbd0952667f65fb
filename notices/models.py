"""Notices, hooks that are told of them, deliveries to hooks, and how far each person has read."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from formats.texts import with_words
from notices.events import name_of
from notices.words import shown


class Notice(models.Model):
    """Something that happened. Rows are added by notices.announcements and deleted when they are old."""

    event = models.CharField(max_length=30)  # a key of notices.events.EVENTS, or TEST
    title = models.CharField(max_length=300)  # English, for programs
    # What the title is made of, for people: formats.texts.as_words. Empty in rows from before there were
    # translations.
    words = models.CharField(max_length=100, blank=True, db_default="")
    names = models.JSONField(default=dict, blank=True, db_default={})
    url = models.CharField(max_length=200, blank=True)  # of its page, without the site's name
    facts = models.JSONField(default=dict)
    key = models.CharField(max_length=200, blank=True)  # of what is told once only
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["key"], condition=~models.Q(key=""), name="told_once")]

    def __str__(self) -> str:
        return self.title

    @property
    def shown_title(self) -> str:
        """In the reader's language."""
        kept = {"words": self.words, "names": self.names} if self.words else {}
        return shown(with_words(self.title, kept))

    @property
    def shown_event(self) -> str:
        """In the reader's language."""
        return name_of(self.event)


class Hook(models.Model):
    """An address of another program that is told of some events."""

    name = models.CharField(max_length=100)
    address = models.CharField(max_length=500)
    events = models.JSONField(default=list)  # keys of notices.events.EVENTS
    salt = models.CharField(max_length=64)  # from it and SECRET_KEY follows the secret: notices.signatures
    is_enabled = models.BooleanField(default=True)
    failures = models.PositiveIntegerField(default=0)  # attempts in a row
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    request_id = models.UUIDField(null=True, unique=True)  # of the form: sent twice, it makes one hook

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_events(self) -> list[str]:
        """In the reader's language."""
        return [name_of(event) for event in self.events]


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> DeliveryQuerySet:
        return self.filter(state=Delivery.State.WAITING)

    def due(self) -> DeliveryQuerySet:
        return self.waiting().filter(due_at__lte=timezone.now(), hook__is_enabled=True)


class Delivery(models.Model):
    """One notice on its way to one hook."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    hook = models.ForeignKey(Hook, models.CASCADE, related_name="deliveries")
    notice = models.ForeignKey(Notice, models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)  # of the next attempt; while one lasts, of its end
    tried_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveIntegerField(null=True, blank=True)  # of the last answer; None: there was none
    error = models.CharField(max_length=200, blank=True)  # of the last attempt

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["hook", "notice"], name="one_delivery_per_hook")]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="waiting"), name="delivery_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} to {self.hook_id}: {self.state}"


class Reader(models.Model):
    """How far a person has read: all notices up to this one. And of which events they want e-mails."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    last_notice = models.PositiveBigIntegerField(default=0)  # its id; it may be deleted meanwhile
    mailed = models.JSONField(default=list)  # keys of notices.events.EVENTS

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.user_id} to {self.last_notice}"
