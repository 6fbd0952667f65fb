"""Parts of a job: each is done once, by whoever takes it; one that fails is retried alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from formats.storage import StorageFailure
from jobs import crew, queue, registry, shards, work
from jobs.lease import Busy, Died, JobError, Lease, LeaseLost, claim, renew_long_steps
from jobs.models import Job, Shard
from jobs.shards import Part, ShardLease
from jobs.slots import slot

State = Shard.State
pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
ClientFor = Callable[..., Client]
Do = Callable[[ShardLease], None]


class Split:
    """A kind of four shards of two photos each. `do` does one; `done` and `loads` are what happened."""

    def __init__(self) -> None:
        self.do: Do = lambda lease: None
        self.done: list[int] = []
        self.loads = 0

    def handler(self, lease: Lease) -> None:
        if not lease.job.shards.exists():
            shards.plan(lease, [Part(f"photos {at + 1} to {at + 2}", 2) for at in range(0, 8, 2)])
        crew.work_off(lease, total=8, message="Counting")

    @contextmanager
    def opener(self, job: Job) -> Iterator[Do]:
        self.loads += 1

        def do(lease: ShardLease) -> None:
            self.do(lease)
            with lease.finishing():
                self.done.append(lease.shard.number)

        yield do


@pytest.fixture
def split() -> Iterator[Split]:
    kinds = dict(registry._kinds)
    kind = Split()
    registry.register("split", kind.handler, shards=kind.opener)
    yield kind
    registry._kinds.clear()
    registry._kinds.update(kinds)


@pytest.fixture
def job(split: Split) -> Job:
    return queue.enqueue(kind="split", title="Count", by=None)


@pytest.fixture
def planned(job: Job) -> Job:
    """A running job with four waiting shards."""
    lease = claim(job.pk)
    assert lease
    shards.plan(lease, [Part("", 2)] * 4)
    return job


def run(job: Job) -> Job:
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def taken(job: Job) -> ShardLease:
    lease = shards.take(job.pk)
    assert lease
    return lease


def silence(lease: ShardLease) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Shard.objects.filter(pk=lease.shard.pk).update(lease_until=past)


def test_a_holder_alone_does_all_and_loads_once(split: Split, job: Job) -> None:
    run(job)
    assert (job.state, job.total) == (Job.State.SUCCEEDED, 8)
    assert (split.done, split.loads) == ([1, 2, 3, 4], 1)


def test_helper_does_what_waits_and_its_job_is_ended_by_the_holder(split: Split, planned: Job) -> None:
    mine = taken(planned)
    crew.help_out()
    assert split.done == [2, 3, 4]
    assert planned.shards.unfinished().get() == mine.shard
    planned.refresh_from_db()
    assert planned.state == Job.State.RUNNING


def test_deaths_of_holders_do_not_count_while_helpers_make_progress(split: Split, planned: Job) -> None:
    Job.objects.filter(pk=planned.pk).update(attempts=planned.max_attempts)
    crew.help_out()
    Job.objects.filter(pk=planned.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert queue.requeue_expired() == 1
    planned.refresh_from_db()
    assert (planned.state, planned.attempts) == (Job.State.QUEUED, 1)


def test_late_worker_writes_nothing(planned: Job) -> None:
    late = taken(planned)
    silence(late)
    assert shards.requeue_expired() == 1
    again = taken(planned)
    assert (again.shard.number, again.shard.token) == (2, 1)  # the one that failed comes last
    for _ in range(2):
        taken(planned)
    again = taken(planned)
    assert (again.shard.pk, again.shard.token) == (late.shard.pk, 2)
    with pytest.raises(LeaseLost), late.finishing():
        pytest.fail("it could still write")
    late.fail("too late")
    late.give_back()
    again.shard.refresh_from_db()
    assert (again.shard.state, again.shard.attempts) == (State.RUNNING, 2)


def test_results_and_state_are_one_transaction(planned: Job) -> None:
    lease = taken(planned)

    def write() -> None:
        with lease.finishing():
            Job.objects.filter(pk=planned.pk).update(title="Half written")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    planned.refresh_from_db()
    lease.shard.refresh_from_db()
    assert (planned.title, lease.shard.state, lease.has_ended) == ("Count", State.RUNNING, False)


def test_failing_shard_is_retried_alone_and_then_named(split: Split, job: Job) -> None:
    def fail_second(lease: ShardLease) -> None:
        if lease.shard.number == 2:
            raise Died("It was killed.", "Buy memory.")

    split.do = fail_second
    run(job)
    assert (job.state, split.done) == (Job.State.FAILED, [1, 3, 4])
    assert job.error == "Shard 2 (photos 3 to 4): It was killed."
    assert job.hint == "Buy memory. 3 of 4 shards are done and kept. Trying again does only what is missing."
    assert job.shards.get(number=2).attempts == shards.MOST_ATTEMPTS
    assert split.loads == 1 + shards.MOST_ATTEMPTS - 1  # what died is loaded again, if any shard is left
    split.do = lambda lease: None
    assert queue.retry(job=job, by=None)
    run(job)
    assert (job.state, split.done) == (Job.State.SUCCEEDED, [1, 3, 4, 2])


def test_job_fails_early_if_no_shard_can_be_done(split: Split, job: Job) -> None:
    def refuse(lease: ShardLease) -> None:
        raise JobError("The model is broken.", "Export it again.")

    split.do = refuse
    run(job)
    assert job.state == Job.State.FAILED
    assert job.shards.filter(state=State.FAILED).count() == crew.MOST_FAILED
    assert set(job.shards.values_list("attempts", flat=True)) == {0, 1}  # it would fail in the same way


def test_what_cannot_be_loaded_fails_the_job_and_no_shard(split: Split, job: Job) -> None:
    @contextmanager
    def opener(job: Job) -> Iterator[Do]:
        raise JobError("Not exported yet.")
        yield

    registry.register("split", split.handler, shards=opener)
    run(job)
    assert (job.state, job.error) == (Job.State.FAILED, "Not exported yet.")
    assert set(job.shards.values_list("state", "attempts")) == {(State.WAITING, 0)}


@pytest.mark.parametrize("is_holder", [True, False])
def test_lease_is_renewed_while_what_shards_need_is_loaded(
    split: Split, job: Job, planned: Job, is_holder: bool
) -> None:
    lapsed: list[int] = []

    @contextmanager
    def opener(job: Job) -> Iterator[Do]:
        past = timezone.now() - timedelta(seconds=1)
        for rows in (Shard.objects.filter(state=State.RUNNING), Job.objects.filter(state=Job.State.RUNNING)):
            rows.update(lease_until=past)
        renew_long_steps()  # as the keeper does
        lapsed.append(shards.requeue_expired() + (is_holder and queue.requeue_expired()))
        with split.opener(job) as do:
            yield do

    registry.register("split", split.handler, shards=opener)
    if is_holder:
        Job.objects.update(state=Job.State.QUEUED, lease_until=None)
        run(job)
    else:
        crew.help_out()
    assert (lapsed, split.done) == ([0], [1, 2, 3, 4])


def test_silent_worker_does_not_fail_a_shard_for_ever(planned: Job) -> None:
    for _ in range(shards.MOST_DEATHS):
        Shard.objects.exclude(number=1).update(state=State.DONE, finished_at=timezone.now())
        silence(taken(planned))
        shards.requeue_expired()
    shard = planned.shards.get(number=1)
    assert (shard.state, "fell silent" in shard.error) == (State.FAILED, True)
    assert shards.take(planned.pk) is None


def test_cancelled_job_gives_out_no_shard_and_takes_back_those_at_work(split: Split, job: Job) -> None:
    def cancel(lease: ShardLease) -> None:
        queue.cancel(job=job, by=None)
        lease._last_look = 0.0
        lease.beat(1)

    split.do = cancel
    run(job)
    assert (job.state, split.done) == (Job.State.CANCELLED, [])
    assert set(job.shards.values_list("state", "attempts")) == {(State.WAITING, 0)}
    assert shards.take(job.pk) is None


def test_job_of_a_holder_that_left_is_sent_by_the_helper_that_does_the_last_shard(
    split: Split, planned: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Job] = []
    monkeypatch.setattr(queue, "send", lambda *, job: sent.append(job))
    split.do = lambda lease: Job.objects.filter(pk=planned.pk).update(state=Job.State.QUEUED)  # type: ignore[assignment]
    crew.help_out()
    assert (split.done, sent) == ([1, 2, 3, 4], [planned])
    run(planned)
    assert (planned.state, split.done) == (Job.State.SUCCEEDED, [1, 2, 3, 4])


def test_helper_leaves_its_thread_to_a_job_that_waits(split: Split, planned: Job) -> None:
    queue.enqueue(kind="short", title="Waits for a thread", by=None)
    crew.help_out()
    assert split.done == [1]


def test_helper_starts_a_job_whose_slot_is_free_and_no_other(split: Split, planned: Job) -> None:
    long_jobs: list[int] = []
    registry.register("long", lambda lease: long_jobs.append(len(split.done)), slots=1)
    first = queue.enqueue(kind="long", title="Waits for a slot", by=None)
    Job.objects.filter(pk=first.pk).update(needs={"memory": 2**60})  # this machine has less
    second = queue.enqueue(kind="long", title="Fits", by=None)
    with slot("long", 1):
        crew.help_out()
    assert split.done == [1, 2, 3, 4]
    Shard.objects.update(state=State.WAITING, finished_at=None)
    work.help_out()
    assert long_jobs == [5]
    second.refresh_from_db()
    first.refresh_from_db()
    assert (first.state, second.state) == (Job.State.QUEUED, Job.State.SUCCEEDED)


@pytest.mark.parametrize("slots", [1, None])
@pytest.mark.parametrize("reason", [Busy("Another trainer has it."), StorageFailure("The disk is away.")])
def test_helper_stays_while_a_job_waits_that_was_tried_just_now(
    split: Split, planned: Job, reason: Exception, slots: int | None
) -> None:
    tries: list[Lease] = []

    def refuse(lease: Lease) -> None:
        tries.append(lease)
        raise reason

    registry.register("long", refuse, slots=slots)
    waiting = queue.enqueue(kind="long", title="Cannot be done yet", by=None)
    work.run(job_id=str(waiting.pk))
    work.help_out()
    assert (split.done, split.loads, len(tries)) == ([1, 2, 3, 4], 1, 1)
    Job.objects.filter(pk=waiting.pk).update(tried_at=timezone.now() - queue.RESEND_AFTER)
    Shard.objects.update(state=State.WAITING, finished_at=None)
    crew.help_out()
    assert split.done == [1, 2, 3, 4, 1]


def test_a_machine_has_as_many_helpers_as_configured(split: Split, planned: Job) -> None:
    split.do = lambda lease: crew.help_out() if lease.shard.number == 1 else None
    crew.help_out()
    assert split.done == [1, 2, 3, 4]  # a second helper would have done others inside the first shard


def test_page_names_slow_and_failed_shards_and_tries_one_again(planned: Job, client_for: ClientFor) -> None:
    now = timezone.now()
    rows = planned.shards
    rows.filter(number=1).update(
        state=State.DONE,
        done=2,
        started_at=now - timedelta(seconds=40),
        finished_at=now - timedelta(seconds=20),
    )
    rows.filter(number=2).update(
        state=State.RUNNING,
        started_at=now - timedelta(seconds=70),
        lease_until=now + timedelta(minutes=1),
        worker="host:1",
    )
    rows.filter(number=3).update(state=State.FAILED, attempts=3, finished_at=now, error="It was killed.")
    admin, page = client_for("admin"), f"/jobs/{planned.pk}/"
    text = admin.get(page).content.decode()
    assert "1 of 4 shards done · failed: 1 · 1 worker at work · 0.1 photos/s" in text
    assert "slow</span> Shard 2: 0 of 2 in 1 min" in text
    assert "Shard 3, attempt 3: It was killed." in text
    assert "Try this shard again" not in client_for("viewer").get(page).content.decode()
    retry = f"{page}shards/3/retry/"
    assert client_for("viewer").post(retry).status_code == 403
    assert admin.post(retry)["Location"] == page
    assert rows.get(number=3).state == State.WAITING
    again = admin.post(retry, follow=True).content.decode()
    assert "Shard 3: waiting. Only a failed shard can be tried again." in again
    rows.filter(number=2).update(started_at=now - timedelta(seconds=30))
    assert "slow</span>" not in admin.get(page).content.decode()


def test_a_failed_job_is_queued_again_for_one_shard(planned: Job) -> None:
    now = timezone.now()
    planned.shards.filter(number__lte=2).update(state=State.FAILED, finished_at=now)
    Job.objects.filter(pk=planned.pk).update(state=Job.State.FAILED, finished_at=now, lease_until=None)
    assert queue.retry_shard(job=planned, number=1, by=None)
    planned.refresh_from_db()
    assert planned.state == Job.State.QUEUED
    assert planned.shards.get(number=2).state == State.FAILED


@pytest.mark.parametrize("moment", ["before it is failed", "while it is failed"])
def test_shard_that_is_let_wait_again_while_its_job_ends_is_done(
    split: Split, job: Job, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    is_broken = True

    def fail_second(lease: ShardLease) -> None:
        if lease.shard.number == 2 and is_broken:
            raise JobError("The model is broken.")

    raise_failed = crew._raise_failed

    def retried(job: Job) -> None:
        nonlocal is_broken
        was_broken, is_broken = is_broken, False
        try:
            if was_broken and moment == "before it is failed":
                queue.retry_shard(job=job, number=2, by=None)
            raise_failed(job)
        finally:
            if was_broken and moment == "while it is failed":
                queue.retry_shard(job=job, number=2, by=None)

    split.do = fail_second
    monkeypatch.setattr(crew, "_raise_failed", retried)
    run(job)
    if moment == "while it is failed":
        assert job.state == Job.State.QUEUED
        run(job)
    assert (job.state, split.done) == (Job.State.SUCCEEDED, [1, 3, 4, 2])


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_the_same_time_take_different_shards(planned: Job) -> None:
    """On PostgreSQL the second passes over the row that the first holds, instead of waiting for it."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets only one write at a time")
    other = connection.copy()
    try:
        with transaction.atomic():
            first = taken(planned)
            with other.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
                cursor.execute(
                    "SELECT number FROM jobs_shard WHERE state = 'waiting' ORDER BY number LIMIT 1"
                    " FOR UPDATE SKIP LOCKED"
                )
                assert cursor.fetchone()[0] != first.shard.number
    finally:
        other.close()
