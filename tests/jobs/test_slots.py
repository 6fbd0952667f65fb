"""Jobs of a kind with slots: few per machine at once, the oldest come first, none is forgotten."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from celery import current_app
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from jobs import machines, queue, registry, work
from jobs.lease import Busy, Died, Lease, LeaseLost, claim, worker_name
from jobs.models import Job
from jobs.slots import Slot, slot

State = Job.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def ran() -> Iterator[list[str]]:
    """Titles of the jobs in the order in which they were done; the kind "long" has one slot."""
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


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Be a machine of this host name and id, or have its name changed; without an id it is the same."""
    monkeypatch.setattr(machines, "IDS", [tmp_path / "missing", tmp_path / "id"])

    def become(name: str, its_id: str = "") -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: name)
        if its_id:
            (tmp_path / "id").write_text(f"{its_id}\n")
            machines.machine_name.cache_clear()

    yield become
    machines.machine_name.cache_clear()


def test_machines_of_one_name_share_neither_slots_nor_the_names_of_workers(
    machine: Callable[..., None],
) -> None:
    machine("worker", "3d1219c7")
    name = worker_name()
    with slot("long", 1) as one:
        machine("worker", "4e2320d8")
        assert worker_name() != name
        with slot("long", 1) as another:
            assert one
            assert another


def test_machine_that_is_renamed_keeps_its_slots(machine: Callable[..., None]) -> None:
    machine("old", "3d1219c7")
    with slot("long", 1):
        machine("new")
        with slot("long", 1) as second:
            assert second is None


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
    assert first.state == State.QUEUED
    assert queue.resend_forgotten() == 0
    Job.objects.update(sent_at=timezone.now() - queue.RESEND_AFTER)
    assert queue.resend_forgotten() == 1


def dead(job: Job) -> None:
    """As if a worker had been killed during the job: the lease is still live, but the slot is free."""
    with slot("long", 1) as own_slot:
        lease = claim(job.pk)
        assert own_slot
        assert lease
        own_slot.note(f"{job.pk} {lease.token}")


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
    with slot("long", 1) as own_slot:
        lease = claim(job.pk)
        assert own_slot
        assert lease
        own_slot.note(f"{job.pk} {lease.token}")
        assert queue.requeue_left_behind() == 0


def test_delivery_of_a_job_that_was_deleted_does_nothing(ran: list[str]) -> None:
    [job] = queued("gone")
    pk = str(job.pk)
    job.delete()
    work.run(job_id=pk)
    assert ran == []


def test_job_delivered_a_moment_before_the_slot_is_free_is_done_too(
    ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own delivery finds the slot taken after the holder has looked for jobs for the last time."""

    @contextmanager
    def slot_then_job(kind: str, count: int) -> Iterator[Slot | None]:
        with slot(kind, count) as own_slot:
            yield own_slot
            if own_slot and len(ran) == 1:
                work.run(job_id=str(queued("late")[0].pk))

    monkeypatch.setattr(work, "slot", slot_then_job)
    work.run(job_id=str(queued("first")[0].pk))
    assert ran == ["first", "late"]


def test_job_lost_to_another_holder_and_given_back_is_done_too(ran: list[str]) -> None:
    def handler(lease: Lease) -> None:
        ran.append(lease.job.title)
        if len(ran) == 1:
            Job.objects.update(state=State.QUEUED, lease_until=None, token=7)
            raise LeaseLost

    registry.register("long", handler, slots=1)
    [job] = queued("lost")
    work.run(job_id=str(job.pk))
    assert ran == ["lost", "lost"]
    job.refresh_from_db()
    assert (job.state, job.token) == (State.SUCCEEDED, 8)


def test_job_held_briefly_by_another_worker_is_done_too(
    ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Lease | None] = [None]

    def claim_late(job_id: UUID | str) -> Lease | None:
        return answers.pop() if answers else claim(job_id)

    monkeypatch.setattr(work, "claim", claim_late)
    work.run(job_id=str(queued("first")[0].pk))
    assert ran == ["first"]


@pytest.mark.parametrize(("last", "messages"), [(False, 1), (True, 0)])
def test_a_job_that_died_is_sent_again_unless_it_is_over(
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    last: bool,
    messages: int,
) -> None:
    def handler(lease: Lease) -> None:
        raise Died("killed")

    registry.register("short", handler)
    [job] = queued("first", kind="short")
    if last:
        Job.objects.update(attempts=4)
    calls: list[list[str]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: calls.append(args))
    with django_capture_on_commit_callbacks(execute=True):
        work.run(job_id=str(job.pk))
    assert calls == [[str(job.pk)]] * messages
    job.refresh_from_db()
    assert job.state == (State.FAILED if last else State.QUEUED)
