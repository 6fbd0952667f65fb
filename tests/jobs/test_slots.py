"""Jobs of a kind with slots: few per machine at once, the oldest come first, none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs import queue, registry, work
from jobs.lease import Busy, Died, Lease, claim
from jobs.models import Job
from jobs.slots import slot

State = Job.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def ran() -> Iterator[list[str]]:
    """Titles of the jobs in the order of their work; the kind "long" has one slot."""
    kinds = dict(registry._kinds)
    order: list[str] = []
    registry.register("long", lambda lease: order.append(lease.job.title), slots=1)
    registry.register("short", lambda lease: order.append(lease.job.title))
    yield order
    registry._kinds.clear()
    registry._kinds.update(kinds)


def queued(*titles: str, kind: str = "long") -> list[Job]:
    return [queue.enqueue(kind=kind, title=title, by=None) for title in titles]


def test_one_delivery_does_all_queued_jobs_oldest_first(ran: list[str]) -> None:
    jobs = queued("first", "second", "third")
    work.run(job_id=str(jobs[2].pk))
    assert ran == ["first", "second", "third"]
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}


def test_taken_slot_leaves_the_job_queued_and_blocks_no_other_kind(ran: list[str]) -> None:
    [long], [short] = queued("long"), queued("short", kind="short")
    with slot("long", 1):
        work.run(job_id=str(long.pk))
        work.run(job_id=str(short.pk))
    assert ran == ["short"]
    long.refresh_from_db()
    assert (long.state, long.attempts, long.token) == (State.QUEUED, 0, 0)


def test_there_are_as_many_slots_as_configured() -> None:
    with slot("long", 2) as first, slot("long", 2) as second, slot("long", 2) as third:
        assert first
        assert second
        assert third is None
    with slot("long", 1) as again:
        assert again


def test_job_that_arrives_during_the_last_one_is_done_too(ran: list[str]) -> None:
    """Its own delivery finds the slot taken and returns."""

    def handler(lease: Lease) -> None:
        ran.append(lease.job.title)
        if lease.job.title == "first":
            work.run(job_id=str(queued("late")[0].pk))

    registry.register("long", handler, slots=1)
    work.run(job_id=str(queued("first")[0].pk))
    assert ran == ["first", "late"]


def test_killed_job_continues_before_the_next(ran: list[str]) -> None:
    def handler(lease: Lease) -> None:
        ran.append(lease.job.title)
        if len(ran) == 1:
            raise Died("killed")

    registry.register("long", handler, slots=1)
    work.run(job_id=str(queued("first", "second")[0].pk))
    assert ran == ["first", "first", "second"]


def test_busy_job_lets_the_next_pass_and_waits_for_a_later_delivery(ran: list[str]) -> None:
    def handler(lease: Lease) -> None:
        ran.append(lease.job.title)
        if lease.job.title == "first":
            raise Busy("somebody else has it")

    registry.register("long", handler, slots=1)
    first, _ = queued("first", "second")
    work.run(job_id=str(first.pk))
    assert ran == ["first", "second"]
    first.refresh_from_db()
    assert (first.state, first.sent_at) == (State.QUEUED, None)
    assert queue.resend_forgotten() == 1


def dead(job: Job) -> None:
    """As if a worker had been killed during the job: the lease is still live, but the slot is free."""
    with slot("long", 1) as held:
        lease = claim(job.pk)
        assert held
        assert lease
        held.note(f"{job.pk} {lease.token}")


def test_job_that_died_with_its_worker_continues_before_the_next(ran: list[str]) -> None:
    first, second = queued("first", "second")
    dead(first)
    work.run(job_id=str(second.pk))
    assert ran == ["first", "second"]
    assert queue.requeue_left_behind() == 0


def test_old_note_does_not_requeue_the_job_of_a_later_holder(ran: list[str]) -> None:
    [job] = queued("elsewhere")
    dead(job)
    assert queue.requeue_left_behind() == 1
    assert claim(job.pk)  # by a worker of another machine
    assert queue.requeue_left_behind() == 0
    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_job_of_a_living_holder_is_not_requeued(ran: list[str]) -> None:
    [job] = queued("alive")
    with slot("long", 1) as held:
        lease = claim(job.pk)
        assert held
        assert lease
        held.note(f"{job.pk} {lease.token}")
        assert queue.requeue_left_behind() == 0


def test_delivery_of_a_job_that_was_deleted_does_nothing(ran: list[str]) -> None:
    [job] = queued("gone")
    pk = str(job.pk)
    job.delete()
    work.run(job_id=pk)
    assert ran == []
