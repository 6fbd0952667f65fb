"""Start, cancel, retry and run a job; give back the jobs of dead workers."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from jobs.lease import Cancelled, Interrupted, JobError, Lease, LeaseLost, claim
from jobs.models import Job
from jobs.registry import handler_of

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
    """Queued jobs end at once; a running one is asked to stop and says when it has. Twice is once."""
    log.info("%s cancels job %s", by, job.pk)
    now = timezone.now()
    if Job.objects.filter(pk=job.pk, state=State.QUEUED).update(state=State.CANCELLED, finished_at=now):
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
    """What a worker does with a delivered job: claim it, work, write down how it ended."""
    lease = claim(job_id)
    if lease is None:
        log.info("Job %s is taken or over: this delivery has nothing to do", job_id)
        return
    try:
        _work(lease)
    except LeaseLost:
        log.warning("Job %s has another holder: this one stops", job_id)


def _work(lease: Lease) -> None:
    try:
        handler_of(lease.job.kind)(lease)
    except Cancelled:
        lease.finish(State.CANCELLED)
    except Interrupted:
        lease.give_back()
    except LeaseLost:
        raise
    except JobError as error:
        lease.finish(State.FAILED, error=str(error), hint=error.hint)
    except Exception as error:
        log.exception("Job %s failed", lease.job.pk)
        hint = "This is a fault of the program. The worker's log has the details; retrying may help."
        lease.finish(State.FAILED, error=f"{type(error).__name__}: {error}", hint=hint)
    else:
        # Asked to stop after the last beat: the work is whole, so it counts.
        lease.finish(State.SUCCEEDED)


def requeue_expired() -> int:
    """Give the jobs of holders that fell silent back to the queue, or end those that keep dying."""
    count = 0
    for job in Job.objects.expired():
        held = Job.objects.filter(pk=job.pk, token=job.token, state=job.state, lease_until=job.lease_until)
        if job.state == State.CANCELLING:
            held.update(state=State.CANCELLED, finished_at=timezone.now(), lease_until=None)
        elif job.attempts >= job.max_attempts:
            held.update(
                state=State.FAILED,
                finished_at=timezone.now(),
                lease_until=None,
                error=f"The worker died {job.attempts} times while doing this.",
                hint="Often it ran out of memory: see the worker's log, then retry.",
            )
        elif held.update(
            state=State.QUEUED,
            lease_until=None,
            sent_at=None,
            message="Its worker fell silent; going on soon",
        ):
            send(job=job)
            count += 1
    return count


def resend_forgotten() -> int:
    """Hand over again what is queued but was never delivered, or was lost with the queue."""
    late = timezone.now() - RESEND_AFTER
    forgotten = Job.objects.filter(state=State.QUEUED).exclude(sent_at__gte=late)
    jobs = [job for job in forgotten if job.sent_at or job.created_at < late or job.attempts or job.token]
    for job in jobs:
        send(job=job)
    return len(jobs)
