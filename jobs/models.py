"""Jobs and their state. docs/jobs.md has the table of states and of who may change them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import pgettext, pgettext_lazy

from formats.texts import Text, as_words, with_words
from jobs.machines import Machine, Needs, misfit
from jobs.registry import is_sharded, slots_of
from notices.words import shown

WORKER_SILENCE = timedelta(seconds=15)  # a worker not seen for this long is not counted as running


def _words() -> models.JSONField:
    """What pages translate of the English text beside it: formats.texts.as_words. Empty in old rows."""
    return models.JSONField(default=dict, blank=True, db_default={})


LONGEST = {"title": 200, "message": 200, "label": 100}  # characters that these fields hold


def texts(**said: str) -> dict[str, Any]:
    """The values of fields for people, such as ``error``, each with what pages translate of it."""
    words = {f"{name}_words": as_words(text) for name, text in said.items()}
    return words | {name: str(text)[: LONGEST.get(name)] for name, text in said.items()}


class JobQuerySet(models.QuerySet["Job"]):
    def live(self) -> JobQuerySet:
        return self.filter(state__in=Job.LIVE)

    def expired(self) -> JobQuerySet:
        """Jobs whose holder has not renewed the lease in time."""
        return self.filter(state__in=Job.HELD, lease_until__lt=timezone.now())


class Job(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued", pgettext_lazy("a job", "Queued")
        RUNNING = "running", pgettext_lazy("a job", "Running")
        CANCELLING = "cancelling", pgettext_lazy("a job", "Cancelling")
        SUCCEEDED = "succeeded", pgettext_lazy("a job", "Succeeded")
        FAILED = "failed", pgettext_lazy("a job", "Failed")
        CANCELLED = "cancelled", pgettext_lazy("a job", "Cancelled")

    HELD = (State.RUNNING, State.CANCELLING)
    LIVE = (State.QUEUED, *HELD)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=50)  # names the function that does it: see jobs.registry
    title = models.CharField(max_length=LONGEST["title"])
    title_words = _words()
    url = models.CharField(max_length=200, blank=True)  # the page of what it works on
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED, db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    leases_lost = models.PositiveIntegerField(default=0)  # how often its holder fell silent
    max_attempts = models.PositiveIntegerField(default=5)
    token = models.PositiveIntegerField(default=0)  # fencing token: one higher for every claim
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)  # last handed to the queue
    tried_at = models.DateTimeField(null=True, blank=True)  # last given back because it could not be done yet
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=LONGEST["message"], blank=True)  # what it is doing now
    message_words = _words()
    seconds_left = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    error_words = _words()
    hint = models.TextField(blank=True)  # what to do about the error
    hint_words = _words()
    request_id = models.CharField(max_length=64, blank=True)  # of the request that started it: for logs
    needs = models.JSONField(default=dict, blank=True)  # jobs.machines.Needs; empty: any machine will do
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="job_held_has_lease",
                condition=~Q(state__in=("running", "cancelling")) | Q(lease_until__isnull=False),
            ),
            models.CheckConstraint(
                name="job_ended_has_time",
                condition=~Q(state__in=("succeeded", "failed", "cancelled")) | Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"

    def get_absolute_url(self) -> str:
        return reverse("jobs:job", args=[self.pk])

    @property
    def shown_title(self) -> str:
        """In the reader's language, as the others of this kind."""
        return shown(with_words(self.title, self.title_words))

    @property
    def shown_message(self) -> str:
        return shown(with_words(self.message, self.message_words))

    @property
    def shown_error(self) -> str:
        return shown(with_words(self.error, self.error_words))

    @property
    def shown_hint(self) -> str:
        return shown(with_words(self.hint, self.hint_words))

    @property
    def is_live(self) -> bool:
        return self.state in self.LIVE

    @property
    def is_silent(self) -> bool:
        """Whether the lease has expired and no other worker has requeued the job yet."""
        return self.state in self.HELD and self.lease_until is not None and self.lease_until < timezone.now()

    def get_state_display(self) -> str:  # type: ignore[no-redef]  # instead of Django's own
        """The state as pages show it: "Silent" instead of "running" if the job's lease has expired."""
        return pgettext("a job", "Silent") if self.is_silent else str(self.State(self.state).label)

    @property
    def ahead(self) -> int:
        """The number of jobs of its kind ahead of it, for kinds with a limit per machine."""
        if self.state != self.State.QUEUED or slots_of(self.kind) is None:
            return 0
        return Job.objects.live().filter(kind=self.kind, created_at__lt=self.created_at).count()

    @property
    def misfit(self) -> str:
        """Why none of the running workers can take this queued job; empty if one can."""
        return self.misfit_among(Worker.objects.machines()) if self.needs else ""

    def misfit_among(self, machines: list[Machine]) -> str:
        if self.state != self.State.QUEUED or not self.needs:
            return ""
        return misfit(Needs(**self.needs), machines)

    @property
    def is_sharded(self) -> bool:
        return is_sharded(self.kind)

    @property
    def percent(self) -> int | None:
        return min(100, round(100 * self.done / self.total)) if self.total else None

    @property
    def seconds(self) -> float | None:
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class ShardQuerySet(models.QuerySet["Shard"]):
    def waiting(self) -> ShardQuerySet:
        """Those that any worker may take. A job whose holder has left goes on meanwhile; one that is
        cancelled or has ended does not.
        """
        return self.filter(state=Shard.State.WAITING, job__state__in=(Job.State.QUEUED, Job.State.RUNNING))

    def unfinished(self) -> ShardQuerySet:
        return self.filter(state__in=(Shard.State.WAITING, Shard.State.RUNNING))

    def expired(self) -> ShardQuerySet:
        """Those whose holder has not renewed the lease in time."""
        return self.filter(state=Shard.State.RUNNING, lease_until__lt=timezone.now())


class Shard(models.Model):
    """A part of a job that any worker may do. docs/jobs.md has the table of its states."""

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("a shard", "Waiting")
        RUNNING = "running", pgettext_lazy("a shard", "Running")
        DONE = "done", pgettext_lazy("a shard", "Done")
        FAILED = "failed", pgettext_lazy("a shard", "Failed")

    job = models.ForeignKey(Job, models.CASCADE, related_name="shards")
    number = models.PositiveIntegerField()  # from 1, in the order in which they are taken
    label = models.CharField(max_length=LONGEST["label"], blank=True)  # what it is about, for people
    label_words = _words()
    payload = models.JSONField(default=dict)  # what it is about, for the function that does it
    count = models.PositiveIntegerField()  # photos
    done = models.PositiveIntegerField(default=0)  # of them, by the last report of its holder
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    token = models.PositiveIntegerField(default=0)  # fencing token: one higher for every claim
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)  # of the last attempt
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)  # of the last attempt that failed
    error_words = _words()
    hint = models.TextField(blank=True)
    hint_words = _words()

    objects = ShardQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="shard_number_once_in_a_job"),
            models.CheckConstraint(
                name="shard_held_has_lease",
                condition=~Q(state="running") | Q(lease_until__isnull=False, started_at__isnull=False),
            ),
            models.CheckConstraint(
                name="shard_ended_has_time",
                condition=~Q(state__in=("done", "failed")) | Q(finished_at__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["job", "state"], name="shard_of_job_by_state")]

    def __str__(self) -> str:
        return f"shard {self.number} ({self.label})" if self.label else f"shard {self.number}"

    @property
    def title(self) -> Text:
        """As the error of its job names it."""
        if not self.label:
            return Text("Shard %(n)s", n=str(self.number))
        label = with_words(self.label, self.label_words)
        return Text("Shard %(n)s (%(label)s)", n=str(self.number), label=label)

    @property
    def shown_title(self) -> str:
        """In the reader's language, as the others of this kind."""
        return shown(self.title)

    @property
    def shown_error(self) -> str:
        return shown(with_words(self.error, self.error_words))

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took, or has taken so far."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class WorkerQuerySet(models.QuerySet["Worker"]):
    def live(self) -> WorkerQuerySet:
        return self.filter(seen_at__gte=timezone.now() - WORKER_SILENCE)

    def machines(self) -> list[Machine]:
        """What the machines of running workers have."""
        return [Machine(**has) for has in self.live().exclude(machine={}).values_list("machine", flat=True)]


class Worker(models.Model):
    """A worker process that is, or was, running: written by its own housekeeping thread."""

    name = models.CharField(max_length=200, unique=True)
    seen_at = models.DateTimeField()
    version = models.CharField(max_length=50, blank=True)  # of the code that it started with
    machine = models.JSONField(default=dict, blank=True)  # what it has: jobs.machines.Machine

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
