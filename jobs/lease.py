"""At most one live holder of a job, whatever the queue delivers twice or a machine forgets.

A claim takes the job's row by one conditional UPDATE and raises its fencing token. Every later write
of the holder names that token, so a holder that was thought dead and wakes up again writes nothing.

Our own on top of Celery, whose late acknowledgements know neither a heartbeat nor a token (decision 0002).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from jobs.models import Job

BEAT_EVERY = 1.0  # seconds between writes of a heartbeat, however often a handler beats
LOOK_EVERY = 0.4  # seconds between looks for the wish to cancel: reading is cheap, writing is not
State = Job.State
log = logging.getLogger(__name__)


class JobError(Exception):
    """A failure in the user's words: what went wrong, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Cancelled(Exception):
    """Somebody asked for this job to be cancelled."""


class LeaseLost(Exception):
    """Another holder has this job now, or it has ended; this holder must stop and write nothing."""


class Interrupted(Exception):
    """This worker is going away; the job goes back to the queue."""


class Busy(Exception):
    """Somebody else still holds what the work needs; the job goes back to the queue, at no cost."""


class Died(Exception):
    """The work was ended from outside: killed, or out of memory. The job goes back to the queue.

    Unless it has died so often since it last got ahead that another attempt would only repeat that.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


stopping = threading.Event()  # set when this worker shuts down: see jobs.keeper
_in_a_long_step: set[Lease] = set()  # of this process; the keeper renews them


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class Lease:
    """A claimed job, in the hands of the thread that works on it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.token = job.token
        self._last_beat = self._last_look = 0.0
        self._unsaid: dict[str, object] = {}  # said since the last write

    def beat(
        self,
        done: int | None = None,
        total: int | None = None,
        message: str | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Renew the lease and say how far the work is. Raises Cancelled, LeaseLost or Interrupted."""
        if stopping.is_set():
            raise Interrupted
        if done is not None:
            self._unsaid |= {"done": done, "total": total or 0}
        if message is not None:
            self._unsaid["message"] = message[:200]
        if seconds_left is not None:
            self._unsaid["seconds_left"] = max(0, round(seconds_left))
        now = time.monotonic()
        if now - self._last_beat >= BEAT_EVERY:
            self._last_beat = now
            self._update(lease_until=timezone.now() + settings.JOB_LEASE, **self._unsaid)
            self._unsaid = {}
        if now - self._last_look >= LOOK_EVERY:
            self._last_look = now
            self._look()

    def _look(self) -> None:
        seen = Job.objects.filter(pk=self.job.pk).values_list("state", "token").first()
        if seen is None or seen[1] != self.token or seen[0] not in Job.HELD:
            raise LeaseLost
        if seen[0] == State.CANCELLING:
            raise Cancelled

    def progressed(self) -> None:
        """What was reached is safe: if the work dies from now on, that counts as the first time."""
        if self.job.attempts > 1:
            self._update(attempts=1)
            self.job.attempts = 1

    @contextmanager
    def long_step(self) -> Iterator[None]:
        """For one step that cannot beat and may take longer than a lease: the worker's keeper renews it
        meanwhile, in vain if another holder has the job. Not inside `fenced`: it would wait for the row.
        """
        _in_a_long_step.add(self)
        try:
            yield
        finally:
            _in_a_long_step.discard(self)

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction for the handler's own writes; LeaseLost before any of them if it is too late."""
        with transaction.atomic():
            if not self._held().select_for_update().exists():
                raise LeaseLost
            yield

    def finish(self, state: Job.State, *, error: str = "", hint: str = "") -> None:
        self._update(
            state=state,
            finished_at=timezone.now(),
            lease_until=None,
            seconds_left=None,
            message="",
            error=error,
            hint=hint,
        )

    def give_back(self, message: str = "Waiting for a worker to go on", *, counts: bool = False) -> None:
        """Back to the queue, or to its end where somebody asked for that meanwhile.

        `counts`: as an attempt that failed.
        """
        uncounted = {} if counts else {"attempts": F("attempts") - 1}
        queued = self._held().filter(state=State.RUNNING)
        if not queued.update(
            state=State.QUEUED,
            lease_until=None,
            sent_at=None,
            seconds_left=None,
            message=message[:200],
            **uncounted,
        ):
            self.finish(State.CANCELLED)

    def died(self, reason: str, hint: str) -> None:
        """Back to the queue, or failed if it keeps dying without getting ahead."""
        if self.job.attempts < self.job.max_attempts:
            self.give_back(f"{reason} It goes on from where it was", counts=True)
        else:
            self.finish(State.FAILED, error=died_too_often(self.job, reason), hint=hint)

    def renew(self) -> bool:
        """Without a beat's other work. False if another holder has the job, or it has ended."""
        return bool(self._held().update(lease_until=timezone.now() + settings.JOB_LEASE))

    def _update(self, **fields: object) -> None:
        if not self._held().update(**fields):
            raise LeaseLost

    def _held(self) -> QuerySet[Job]:
        return Job.objects.filter(pk=self.job.pk, token=self.token, state__in=Job.HELD)


def renew_long_steps() -> None:
    """For the keeper: the leases of this process whose holders cannot beat just now."""
    for one in tuple(_in_a_long_step):
        one.renew()


def died_too_often(job: Job, reason: str) -> str:
    return f"It died {job.attempts} times at the same place, without getting ahead. {reason}"


def claim(job_id: UUID | str) -> Lease | None:
    """Take a queued job, or None when somebody else has it or it has ended."""
    now = timezone.now()
    is_claimed = Job.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.RUNNING,
        token=F("token") + 1,
        attempts=F("attempts") + 1,
        lease_until=now + settings.JOB_LEASE,
        worker=worker_name(),
        finished_at=None,
        error="",
        hint="",
    )
    if not is_claimed:
        return None
    Job.objects.filter(pk=job_id, started_at=None).update(started_at=now)
    return Lease(Job.objects.get(pk=job_id))
