"""Enqueue, cancel and retry jobs; give the jobs of dead workers back to the queue."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu import Connection

from formats import spans
from formats.texts import Text
from jobs import endings, request_id, shards
from jobs.broker import BrokerAway, reach
from jobs.lease import died_too_often
from jobs.machines import Needs, as_json
from jobs.models import Job, texts
from jobs.registry import with_slots
from jobs.slots import left_behind

State = Job.State
TASK, HELP = "jobs.run", "jobs.help"  # sent by their names: jobs.tasks, which has them, imports this module
# One attempt of at most a second.
SENDING = settings.CELERY_BROKER_TRANSPORT_OPTIONS | {
    **{"socket_timeout": settings.BROKER_SECONDS, "socket_connect_timeout": settings.BROKER_SECONDS},
    "max_retries": 0,
}
RESEND_AFTER = timedelta(seconds=30)  # a queued job that no worker has taken by then is sent again
log = logging.getLogger(__name__)


def enqueue(
    *, kind: str, title: str, by: AbstractBaseUser | None, url: str = "", needs: Needs | None = None
) -> Job:
    """Save a job and send it to the queue once the surrounding transaction is committed. ``title`` is a Text.

    Only kinds with slots have ``needs``: a worker takes the oldest job of such a kind that fits its machine.
    """
    job = Job.objects.create(
        kind=kind,
        **texts(title=title),
        url=url,
        created_by_id=by.pk if by else None,
        request_id=request_id.current(),
        needs=as_json(needs) if needs else {},
    )
    send(job=job)
    return job


def send(*, job: Job) -> None:
    """Send a queued job to the workers. No job is lost if the queue is down: see resend_forgotten."""
    transaction.on_commit(lambda: _deliver(job))


def _deliver(job: Job) -> None:
    """The job is saved already, so no failure here may look as if it were not: it is sent again later."""
    try:
        if not Job.objects.filter(pk=job.pk, state=State.QUEUED).exists():
            return  # claimed in the transaction that created it
        _send_task(TASK, str(job.pk))
        Job.objects.filter(pk=job.pk).update(sent_at=timezone.now())
    except (BrokerAway, OperationalError) as error:
        log.warning("Job %s is sent later: %r", job.pk, error)


def send_task(name: str) -> None:
    """Send a task without arguments that does no harm if it is lost."""
    try:
        _send_task(name)
    except (BrokerAway, OperationalError) as error:
        log.warning("%s is not sent: %r", name, error)


def _send_task(name: str, *arguments: str) -> None:
    # A connection of its own, because workers wait longer for the queue than a request may.
    with reach(), Connection(settings.CELERY_BROKER_URL, transport_options=SENDING) as connection:
        headers = {"traceparent": parent} if (parent := spans.current()) else None
        current_app.send_task(name, list(arguments), connection=connection, retry=False, headers=headers)


@transaction.atomic
def cancel(*, job: Job, by: AbstractBaseUser | None) -> None:
    """Cancel a job. A queued job, and one whose lease has expired, ends at once; a running one is asked to
    stop. Repeating it changes nothing.
    """
    log.info("%s cancels job %s", by, job.pk)
    now = timezone.now()
    without_holder = Q(state=State.QUEUED) | Q(state__in=Job.HELD, lease_until__lt=now)
    if Job.objects.filter(without_holder, pk=job.pk).update(
        state=State.CANCELLED, finished_at=now, lease_until=None, seconds_left=None
    ):
        endings.tell(job_id=job.pk)
        return
    Job.objects.filter(pk=job.pk, state=State.RUNNING).update(state=State.CANCELLING)


@transaction.atomic
def retry(*, job: Job, by: AbstractBaseUser | None) -> bool:
    """Queue a failed or cancelled job again; it continues from its checkpoint. False for any other job."""
    log.info("%s retries job %s", by, job.pk)
    is_queued = _queue_again(job)
    if is_queued:
        shards.try_again(job=job)
    return is_queued


@transaction.atomic
def retry_shard(*, job: Job, number: int, by: AbstractBaseUser | None) -> bool:
    """Let a failed shard wait for workers again; a job that has ended is queued again for it. False for a
    shard that has not failed.
    """
    log.info("%s retries shard %s of job %s", by, number, job.pk)
    Job.objects.select_for_update(of=("self",)).get(pk=job.pk)  # its holder may just be ending it
    is_waiting = shards.try_again(job=job, number=number)
    if is_waiting:
        _queue_again(job)
    return bool(is_waiting)


def _queue_again(job: Job) -> bool:
    is_queued = Job.objects.filter(pk=job.pk, state__in=(State.FAILED, State.CANCELLED)).update(
        state=State.QUEUED,
        attempts=0,
        finished_at=None,
        sent_at=None,
        **texts(error="", hint="", message=""),
    )
    if is_queued:
        send(job=job)
    return bool(is_queued)


def requeue_expired() -> int:
    """Requeue jobs whose lease has expired, or fail those that keep dying."""
    return sum(_requeue(job) for job in Job.objects.expired())


def requeue_left_behind() -> int:
    """Do the same, without waiting for the lease, for jobs whose holder certainly died on this machine."""
    count = 0
    for kind, slots in with_slots():
        for job_id, token in left_behind(kind, slots):
            for job in Job.objects.filter(pk=job_id, token=token, state__in=Job.HELD):
                count += _requeue(job)
    return count


@transaction.atomic
def _requeue(job: Job) -> bool:
    same_claim = Job.objects.filter(pk=job.pk, token=job.token, state=job.state, lease_until=job.lease_until)
    lost = F("leases_lost") + 1
    if job.state == State.CANCELLING:
        now = timezone.now()
        if same_claim.update(state=State.CANCELLED, finished_at=now, lease_until=None, leases_lost=lost):
            endings.tell(job_id=job.pk)
        return False
    if job.attempts >= job.max_attempts:
        is_ended = same_claim.update(
            state=State.FAILED,
            finished_at=timezone.now(),
            lease_until=None,
            leases_lost=lost,
            **texts(
                error=died_too_often(job, Text("Its worker fell silent each time.")),
                hint=Text(
                    "Often it ran out of memory: see the worker's log, then retry, maybe with a smaller "
                    "batch."
                ),
            ),
        )
        if is_ended:
            endings.tell(job_id=job.pk)
        return False
    is_queued = same_claim.update(
        state=State.QUEUED,
        lease_until=None,
        leases_lost=lost,
        sent_at=None,
        seconds_left=None,
        **texts(message=Text("Its worker fell silent; it will continue soon")),
    )
    if is_queued:
        send(job=job)
    return bool(is_queued)


def resend_forgotten() -> int:
    """Send queued jobs again that were never delivered, or were lost with the queue."""
    late = timezone.now() - RESEND_AFTER
    candidates = Job.objects.filter(state=State.QUEUED).exclude(sent_at__gte=late)
    jobs = [job for job in candidates if job.sent_at or job.created_at < late or job.attempts or job.token]
    for job in jobs:
        send(job=job)
    return len(jobs)
