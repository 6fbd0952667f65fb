"""Shards: parts of a job that any number of workers take by lease, do once, and that are retried alone.

A shard is taken and kept like a job (jobs.lease), with a fencing token and a lease. Its results and its end
are one transaction under that token, so a worker that was killed or comes late writes nothing twice.
jobs.crew has the workers' side.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from formats.texts import Text
from jobs.lease import (
    BEAT_EVERY,
    LOOK_EVERY,
    Cancelled,
    Interrupted,
    Lease,
    LeaseLost,
    Renewable,
    renewed,
    stopping,
    worker_name,
)
from jobs.models import Job, Shard, texts

MOST_ATTEMPTS = 3  # then the shard has failed, and the others go on
MOST_DEATHS = 5  # the same, if its worker fell silent: that is seldom the shard's fault
State = Shard.State
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """What a new shard is about: for people, for the function that does it, and how many photos it has."""

    label: str  # a Text
    count: int
    payload: dict[str, Any] = field(default_factory=dict)


def plan(lease: Lease, parts: Sequence[Part]) -> None:
    """Add shards to the job, all or none. Raises LeaseLost, so that two holders never both plan."""
    with lease.fenced():
        last = Shard.objects.filter(job=lease.job).order_by("-number").first()
        first = last.number + 1 if last else 1
        Shard.objects.bulk_create(
            (
                Shard(
                    job=lease.job,
                    number=number,
                    **texts(label=part.label),
                    payload=part.payload,
                    count=part.count,
                )
                for number, part in enumerate(parts, first)
            ),
            batch_size=500,
        )


def counts(job_id: UUID) -> tuple[int, int]:
    """The photos of the job's shards: done, all."""
    sums = Shard.objects.filter(job=job_id).aggregate(done=Sum("done"), count=Sum("count"))
    return sums["done"] or 0, sums["count"] or 0


def take(job_id: UUID) -> ShardLease | None:
    """Take a waiting shard of the job. None if there is none, or if the job is cancelled or has ended."""
    waiting = Shard.objects.waiting().filter(job=job_id)
    if not waiting.exists():  # without a transaction, which on SQLite waits for all who write
        return None
    with transaction.atomic():
        # PostgreSQL passes over rows that another worker is taking. On SQLite there are none: a transaction
        # begins with the lock of the whole database. Those that have failed come last.
        rows = waiting.select_for_update(skip_locked=True, of=("self",)).order_by("attempts", "number")
        shard = rows.first()
        if shard is None:
            return None
        now = timezone.now()
        Shard.objects.filter(pk=shard.pk).update(
            state=State.RUNNING,
            token=F("token") + 1,
            attempts=F("attempts") + 1,
            lease_until=now + settings.JOB_LEASE,
            worker=worker_name(),
            started_at=now,
            finished_at=None,
            done=0,
        )
    shard.refresh_from_db()
    return ShardLease(shard)


def _nothing() -> None: ...


class ShardLease:
    """A taken shard, in the hands of the thread that works on it."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.payload: dict[str, Any] = shard.payload
        self.has_ended = False
        self.is_retry = shard.attempts > 1
        self._done = 0
        self._last_beat = self._last_look = time.monotonic()
        self._on_beat: Callable[[], None] = _nothing
        self._renewed: tuple[Renewable, ...] = (self,)

    def join(self, holder: Lease, on_beat: Callable[[], None]) -> None:
        """The job's holder does this shard: what renews the shard's lease renews the job's, too."""
        self._on_beat, self._renewed = on_beat, (self, holder)

    def beat(self, done: int | None = None) -> None:
        """Renew the lease and report how many photos are done. Raises Cancelled if the job is cancelled or
        has ended, LeaseLost or Interrupted."""
        if stopping.is_set():
            raise Interrupted
        self._done = self._done if done is None else min(done, self.shard.count)
        now = time.monotonic()
        if now - self._last_beat >= BEAT_EVERY:
            self._last_beat = now
            if not self._held().update(lease_until=timezone.now() + settings.JOB_LEASE, done=self._done):
                raise LeaseLost
        if now - self._last_look >= LOOK_EVERY:
            self._last_look = now
            if not Job.objects.filter(
                pk=self.shard.job_id, state__in=(Job.State.QUEUED, Job.State.RUNNING)
            ).exists():
                raise Cancelled
        self._on_beat()

    def progressed(self) -> None:
        """Record that progress is saved: the next failure or death counts as the first one."""
        if self.shard.attempts > 1:
            self._held().update(attempts=1)
            self.shard.attempts = 1
            self._tell_job()

    @contextmanager
    def long_step(self) -> Iterator[None]:
        """For one step that cannot beat: see Lease.long_step."""
        with renewed(*self._renewed):
            yield

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction for writes before the end. Raises LeaseLost, before any of them, if it is lost."""
        with transaction.atomic():
            if not self._held().select_for_update().exists():
                raise LeaseLost
            yield

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """The transaction that writes the shard's results and ends it. Raises LeaseLost before any write."""
        with self.fenced():
            yield
            self._held().update(
                state=State.DONE,
                done=F("count"),
                finished_at=timezone.now(),
                lease_until=None,
                **texts(error="", hint=""),
            )
            self._tell_job()
        self.has_ended = True

    def _tell_job(self) -> None:
        """It makes progress, whoever holds it: its holder's next death counts as the first one."""
        Job.objects.filter(pk=self.shard.job_id, attempts__gt=1).update(attempts=1)

    def give_back(self) -> None:
        """Nothing is wrong with the shard: it waits for another worker, and this costs no attempt."""
        self._held().update(
            state=State.WAITING, attempts=F("attempts") - 1, done=0, lease_until=None, started_at=None
        )
        self.has_ended = True

    def fail(self, error: str, hint: str = "", *, for_good: bool = False) -> None:
        """This attempt failed: the shard waits for the next one, or has failed if that was the last.

        `for_good`: another attempt would fail in the same way.
        """
        log.warning("Job %s, %s, attempt %s: %s", self.shard.job_id, self.shard, self.shard.attempts, error)
        is_last = for_good or self.shard.attempts >= MOST_ATTEMPTS
        _end_attempt(self._held(), error, hint, is_last=is_last)
        self.has_ended = True

    def renew(self) -> bool:
        return bool(self._held().update(lease_until=timezone.now() + settings.JOB_LEASE))

    def _held(self) -> QuerySet[Shard]:
        return Shard.objects.filter(pk=self.shard.pk, token=self.shard.token, state=State.RUNNING)


def _end_attempt(rows: QuerySet[Shard], error: str, hint: str, *, is_last: bool) -> bool:
    ended = {**texts(error=error, hint=hint), "lease_until": None, "done": 0}
    if is_last:
        return bool(rows.update(state=State.FAILED, finished_at=timezone.now(), **ended))
    return bool(rows.update(state=State.WAITING, started_at=None, **ended))


def requeue_expired(job_id: UUID | None = None) -> int:
    """Let others take the shards (of this job) whose holders fell silent, up to MOST_DEATHS times."""
    expired = Shard.objects.expired()
    count = 0
    for shard in expired.filter(job=job_id) if job_id else expired:
        same_claim = expired.filter(pk=shard.pk, token=shard.token)
        error = Text("Its worker %(worker)s fell silent.", worker=shard.worker)
        hint = Text("Often it ran out of memory, or was killed: the worker's log has more.")
        count += _end_attempt(same_claim, error, hint, is_last=shard.attempts >= MOST_DEATHS)
    return count


def try_again(*, job: Job, number: int | None = None) -> int:
    """Let the job's failed shards, or the one with this number, wait for workers once more."""
    failed = Shard.objects.filter(job=job, state=State.FAILED)
    if number is not None:
        failed = failed.filter(number=number)
    return failed.update(state=State.WAITING, attempts=0, started_at=None, finished_at=None)
