"""People and how they came, tokens of programs and how they are used, and what administrators did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from people.words import WORDS

if TYPE_CHECKING:
    from datetime import datetime


class Profile(models.Model):
    """What a person chose, and when they were last here. Guests and programs have none."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="profile")
    language = models.CharField(max_length=10, blank=True)  # empty: as the browser asks for
    time_zone = models.CharField(max_length=60, blank=True)  # empty: the site's
    seen_at = models.DateTimeField(null=True, blank=True)  # to five minutes: people.middleware

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Profile of {self.user_id}"


class Team(models.Model):
    """A group of people. Its members have its roles, beside their own: people.backend."""

    name = models.CharField(max_length=100, unique=True)
    roles = models.ManyToManyField(Group, related_name="teams", blank=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="teams", blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("people:team", args=[self.pk])


class Invitation(models.Model):
    """A link by which one person makes an account with these roles and teams. It works once, and ends."""

    note = models.CharField(max_length=100, blank=True)  # for whom it is
    roles = models.JSONField(default=list)  # names of groups
    teams = models.ManyToManyField(Team, related_name="invitations", blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    ends_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)
    used_by = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    request_id = models.UUIDField(null=True, unique=True)  # of the form: sent twice, it invites once

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.note or f"Invitation {self.pk}"


class Installation(models.Model):
    """What was chosen when the site was set up. One row, or none before that."""

    name = models.CharField(max_length=60, blank=True)  # empty: Scenetag
    time_zone = models.CharField(max_length=60, blank=True)  # empty: the settings'
    language = models.CharField(max_length=10, blank=True)  # of people who choose none
    mapping = models.CharField(max_length=20)  # hashtags_site.setup: what is loaded
    starter = models.CharField(max_length=20)
    set_up_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_installation")]

    def __str__(self) -> str:
        return self.name


class TokenQuerySet(models.QuerySet["Token"]):
    def live(self) -> TokenQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


class Token(models.Model):
    """What a program shows with each request. Only the hash of its key is stored; the key is shown once."""

    name = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)  # people.tokens.digest_of the key
    start = models.CharField(max_length=8)  # of the key, so that people can tell their tokens apart
    scopes = models.JSONField(default=list)  # names of people.scopes.SCOPES
    rate = models.CharField(max_length=20, blank=True)  # "120/minute"; empty: as the settings say
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute
    request_id = models.UUIDField(null=True, unique=True)  # of the form: sent twice, it makes one token
    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """live, expired or revoked"""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.is_expired(timezone.now()) else "live"

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class TokenUse(models.Model):
    """Requests of one token at one address on one day (UTC)."""

    token = models.ForeignKey(Token, models.CASCADE, related_name="uses")
    day = models.DateField()
    address = models.CharField(max_length=60)  # its name
    requests = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["day", "address"]
        constraints = [
            models.UniqueConstraint(
                fields=["token", "day", "address"], name="one_count_per_token_day_address"
            )
        ]

    def __str__(self) -> str:
        return f"{self.token_id} {self.day} {self.address}: {self.requests}"


class LetterQuerySet(models.QuerySet["Letter"]):
    def due(self) -> LetterQuerySet:
        return self.filter(state=Letter.State.WAITING, due_at__lte=timezone.now())


class Letter(models.Model):
    """One e-mail to one person: people.letters."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    to = models.EmailField()
    subject = models.CharField(max_length=300)
    body = models.TextField()  # empty once it was sent, or has failed
    key = models.CharField(max_length=100, blank=True)  # of what is written once only
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    written_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)  # of the next attempt; while one lasts, of its end
    error = models.CharField(max_length=200, blank=True)  # of the last attempt

    objects = LetterQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["key"], condition=~Q(key=""), name="written_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(state="waiting"), name="letter_waiting")]

    def __str__(self) -> str:
        return f"{self.subject} to {self.user_id}: {self.state}"


class Deed(models.Model):
    """One thing that an administrator or admin did. Rows are only ever added, by people.deeds.record."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="deeds")
    by_name = models.CharField(max_length=150)  # as it was then; empty: a command on the server
    what = models.CharField(max_length=40, db_index=True)  # a key of people.words.WORDS
    about = models.CharField(max_length=300)
    address = models.CharField(max_length=60)  # of the sender; empty: the server itself

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.who} {self.words} {self.about}"

    @property
    def who(self) -> str:
        return self.by_name or _("the server")

    @property
    def words(self) -> str:
        return _(WORDS.get(self.what, self.what))

    @property
    def where(self) -> str:
        return self.address or _("on the server")
