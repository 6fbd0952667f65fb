"""What a worker does with a delivered job: claim it, do it, and record how it ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction

from formats import spans
from formats.storage import StorageFailure, failure_of
from formats.texts import Text, joined_texts, text_of
from jobs import crew
from jobs.crew import ShardsFailed
from jobs.lease import (
    Busy,
    Cancelled,
    Died,
    Interrupted,
    JobError,
    Lease,
    LeaseLost,
    claim,
    stopping,
)
from jobs.models import Job
from jobs.openings import gpus_for, oldest_that_fits, startable
from jobs.queue import State, log, requeue_expired, requeue_left_behind, send
from jobs.registry import handler_of, slots_of
from jobs.request_id import carried
from jobs.slots import Slot, slot

LOOK = 2.0  # seconds between two looks at a job that has to wait
# What SQLite and PostgreSQL say when their own disk fails.
DATABASE_DISK = (
    "disk is full",
    "disk i/o error",
    "readonly database",
    "no space left",
    "could not extend file",
)


def run(*, job_id: str) -> None:
    """Claim the delivered job, do it, and record how it ended.

    For a kind with slots, a delivery is only a signal: the oldest queued job that fits this machine comes
    first, and the holder of a slot continues until no such job is left. A job that needs more GPUs than are
    free at the moment is not overtaken: whoever holds them does it next.
    """
    kind = Job.objects.filter(pk=job_id).values_list("kind", flat=True).first()
    slots = slots_of(kind) if kind else None
    if kind is None or slots is None:
        _run(job_id)
        return
    busy: set[UUID] = set()  # left to a later delivery
    requeue_left_behind()  # otherwise the next job would overtake a run whose worker has just died
    while oldest_that_fits(kind, busy):
        with slot(kind, slots) as own_slot:
            if own_slot is None:
                log.info("Job %s waits for its turn", job_id)
                return
            while not stopping.is_set() and (oldest := oldest_that_fits(kind, busy)):
                _reconnect()  # the work before may have taken hours
                with gpus_for(oldest) as own_gpus:
                    if own_gpus is None:
                        log.info("Job %s waits for GPUs", oldest.pk)
                        return
                    if not _run(oldest.pk, own_slot, own_gpus):
                        busy.add(oldest.pk)
        # Check again without the slot: a job delivered just before the slot was free was turned away.
        if stopping.is_set():
            return


def help_out() -> None:
    """The task "jobs.help": help with shards, then do a job that waits for a slot and finds one free here."""
    crew.help_out()
    if not stopping.is_set() and (job := startable()):
        run(job_id=str(job.pk))


def do_here(*, job: Job, lease: Lease | None = None) -> Job:
    """Do a job in this process and return it once it has ended. `lease`: it is claimed already.

    If a worker has it, or it has to wait, for the storage for example, it goes on wherever it is taken first.
    """
    own_lease = lease or claim(job.pk)
    while True:
        if own_lease:
            with suppress(LeaseLost):
                _work(own_lease)
        job.refresh_from_db()
        if not job.is_live:
            return job
        time.sleep(LOOK)
        requeue_expired()
        own_lease = claim(job.pk)


def _reconnect() -> None:
    if not connection.in_atomic_block:
        close_old_connections()


def _run(job_id: UUID | str, own_slot: Slot | None = None, own_gpus: Sequence[str] = ()) -> bool:
    """Do the job. False if it cannot be done now and must be left to a later delivery."""
    lease = claim(job_id)
    if lease is None:
        log.debug("Job %s has been delivered before", job_id)
        return True
    lease.gpus = list(own_gpus)
    if own_slot:
        own_slot.note(f"{lease.job.pk} {lease.token}")
    try:
        return _work(lease)
    except LeaseLost:
        log.warning("Job %s has another holder: this one stops", job_id)
        return True
    finally:
        if own_slot:
            own_slot.note("")


def _work(lease: Lease) -> bool:
    job = lease.job
    facts = {"scenetag.job": str(job.pk), "scenetag.request_id": job.request_id}
    parent = spans.of_request(job.request_id)
    with carried(job.request_id), spans.span(f"job {job.kind}", facts, parent=parent) as span:
        is_done = _do(lease)
        span.set_attributes({"scenetag.is_done": is_done})
        return is_done


def _do(lease: Lease) -> bool:
    try:
        handler_of(lease.job.kind)(lease)
    except Cancelled:
        lease.finish(State.CANCELLED)
    except Interrupted:
        lease.give_back()
    except LeaseLost:
        raise
    except Busy as why:
        log.warning("Job %s goes back to the queue: %s", lease.job.pk, why)
        lease.give_back(text_of(why), later=True)
        return False
    except Died as death:
        _after_death(lease, text_of(death), death.hint)
    except ShardsFailed as error:
        with lease.fenced():  # and whoever lets a shard wait again locks the job, too
            if error.still_holds():
                lease.finish(State.FAILED, error=text_of(error), hint=error.hint)
            else:
                lease.give_back()
                transaction.on_commit(lambda: send(job=lease.job))
    except JobError as error:
        lease.finish(State.FAILED, error=text_of(error), hint=error.hint)
    except (OperationalError, InterfaceError) as error:
        log.exception("The database did not answer during job %s", lease.job.pk)
        _reconnect()
        if any(words in str(error).lower() for words in DATABASE_DISK):
            return _wait_for_storage(lease, StorageFailure(Text("the database says: %(error)s", error=error)))
        hint = Text("Check that it is running and that its disk is not full.")
        _after_death(lease, Text("The database did not answer: %(error)s.", error=error), hint)
    except Exception as error:
        if failure := failure_of(error):
            return _wait_for_storage(lease, failure)
        log.exception("Job %s failed", lease.job.pk)
        hint = joined_texts(
            Text("This is a fault of the program. The worker's log has the details."),
            Text("Retrying may help."),
        )
        lease.finish(State.FAILED, error=f"{type(error).__name__}: {error}", hint=hint)
    else:
        # A cancellation after the last beat comes too late: the work is complete, so it counts.
        lease.finish(State.SUCCEEDED)
    return True


def _wait_for_storage(lease: Lease, failure: StorageFailure) -> bool:
    """Leave the job to a later delivery, as often as it takes: nothing that it works on is at fault."""
    log.warning("Job %s waits for the storage: %s", lease.job.pk, failure)
    waiting = Text("Waiting for the storage, to continue by itself: %(why)s", why=text_of(failure))
    lease.give_back(waiting, later=True)
    return False


def _after_death(lease: Lease, reason: str, hint: str) -> None:
    log.warning("Job %s died: %s", lease.job.pk, reason)
    lease.died(reason, hint)
    job = Job.objects.get(pk=lease.job.pk)
    if job.state == State.QUEUED:
        send(job=job)
