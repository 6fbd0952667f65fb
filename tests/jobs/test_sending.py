"""Jobs reach the queue, are sent again when forgotten, and end when cancelled or left by their holder."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from jobs import queue
from jobs.lease import claim
from jobs.models import Job

State = Job.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Job:
    return queue.enqueue(kind="test", title="A test job", by=None)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Time stands still."""
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """A fake queue: what it was given."""
    messages_sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: messages_sent.append((name, args)))
    return messages_sent


def test_a_job_is_sent_once_it_is_committed(
    messages: list[tuple[str, list[str]]], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    ann = User.objects.create(username="ann")
    with django_capture_on_commit_callbacks(execute=True):
        job = queue.enqueue(kind="test", title="x" * 201, by=ann, url="/there/")
        assert messages == []
    assert messages == [("jobs.run", [str(job.pk)])]
    job.refresh_from_db()
    assert (job.title, job.created_by, job.url, job.state) == ("x" * 200, ann, "/there/", State.QUEUED)
    assert job.sent_at


def test_a_queue_that_is_down_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(current_app, "send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        job = queue.enqueue(kind="test", title="A test job", by=None)
    job.refresh_from_db()
    assert (job.state, job.sent_at) == (State.QUEUED, None)


@pytest.mark.parametrize(
    ("sent", "created", "fields", "again"),
    [
        (30, 90, {}, 0),
        (31, 90, {}, 1),
        (31, 31, {"attempts": 1, "token": 1}, 1),
        (None, 30, {}, 0),  # its transaction may not be over
        (None, 31, {}, 1),
        (None, 1, {"attempts": 1}, 1),  # given back
        (None, 1, {"token": 1}, 1),
        (29, 90, {"attempts": 1, "token": 1}, 0),
        (31, 90, {"state": "cancelled"}, 0),
    ],
)
def test_forgotten_jobs_are_sent_again(
    job: Job, now: datetime, sent: int | None, created: int, fields: dict[str, object], again: int
) -> None:
    end = {"finished_at": now} if "state" in fields else {}
    Job.objects.update(
        sent_at=None if sent is None else now - timedelta(seconds=sent),
        created_at=now - timedelta(seconds=created),
        **fields,
        **end,
    )
    assert queue.resend_forgotten() == again


def test_each_forgotten_job_is_delivered(
    job: Job,
    messages: list[tuple[str, list[str]]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    queue.enqueue(kind="test", title="Another", by=None)
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    with django_capture_on_commit_callbacks(execute=True):
        assert queue.resend_forgotten() == 2
    assert {args[0] for _, args in messages} == {str(one.pk) for one in Job.objects.all()}


def test_cancelling_a_job_twice_is_cancelling_it_once(job: Job) -> None:
    assert claim(job.pk)
    for _ in range(2):
        queue.cancel(job=job, by=None)
        job.refresh_from_db()
        assert (job.state, job.finished_at) == (State.CANCELLING, None)
        assert job.lease_until


def test_a_job_that_has_ended_does_not_change(job: Job) -> None:
    lease = claim(job.pk)
    assert lease
    lease.finish(State.FAILED, error="broken")
    queue.cancel(job=job, by=None)
    job.refresh_from_db()
    assert (job.state, job.error) == (State.FAILED, "broken")


def test_retry_starts_over_and_sends(
    job: Job,
    messages: list[tuple[str, list[str]]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    lease = claim(job.pk)
    assert lease
    with django_capture_on_commit_callbacks(execute=True):
        assert not queue.retry(job=job, by=None)  # somebody works on it
    lease.finish(State.FAILED, error="broken", hint="mend it")
    assert messages == []
    with django_capture_on_commit_callbacks(execute=True):
        assert queue.retry(job=job, by=None)
    assert messages == [("jobs.run", [str(job.pk)])]
    job.refresh_from_db()
    assert (job.state, job.attempts, job.finished_at, job.error, job.hint) == (State.QUEUED, 0, None, "", "")


@pytest.mark.parametrize(
    ("attempts", "state", "requeued", "then"),
    [
        (1, "running", 1, "queued"),
        (4, "running", 1, "queued"),
        (5, "running", 0, "failed"),
        (6, "running", 0, "failed"),
        (1, "cancelling", 0, "cancelled"),
    ],
)
def test_what_becomes_of_a_job_whose_holder_fell_silent(
    job: Job,
    messages: list[tuple[str, list[str]]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    attempts: int,
    state: str,
    requeued: int,
    then: str,
) -> None:
    assert claim(job.pk)
    Job.objects.update(attempts=attempts, state=state, lease_until=timezone.now() - timedelta(seconds=1))
    with django_capture_on_commit_callbacks(execute=True):
        assert queue.requeue_expired() == requeued
    job.refresh_from_db()
    assert (job.state, job.lease_until, len(messages)) == (then, None, requeued)
    assert bool(job.finished_at) == (then != "queued")


def test_holder_that_beats_meanwhile_keeps_the_job(job: Job) -> None:
    """Between reading the silent holders and writing."""
    lease = claim(job.pk)
    assert lease
    old_state = Job.objects.get(pk=job.pk)
    lease.renew()
    assert not queue._requeue(old_state)
    assert Job.objects.get(pk=job.pk).state == State.RUNNING


def test_jobs_of_dead_holders_on_this_machine_are_requeued_at_once(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots that a dead process left behind name the job and the token that it worked with."""
    other = queue.enqueue(kind="test", title="Another", by=None)
    leases = [claim(one.pk) for one in (job, other)]
    assert all(leases)
    left = [(str(job.pk), 1), (str(other.pk), 7)]  # the other has a new holder since
    monkeypatch.setattr(queue, "with_slots", lambda: [("test", 1)])
    monkeypatch.setattr(queue, "left_behind", lambda kind, slots: left)
    assert queue.requeue_left_behind() == 1
    assert dict(Job.objects.values_list("title", "state")) == {"A test job": "queued", "Another": "running"}


def test_retry_is_saved_completely_or_not_at_all(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*, job: Job) -> None:
        raise OSError("the disk is full")

    queue.cancel(job=job, by=None)
    monkeypatch.setattr(queue, "send", fail)
    with pytest.raises(OSError, match="full"):
        queue.retry(job=job, by=None)
    assert Job.objects.get(pk=job.pk).state == State.CANCELLED
