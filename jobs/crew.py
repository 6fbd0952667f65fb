"""The crew of a sharded job: its holder, and helpers on any worker, take its shards until none is left.

The holder has the job's lease. It plans the shards, calls helpers, does shards like them, and ends the job
once the last shard is done. A helper has no lease but that of its shard, so helpers come and go. If the
holder goes, helpers go on, and the next holder finds what they have done.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from formats.storage import failure_of
from formats.texts import Text, joined_texts, text_of, with_words
from jobs import queue, shards
from jobs.lease import Cancelled, Died, Interrupted, JobError, Lease, LeaseLost, stopping
from jobs.models import Job, Shard, Worker
from jobs.openings import startable, tried_just_now
from jobs.registry import opener_of, with_slots
from jobs.request_id import carried
from jobs.shards import ShardLease
from jobs.slots import slot

POLL = 0.25  # seconds between looks of a holder that waits for the shards of others
COUNT_EVERY = 1.0  # seconds between two sums over a job's shards
MOST_FAILED = 3  # shards: then the job fails without trying the others
HELPERS = "shards"  # names the slots of a machine's helpers
log = logging.getLogger(__name__)


class ShardsFailed(JobError):
    """Some shards have failed for good."""

    def __init__(self, message: str, hint: str, failed: Sequence[Shard]) -> None:
        super().__init__(message, hint)
        self.failed = [shard.pk for shard in failed]

    def still_holds(self) -> bool:
        """Not if somebody lets one of them wait again. Ask with the job's row locked (Lease.fenced)."""
        states = Shard.objects.filter(pk__in=self.failed).values_list("state", flat=True)
        return set(states) == {Shard.State.FAILED}


class NotNeeded(Exception):
    """Nobody needs the job's shards any more: another job has replaced it."""


def _nothing() -> None: ...


# --- the holder -------------------------------------------------------------------------------


def work_off(lease: Lease, *, total: int, message: str) -> None:
    """Do the job's shards together with helpers until all have ended. `total`: photos of the whole job, also
    those that are in no shard because they were done before.

    Raises ShardsFailed, which names them; NotNeeded; and what Lease.beat raises.
    """
    progress, began = _Progress(lease, total, message), timezone.now()
    call_helpers(lease.job.pk)
    with hands(lease.job, lease, progress.look) as do_one:
        while True:
            _stop_if_hopeless(lease.job, began)
            if do_one():
                continue
            if not Shard.objects.filter(job=lease.job).unfinished().exists():
                _raise_failed(lease.job)
                if not Shard.objects.filter(job=lease.job).unfinished().exists():
                    break  # not if a failed one was let wait again in between
                continue
            shards.requeue_expired(lease.job.pk)
            progress.look()
            stopping.wait(POLL)
    progress.look(last=True)


class _Progress:
    """Reports the job's progress from its shards, by all workers."""

    def __init__(self, lease: Lease, total: int, message: str) -> None:
        self.lease, self.message = lease, message
        self.began = self.last_count = time.monotonic()
        done, count = shards.counts(lease.job.pk)
        self.before = max(0, total - count)
        self.first = self.done = self.before + done
        self.total = self.before + count
        lease.beat(self.done, self.total, message)

    def look(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self.last_count < COUNT_EVERY:
            self.lease.beat()
            return
        self.last_count = now
        self.done = self.before + shards.counts(self.lease.job.pk)[0]
        pace = (now - self.began) / (self.done - self.first) if self.done > self.first else None
        left = None if pace is None else pace * max(0, self.total - self.done)
        self.lease.beat(self.done, self.total, self.message, left)


def _stop_if_hopeless(job: Job, began: datetime) -> None:
    """Raise ShardsFailed if so many shards have failed since then that the others would fail, too."""
    if Shard.objects.filter(job=job, state=Shard.State.FAILED, finished_at__gte=began).count() >= MOST_FAILED:
        _raise_failed(job)


def _raise_failed(job: Job) -> None:
    rows = Shard.objects.filter(job=job)
    failed = list(rows.filter(state=Shard.State.FAILED))
    if not failed:
        return
    n_done, n_all = rows.filter(state=Shard.State.DONE).count(), rows.count()
    named = (
        joined_texts(shard.title, with_words(shard.error, shard.error_words), by=": ")
        for shard in failed[:MOST_FAILED]
    )
    hint = joined_texts(
        with_words(failed[0].hint, failed[0].hint_words),
        Text("%(n)s of %(all)s shards are done and kept.", n=n_done, all=n_all) if n_all > 1 else "",
        Text("Trying again does only what is missing."),
    )
    raise ShardsFailed(joined_texts(*named, by="; "), hint, failed)


# --- a helper ---------------------------------------------------------------------------------


def call_helpers(job_id: UUID | None = None) -> None:
    """Ask other workers to help, if shards (of this job) wait. A message that is lost does no harm: each
    worker with a free thread asks again in each round of its housekeeping.
    """
    waiting = Shard.objects.filter(state=Shard.State.WAITING, job__state=Job.State.RUNNING)
    if job_id is None:
        if waiting.exists():
            queue.send_task(queue.HELP)
        return
    # The holder takes one itself.
    for _ in range(min(waiting.filter(job=job_id).count() - 1, Worker.objects.live().count())):
        queue.send_task(queue.HELP)


def help_out() -> None:
    """Do shards of running jobs, the oldest first, until none waits or another job needs this thread. A
    machine has at most SHARD_HELPERS helpers at once."""
    with slot(HELPERS, settings.SHARD_HELPERS) as own_slot:
        if own_slot is None:
            return
        seen: set[UUID] = set()
        while not stopping.is_set() and (job := _oldest(seen)):
            seen.add(job.pk)
            with carried(job.request_id):
                _help(job)
            if _is_needed_elsewhere(job):
                return


def _oldest(without: set[UUID]) -> Job | None:
    jobs = Job.objects.filter(state=Job.State.RUNNING, shards__state=Shard.State.WAITING)
    return jobs.exclude(pk__in=without).order_by("created_at").first()


def _help(job: Job) -> None:
    log.info("Helping with job %s", job.pk)
    try:
        with hands(job) as do_one:
            while do_one() and not _is_needed_elsewhere(job):
                _reconnect()
    except (Cancelled, Interrupted, NotNeeded):
        return
    except Exception:  # the job's holder meets the same fault, and reports it
        log.exception("Helping with job %s ended", job.pk)
        _reconnect()
        return
    job.refresh_from_db()
    if job.state == Job.State.QUEUED:  # its holder has left: the next one ends it
        queue.send(job=job)


def _is_needed_elsewhere(job: Job) -> bool:
    """Whether another job waits for a thread. One of a kind with slots needs a free slot, too; one that was
    tried just now waits for something else.
    """
    queued = Job.objects.filter(state=Job.State.QUEUED).exclude(pk__in={job.pk, *tried_just_now()})
    kinds = [kind for kind, _ in with_slots()]
    return queued.exclude(kind__in=kinds).exists() or startable() is not None


def _reconnect() -> None:
    if not connection.in_atomic_block:
        close_old_connections()


def threads() -> int:
    """How many threads a shard may use, so that a machine's holder and helpers share its cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // (1 + int(settings.SHARD_HELPERS)))


# --- a worker's hands -------------------------------------------------------------------------


@contextmanager
def hands(
    job: Job, holder: Lease | None = None, on_beat: Callable[[], None] = _nothing
) -> Iterator[Callable[[], bool]]:
    """A function that takes and does one shard of the job; it returns False if there is none to take.

    What shards need, such as a network, is loaded with the first and kept until the block ends.
    """
    with ExitStack() as kept:
        loaded: list[Callable[[ShardLease], None]] = []

        def do_one() -> bool:
            lease = shards.take(job.pk)
            if lease is None:
                return False
            if holder:
                lease.join(holder, on_beat)
            try:
                if not loaded:
                    # What is loaded may have to be fetched first, which may take longer than a lease.
                    with _given_back_after(lease), lease.long_step():
                        loaded.append(kept.enter_context(opener_of(job.kind)(job)))
                with _recorded(lease):
                    loaded[0](lease)
                    if not lease.has_ended:
                        with lease.finishing():
                            pass
            except _AttemptFailed:
                kept.close()  # a program that was killed, for example: the next shard starts it again
                loaded.clear()
            return True

        yield do_one


@contextmanager
def _given_back_after(lease: ShardLease) -> Iterator[None]:
    """What cannot be loaded is no fault of the shard."""
    try:
        yield
    except BaseException:
        with suppress(OperationalError, InterfaceError):
            lease.give_back()
        raise


class _AttemptFailed(Exception):
    """It is in the shard's row."""


@contextmanager
def _recorded(lease: ShardLease) -> Iterator[None]:
    """Write into the shard's row how the attempt ended. Raises what concerns more than this shard."""
    try:
        yield
    except LeaseLost as lost:
        if lease.renew():  # then it is the job that has another holder
            lease.give_back()
            raise
        log.warning("Job %s, %s has another holder", lease.shard.job_id, lease.shard)
        raise _AttemptFailed from lost
    except (Cancelled, Interrupted, NotNeeded):
        lease.give_back()
        raise
    except JobError as error:
        lease.fail(text_of(error), error.hint, for_good=True)
        raise _AttemptFailed from error
    except Died as death:
        lease.fail(text_of(death), death.hint)
        raise _AttemptFailed from death
    except (OperationalError, InterfaceError):
        with suppress(OperationalError, InterfaceError):
            lease.give_back()
        raise
    except Exception as error:
        if failure_of(error):
            lease.give_back()
            raise
        log.exception("Job %s, %s failed", lease.shard.job_id, lease.shard)
        hint = Text("This is a fault of the program. The worker's log has the details.")
        lease.fail(f"{type(error).__name__}: {error}", hint)
        raise _AttemptFailed from error
