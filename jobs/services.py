"""Start, cancel, retry and run a job; give back the jobs of dead workers."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.db.models import Q
from django.utils import timezone

from jobs.lease import (
    Busy,
    Cancelled,
    Died,
    Interrupted,
    JobError,
    Lease,
    LeaseLost,
    claim,
    died_too_often,
    stopping,
)
from jobs.models import Job
from jobs.registry import handler_of, slots_of, with_slots
from jobs.slots import Slot, left_behind, slot

State = Job.State
RESEND_AFTER = timedelta(seconds=30)  # a queued job that nobody has taken by then is handed over again
log = logging.getLogger(__name__)


def enqueue(*, kind: str, title: str, by: AbstractBaseUser | None, url: str = "") -> Job:
    """Save a job and hand it to the queue once the surrounding transaction is committed."""
    job = Job.objects.create(kind=kind, title=title[:200], created_by_id=by.pk if by else None, url=url)
    send(job=job)
    return job


def send(*, job: Job) -> None:
    """Hand a queued job to the workers. A queue that is down loses nothing: see resend_forgotten."""
    from jobs.tasks import run_job

    def deliver() -> None:
        try:
            run_job.delay(str(job.pk))
        except Exception as error:  # the broker's client raises many kinds
            log.warning("The queue is unreachable, %s waits: %s", job.pk, error)
            return
        Job.objects.filter(pk=job.pk).update(sent_at=timezone.now())

    transaction.on_commit(deliver)


def cancel(*, job: Job, by: AbstractBaseUser | None) -> None:
    """Queued jobs end at once, and those whose worker fell silent; a running one is asked to stop and
    says when it has. Twice is once.
    """
    log.info("%s cancels job %s", by, job.pk)
    now = timezone.now()
    nobodys = Q(state=State.QUEUED) | Q(state__in=Job.HELD, lease_until__lt=now)
    if Job.objects.filter(nobodys, pk=job.pk).update(
        state=State.CANCELLED, finished_at=now, lease_until=None, seconds_left=None
    ):
        return
    Job.objects.filter(pk=job.pk, state=State.RUNNING).update(state=State.CANCELLING)


@transaction.atomic
def retry(*, job: Job, by: AbstractBaseUser | None) -> bool:
    """Queue a failed or cancelled job again; it goes on from its checkpoint. False if it is not one."""
    log.info("%s retries job %s", by, job.pk)
    again = Job.objects.filter(pk=job.pk, state__in=(State.FAILED, State.CANCELLED)).update(
        state=State.QUEUED, attempts=0, finished_at=None, error="", hint="", message="", sent_at=None
    )
    if again:
        send(job=job)
    return bool(again)


def run(*, job_id: str) -> None:
    """What a worker does with a delivered job: claim it, work, write down how it ended.

    A delivery of a kind that has slots is only a reason to look: the oldest queued job comes first, and
    whoever holds a slot goes on until none of the kind is left.
    """
    kind = Job.objects.filter(pk=job_id).values_list("kind", flat=True).first()
    slots = slots_of(kind) if kind else None
    if kind is None or slots is None:
        _run(job_id)
        return
    busy: set[UUID] = set()  # left to a later delivery
    requeue_left_behind()  # else the next one would pass a run whose worker has just died
    while _oldest(kind, busy):
        with slot(kind, slots) as held:
            if held is None:
                log.info("Job %s waits for its turn", job_id)
                return
            while not stopping.is_set() and (oldest := _oldest(kind, busy)):
                _reconnect()  # the work before may have taken hours
                if not _run(oldest, held):
                    busy.add(oldest)
        # Looks again without the slot: a job delivered a moment before it was free was turned away.
        if stopping.is_set():
            return


def _oldest(kind: str, but: set[UUID]) -> UUID | None:
    queued = Job.objects.filter(kind=kind, state=State.QUEUED).exclude(pk__in=but)
    return queued.order_by("created_at").values_list("pk", flat=True).first()


def _reconnect() -> None:
    if not connection.in_atomic_block:
        close_old_connections()


def _run(job_id: UUID | str, held: Slot | None = None) -> bool:
    """False if it cannot be done now and must be left to a later delivery."""
    lease = claim(job_id)
    if lease is None:
        log.info("Job %s is taken or over: this delivery has nothing to do", job_id)
        return True
    if held:
        held.note(f"{lease.job.pk} {lease.token}")
    try:
        return _work(lease)
    except LeaseLost:
        log.warning("Job %s has another holder: this one stops", job_id)
        return True
    finally:
        if held:
            held.note("")


def _work(lease: Lease) -> bool:
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
        lease.give_back(str(why))
        return False
    except Died as death:
        _after_death(lease, str(death), death.hint)
    except JobError as error:
        lease.finish(State.FAILED, error=str(error), hint=error.hint)
    except (OperationalError, InterfaceError) as error:
        log.exception("The database was away during job %s", lease.job.pk)
        _reconnect()
        _after_death(lease, f"The database did not answer: {error}.", "Is it running, and its disk not full?")
    except Exception as error:
        log.exception("Job %s failed", lease.job.pk)
        hint = "This is a fault of the program. The worker's log has the details; retrying may help."
        lease.finish(State.FAILED, error=f"{type(error).__name__}: {error}", hint=hint)
    else:
        # Asked to stop after the last beat: the work is whole, so it counts.
        lease.finish(State.SUCCEEDED)
    return True


def _after_death(lease: Lease, reason: str, hint: str) -> None:
    log.warning("Job %s died: %s", lease.job.pk, reason)
    lease.died(reason, hint)
    job = Job.objects.get(pk=lease.job.pk)
    if job.state == State.QUEUED:
        send(job=job)


def requeue_expired() -> int:
    """Give the jobs of holders that fell silent back to the queue, or end those that keep dying."""
    return sum(_requeue(job) for job in Job.objects.expired())


def requeue_left_behind() -> int:
    """The same, without waiting for the lease, for those whose holder's death on this machine is certain."""
    count = 0
    for kind, slots in with_slots():
        for job_id, token in left_behind(kind, slots):
            for job in Job.objects.filter(pk=job_id, token=token, state__in=Job.HELD):
                count += _requeue(job)
    return count


def _requeue(job: Job) -> bool:
    held = Job.objects.filter(pk=job.pk, token=job.token, state=job.state, lease_until=job.lease_until)
    if job.state == State.CANCELLING:
        held.update(state=State.CANCELLED, finished_at=timezone.now(), lease_until=None)
        return False
    if job.attempts >= job.max_attempts:
        held.update(
            state=State.FAILED,
            finished_at=timezone.now(),
            lease_until=None,
            error=died_too_often(job, "Its worker fell silent each time."),
            hint="Often it ran out of memory: see the worker's log, then retry, perhaps a smaller batch.",
        )
        return False
    queued = held.update(
        state=State.QUEUED,
        lease_until=None,
        sent_at=None,
        seconds_left=None,
        message="Its worker fell silent; going on soon",
    )
    if queued:
        send(job=job)
    return bool(queued)


def resend_forgotten() -> int:
    """Hand over again what is queued but was never delivered, or was lost with the queue."""
    late = timezone.now() - RESEND_AFTER
    forgotten = Job.objects.filter(state=State.QUEUED).exclude(sent_at__gte=late)
    jobs = [job for job in forgotten if job.sent_at or job.created_at < late or job.attempts or job.token]
    for job in jobs:
        send(job=job)
    return len(jobs)
