"""Leases: a job has at most one live holder, even if the queue delivers it twice or a machine stalls.

A claim takes the job's row by one conditional UPDATE and increases its fencing token. Every later write of
the holder names that token. So a holder that was believed dead and wakes up again cannot write anything.

This is our own code on top of Celery, whose late acknowledgements have no heartbeat and no token
(decision 0002).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from formats.texts import Text, joined_texts
from jobs import endings
from jobs.machines import machine_name
from jobs.models import Job, texts

BEAT_EVERY = 1.0  # seconds between writes of a heartbeat, however often a handler beats
LOOK_EVERY = 0.4  # seconds between checks for a cancellation: reading is cheap, writing is not
CONTINUES = Text("Waiting for a worker to continue")
State = Job.State
log = logging.getLogger(__name__)


class JobError(Exception):
    """A failure that the user can understand: what went wrong, and what to do about it.

    Both are Texts, so that pages can translate them, unless another program has said them.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Cancelled(Exception):
    """Somebody asked for this job to be cancelled."""


class LeaseLost(Exception):
    """Another holder has this job now, or the job has ended. This holder must stop and write nothing."""


class Interrupted(Exception):
    """This worker is shutting down; the job goes back to the queue."""


class Busy(Exception):
    """Another process still holds what the work needs. The job is queued again without a failed attempt."""


class Died(Exception):
    """The work was ended from outside: it was killed, or ran out of memory. The job goes back to the queue,
    or fails if it has died too often since it last made progress.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Renewable(Protocol):
    def renew(self) -> bool: ...


stopping = threading.Event()  # set when this worker shuts down: see jobs.keeper
_in_a_long_step: set[Renewable] = set()  # of this process; the keeper renews them


def worker_name() -> str:
    return f"{machine_name()}:{os.getpid()}"


class Lease:
    """A claimed job, in the hands of the thread that works on it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.token = job.token
        self.gpus: list[str] = []  # ids of those that this job alone may use; none: it may use any
        self._last_beat = self._last_look = 0.0
        self._unwritten: dict[str, object] = {}  # progress reported since the last write

    def beat(
        self,
        done: int | None = None,
        total: int | None = None,
        message: str | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Renew the lease and report progress. Raises Cancelled, LeaseLost or Interrupted."""
        if stopping.is_set():
            raise Interrupted
        if done is not None:
            self._unwritten |= {"done": done, "total": total or 0}
        if message is not None:
            self._unwritten |= texts(message=message)
        if seconds_left is not None:
            self._unwritten["seconds_left"] = max(0, round(seconds_left))
        now = time.monotonic()
        if now - self._last_beat >= BEAT_EVERY:
            self._last_beat = now
            self._update(lease_until=timezone.now() + settings.JOB_LEASE, **self._unwritten)
            self._unwritten = {}
        if now - self._last_look >= LOOK_EVERY:
            self._last_look = now
            self._look()

    def _look(self) -> None:
        row = Job.objects.filter(pk=self.job.pk).values_list("state", "token").first()
        if row is None or row[1] != self.token or row[0] not in Job.HELD:
            raise LeaseLost
        if row[0] == State.CANCELLING:
            raise Cancelled

    def progressed(self) -> None:
        """Record that progress is saved: the next death counts as the first one."""
        if self.job.attempts > 1:
            self._update(attempts=1)
            self.job.attempts = 1

    @contextmanager
    def long_step(self) -> Iterator[None]:
        """For one step that cannot beat and may take longer than a lease. The worker's keeper renews the
        lease meanwhile, unless another holder has the job. Not for use inside `fenced`, which locks the row.
        """
        with renewed(self):
            yield

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction for the handler's own writes. Raises LeaseLost, before any of them, if it is lost."""
        with transaction.atomic():
            if not self._held().select_for_update().exists():
                raise LeaseLost
            yield

    @transaction.atomic
    def finish(self, state: Job.State, *, error: str = "", hint: str = "") -> None:
        self._update(
            state=state,
            finished_at=timezone.now(),
            lease_until=None,
            seconds_left=None,
            **texts(message="", error=error, hint=hint),
        )
        endings.tell(job_id=self.job.pk)

    def give_back(
        self,
        message: str = CONTINUES,
        *,
        counts: bool = False,
        later: bool = False,
    ) -> None:
        """Put the job back into the queue, or cancel it if somebody asked for that meanwhile.

        `counts`: this was a failed attempt. `later`: it cannot be done yet, and is sent again after a pause:
        jobs.queue.RESEND_AFTER.
        """
        now = timezone.now()
        refund = {} if counts else {"attempts": F("attempts") - 1}
        row = self._held().filter(state=State.RUNNING)
        if not row.update(
            state=State.QUEUED,
            lease_until=None,
            sent_at=now if later else None,
            tried_at=now if later else None,
            seconds_left=None,
            **texts(message=message),
            **refund,
        ):
            self.finish(State.CANCELLED)

    def died(self, reason: str, hint: str) -> None:
        """Put the job back into the queue, or fail it if it keeps dying without progress."""
        self.job.refresh_from_db(fields=["attempts"])  # a shard that was done has set it back
        if self.job.attempts < self.job.max_attempts:
            self.give_back(joined_texts(reason, Text("It will continue where it stopped")), counts=True)
        else:
            self.finish(State.FAILED, error=died_too_often(self.job, reason), hint=hint)

    def renew(self) -> bool:
        """Renew the lease only. False if another holder has the job, or the job has ended."""
        return bool(self._held().update(lease_until=timezone.now() + settings.JOB_LEASE))

    def _update(self, **fields: object) -> None:
        if not self._held().update(**fields):
            raise LeaseLost

    def _held(self) -> QuerySet[Job]:
        return Job.objects.filter(pk=self.job.pk, token=self.token, state__in=Job.HELD)


@contextmanager
def renewed(*leases: Renewable) -> Iterator[None]:
    """Have the worker's keeper renew these leases while the block runs."""
    _in_a_long_step.update(leases)
    try:
        yield
    finally:
        _in_a_long_step.difference_update(leases)


def renew_long_steps() -> None:
    """Renew the leases of this process whose holders cannot beat at the moment. The keeper calls it."""
    for one in tuple(_in_a_long_step):
        one.renew()


def died_too_often(job: Job, reason: str) -> Text:
    return Text(
        "It died %(n)s times at the same place without progress. %(reason)s", n=job.attempts, reason=reason
    )


def claim(job_id: UUID | str) -> Lease | None:
    """Take a queued job. None if another worker has it, or it has ended."""
    now = timezone.now()
    is_claimed = Job.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.RUNNING,
        token=F("token") + 1,
        attempts=F("attempts") + 1,
        lease_until=now + settings.JOB_LEASE,
        worker=worker_name(),
        finished_at=None,
        **texts(error="", hint=""),
    )
    if not is_claimed:
        return None
    Job.objects.filter(pk=job_id, started_at=None).update(started_at=now)
    return Lease(Job.objects.get(pk=job_id))
