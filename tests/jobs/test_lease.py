"""Rule 2: one run has one live trainer. A job has at most one live holder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import keeper, queue, registry, work
from jobs.lease import Busy, Cancelled, Died, Interrupted, JobError, Lease, LeaseLost, claim, stopping
from jobs.models import Job

State = Job.State
pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def job() -> Job:
    return queue.enqueue(kind="test", title="A test job", by=None)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    kinds = dict(registry._kinds)
    yield
    registry._kinds.clear()
    registry._kinds.update(kinds)


def silence(job: Job) -> None:
    """Let the job's lease expire, as if its holder had died."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_second_claim_of_a_job_is_refused(job: Job) -> None:
    assert claim(job.pk) is not None
    assert claim(job.pk) is None


def test_job_with_an_expired_lease_is_requeued_and_its_old_holder_writes_nothing(job: Job) -> None:
    old = claim(job.pk)
    assert old
    silence(job)
    assert queue.requeue_expired() == 1
    new = claim(job.pk)
    assert new
    assert new.token == old.token + 1
    with pytest.raises(LeaseLost):
        old.beat(1, 2)
    with pytest.raises(LeaseLost), old.fenced():
        pytest.fail("an old holder could still write")
    with pytest.raises(LeaseLost):
        old.finish(State.SUCCEEDED)
    new.finish(State.SUCCEEDED)
    job.refresh_from_db()
    assert job.leases_lost == 1
    assert job.state == State.SUCCEEDED


def test_long_step_renews_its_own_lease_only(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    with lease.long_step():
        silence(job)
        keeper.keep_house()  # also looks for expired leases: this one must be renewed before
        job.refresh_from_db()
        assert (job.state, job.is_silent, job.token) == (State.RUNNING, False, lease.token)
        Job.objects.filter(pk=job.pk).update(token=job.token + 1)  # another holder, who then falls silent
        silence(job)
        keeper.keep_house()
    assert Job.objects.get(pk=job.pk).state == State.QUEUED
    lease = claim(job.pk)
    assert lease
    with lease.long_step():
        pass
    silence(job)
    keeper.keep_house()
    assert Job.objects.get(pk=job.pk).state == State.QUEUED


def test_job_with_a_live_lease_is_not_requeued(job: Job) -> None:
    claim(job.pk)
    assert queue.requeue_expired() == 0


def test_job_that_keeps_killing_its_worker_fails(job: Job) -> None:
    for _ in range(job.max_attempts):
        assert claim(job.pk)
        silence(job)
        queue.requeue_expired()
    job.refresh_from_db()
    assert job.state == State.FAILED
    assert "died 5 times at the same place" in job.error
    assert job.hint


def test_deaths_do_not_count_after_progress(job: Job) -> None:
    for _ in range(4 * job.max_attempts):
        lease = claim(job.pk)
        assert lease
        lease.progressed()
        silence(job)
        assert queue.requeue_expired() == 1


def test_program_that_is_killed_fails_only_without_progress(job: Job) -> None:
    deaths = 0

    def handler(lease: Lease) -> None:
        nonlocal deaths
        deaths += 1
        if deaths <= 20:
            lease.progressed()
        raise Died("It was killed.", "Choose a smaller batch")

    registry.register("test", handler)
    while Job.objects.get(pk=job.pk).is_live:
        work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert deaths == 20 + job.max_attempts - 1  # the twentieth death is the first one at its place
    assert job.state == State.FAILED
    assert "died 5 times at the same place without progress. It was killed." in job.error
    assert job.hint == "Choose a smaller batch"


def test_busy_does_not_count_as_an_attempt(job: Job) -> None:
    def handler(lease: Lease) -> None:
        raise Busy("Another trainer has the folder")

    registry.register("test", handler)
    for _ in range(3):
        work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.attempts, job.message) == (State.QUEUED, 0, "Another trainer has the folder")


@pytest.mark.parametrize("raised", [Interrupted(), Busy("busy"), Died("dead")])
def test_cancelled_job_is_not_requeued(job: Job, raised: Exception) -> None:
    def handler(lease: Lease) -> None:
        queue.cancel(job=lease.job, by=None)
        raise raised

    registry.register("test", handler)
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_job_is_requeued_when_the_database_does_not_answer(job: Job) -> None:
    def handler(lease: Lease) -> None:
        raise OperationalError("the connection was lost")

    registry.register("test", handler)
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.attempts) == (State.QUEUED, 1)


def write_to_a_full_disk() -> None:
    Path("/dev/full").write_bytes(b"x")


def write_to_a_full_database() -> None:
    raise OperationalError("database or disk is full")


@pytest.mark.parametrize("fault", [write_to_a_full_disk, write_to_a_full_database])
def test_job_waits_for_the_storage_as_long_as_it_takes(job: Job, fault: Callable[[], None]) -> None:
    faults = [fault] * (job.max_attempts + 1)

    def handler(lease: Lease) -> None:
        if faults:
            faults.pop()()

    registry.register("test", handler)
    for _ in range(job.max_attempts + 1):
        work.run(job_id=str(job.pk))
        job.refresh_from_db()
        assert (job.state, job.attempts) == (State.QUEUED, 0)
        assert job.message.startswith("Waiting for the storage, to continue by itself: ")
        assert job.sent_at  # not sent again at once: a full disk would keep a worker busy
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.message) == (State.SUCCEEDED, "")


def test_other_error_of_a_file_fails_the_job(job: Job) -> None:
    registry.register("test", lambda lease: print(Path("/nowhere").read_bytes()))
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.error[:17]) == (State.FAILED, "FileNotFoundError")


def test_beat_notices_a_cancellation_between_writes(
    job: Job, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    lease = claim(job.pk)
    assert lease
    lease.beat()
    queue.cancel(job=job, by=None)
    lease._last_look = 0.0
    with django_assert_num_queries(1), pytest.raises(Cancelled):
        lease.beat(1, 2)


def test_job_whose_worker_fell_silent_is_cancelled_at_once(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    silence(job)
    queue.cancel(job=job, by=None)
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    with pytest.raises(LeaseLost):
        lease.finish(State.SUCCEEDED)


def test_progress_reported_between_writes_is_written_later(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    lease.beat()
    lease.beat(3, 10, "Reading photos", 42.4)  # within the second after the first: not written yet
    lease._last_beat = 0.0
    lease.beat()
    job.refresh_from_db()
    assert (job.done, job.total, job.message, job.seconds_left) == (3, 10, "Reading photos", 42)


def test_queued_job_is_cancelled_at_once(job: Job) -> None:
    queue.cancel(job=job, by=None)
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert claim(job.pk) is None


def test_cancel_of_a_running_job_reaches_its_holder(job: Job) -> None:
    def handler(lease: Lease) -> None:
        queue.cancel(job=lease.job, by=None)
        queue.cancel(job=lease.job, by=None)
        lease.beat()
        pytest.fail("the beat should have raised")

    registry.register("test", handler)
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_cancelling_job_whose_holder_died_ends_as_cancelled(job: Job) -> None:
    claim(job.pk)
    queue.cancel(job=job, by=None)
    silence(job)
    queue.requeue_expired()
    job.refresh_from_db()
    assert job.state == State.CANCELLED


@pytest.mark.parametrize(
    ("raised", "state", "words"),
    [
        (None, State.SUCCEEDED, ""),
        (JobError("Photo 7 is broken", "Remove it"), State.FAILED, "Photo 7 is broken"),
        (ValueError("oops"), State.FAILED, "ValueError: oops"),
        (Cancelled(), State.CANCELLED, ""),
        (Interrupted(), State.QUEUED, ""),
    ],
)
def test_outcome_of_the_handler_is_the_state_of_the_job(
    job: Job, raised: Exception | None, state: str, words: str
) -> None:
    def handler(lease: Lease) -> None:
        if raised:
            raise raised

    registry.register("test", handler)
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.error) == (state, words)


def test_shutdown_of_a_worker_does_not_count_as_an_attempt(job: Job) -> None:
    registry.register("test", lambda lease: lease.beat())
    stopping.set()
    try:
        work.run(job_id=str(job.pk))
    finally:
        stopping.clear()
    job.refresh_from_db()
    assert (job.state, job.attempts) == (State.QUEUED, 0)


def test_second_delivery_does_nothing(job: Job) -> None:
    ran: list[int] = []
    registry.register("test", lambda lease: ran.append(1))
    work.run(job_id=str(job.pk))
    work.run(job_id=str(job.pk))
    assert ran == [1]


def test_only_failed_or_cancelled_jobs_are_retried(job: Job) -> None:
    assert not queue.retry(job=job, by=None)
    queue.cancel(job=job, by=None)
    assert queue.retry(job=job, by=None)
    assert not queue.retry(job=job, by=None)
    assert claim(job.pk)


def test_queued_job_that_no_worker_took_is_sent_again(job: Job) -> None:
    assert queue.resend_forgotten() == 0
    Job.objects.update(sent_at=timezone.now() - timedelta(minutes=5))
    assert queue.resend_forgotten() == 1


def test_database_refuses_a_held_job_without_lease(job: Job) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.update(state=State.RUNNING, lease_until=None)


class Clock:
    """A fake clock that stands still until it is set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


def test_a_beat_reads_and_writes_at_a_limited_rate(
    job: Job, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    lease, clock = claim(job.pk), Clock(0.0)
    assert lease
    monkeypatch.setattr("jobs.lease.time", clock)
    for clock.now, queries in ((0.3, 0), (0.4, 1), (0.7, 0), (1.0, 2), (1.3, 0), (1.5, 1), (2.0, 2)):
        with django_assert_num_queries(queries):
            lease.beat()


def test_a_beat_writes_no_more_than_fits_and_no_time_below_zero(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    lease.beat(3, None, "x" * 201, -5.0)
    job.refresh_from_db()
    assert (job.done, job.total, job.message, job.seconds_left) == (3, 0, "x" * 200, 0)
    lease._last_beat = 0.0
    lease.beat(4, 9, None, 0.4)
    job.refresh_from_db()
    assert (job.done, job.total, job.message, job.seconds_left) == (4, 9, "x" * 200, 0)


@pytest.mark.parametrize("change", [{"token": 0}, {"token": 2}, {"state": "queued", "lease_until": None}])
def test_a_read_shows_that_the_job_is_lost(job: Job, change: dict[str, object]) -> None:
    lease = claim(job.pk)
    assert lease
    lease.beat()
    Job.objects.filter(pk=job.pk).update(**change)
    lease._last_look = 0.0
    with pytest.raises(LeaseLost):
        lease.beat()


def test_a_read_shows_that_the_job_was_deleted(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    lease.beat()
    Job.objects.all().delete()
    lease._last_look = 0.0
    with pytest.raises(LeaseLost):
        lease.beat()


def test_progress_is_written_once(job: Job, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for attempt, queries in ((1, 0), (2, 1)):
        lease = claim(job.pk)
        assert lease
        assert lease.job.attempts == attempt
        with django_assert_num_queries(queries):
            lease.progressed()
            lease.progressed()
        assert lease.job.attempts == Job.objects.get(pk=job.pk).attempts == 1
        lease.give_back("x" * 201, counts=True)
    job.refresh_from_db()
    assert (job.attempts, job.message) == (1, "x" * 200)


def test_a_lease_is_kept_in_a_fence_and_after_it(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    with lease.fenced():
        Job.objects.filter(pk=job.pk).update(message="written")
    assert lease.renew()

    def fail() -> None:
        with lease.fenced():
            Job.objects.filter(pk=job.pk).update(message="half")
            raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        fail()
    assert Job.objects.get(pk=job.pk).message == "written"
    lease.finish(State.SUCCEEDED)
    assert not lease.renew()


def test_what_is_left_of_the_attempt_before_is_cleared(job: Job) -> None:
    """When it started stays: a job that goes on is still the same job."""
    lease = claim(job.pk)
    assert lease
    start = Job.objects.get(pk=job.pk).started_at
    lease.beat(1, 2, "Reading", 30)
    lease.give_back()
    job.refresh_from_db()
    assert (job.lease_until, job.seconds_left, job.sent_at) == (None, None, None)
    again = claim(job.pk)
    assert again
    again.finish(State.FAILED, error="broken", hint="mend it")
    job.refresh_from_db()
    assert (job.started_at, job.token, job.attempts) == (start, 2, 1)
    assert (job.error, job.hint, job.lease_until, job.message) == ("broken", "mend it", None, "")
    assert job.finished_at


@pytest.mark.parametrize(("before", "state"), [(3, State.QUEUED), (4, State.FAILED), (7, State.FAILED)])
def test_one_death_too_many_fails_the_job(job: Job, before: int, state: str) -> None:
    Job.objects.update(attempts=before)
    lease = claim(job.pk)
    assert lease
    lease.died("It was killed.", "Choose a smaller batch")
    job.refresh_from_db()
    assert (job.state, job.attempts) == (state, before + 1)
