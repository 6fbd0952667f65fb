"""The jobs' pages: who sees them, who cancels and retries, what a repeated click does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import queue
from jobs.lease import claim
from jobs.models import Job, Worker

State = Job.State
ClientFor = Callable[..., Client]


@pytest.fixture
def job(db: None) -> Job:
    return queue.enqueue(kind="test", title="Train a network", by=None)


def test_list_shows_jobs_with_a_constant_number_of_queries(
    job: Job, client_for: ClientFor, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_for("viewer")
    for _ in range(30):
        queue.enqueue(kind="test", title="Another", by=None)
    with django_assert_max_num_queries(9):
        response = client.get("/jobs/")
    assert b"Train a network" in response.content


def test_list_answers_htmx_with_its_rows_only(job: Job, client_for: ClientFor) -> None:
    response = client_for("viewer").get("/jobs/", headers={"HX-Request": "true"})
    assert b"<html" not in response.content
    assert b"Train a network" in response.content


def test_fragment_polls_while_live_and_reloads_the_page_at_the_end(job: Job, client_for: ClientFor) -> None:
    client = client_for("viewer")
    fragment = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"})
    assert b"every 1s" in fragment.content
    queue.cancel(job=job, by=None)
    assert client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    assert b"every 1s" not in client.get(f"/jobs/{job.pk}/").content


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("viewer", 403), ("curator", 403), ("validator", 403)]
)
@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_only_admins_change_jobs(
    job: Job, client_for: ClientFor, role: str, status: int, action: str
) -> None:
    assert client_for(role).post(f"/jobs/{job.pk}/{action}/").status_code == status
    job.refresh_from_db()
    assert job.state == State.QUEUED


def test_admin_cancels_and_a_second_click_says_it_had_ended(job: Job, client_for: ClientFor) -> None:
    client = client_for("admin")
    client.post(f"/jobs/{job.pk}/cancel/")
    second = client.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert b"had already ended (cancelled)" in second.content
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_retry_from_a_stale_page_leaves_a_running_job_alone(job: Job, client_for: ClientFor) -> None:
    lease = claim(job.pk)
    assert lease
    response = client_for("admin").post(f"/jobs/{job.pk}/retry/", follow=True)
    assert b"is running" in response.content
    job.refresh_from_db()
    assert (job.state, job.token) == (State.RUNNING, lease.token)


def test_get_changes_nothing(job: Job, client_for: ClientFor) -> None:
    assert client_for("admin").get(f"/jobs/{job.pk}/cancel/").status_code == 405


def test_banner_says_that_no_worker_runs_only_while_somebody_needs_one(
    job: Job, client_for: ClientFor
) -> None:
    client = client_for("viewer")
    assert b"No worker is running, so jobs are waiting" in client.get("/jobs/").content
    Worker.objects.create(name="w", seen_at=timezone.now())
    assert b"so jobs wait" not in client.get("/jobs/").content
    Worker.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    queue.cancel(job=job, by=None)
    assert b"so jobs wait" not in client.get("/jobs/").content


def test_error_and_hint_are_shown_and_escaped(job: Job, client_for: ClientFor) -> None:
    lease = claim(job.pk)
    assert lease
    lease.finish(State.FAILED, error="<b>No weights</b>", hint="Choose a local file")
    page = client_for("viewer").get(f"/jobs/{job.pk}/").content
    assert b"&lt;b&gt;No weights" in page
    assert b"Choose a local file" in page


def test_job_whose_worker_fell_silent_is_not_called_running(job: Job, client_for: ClientFor) -> None:
    claim(job.pk)
    client = client_for("viewer")
    assert b">running<" in client.get(f"/jobs/{job.pk}/").content
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1), message="Epochs", done=3, total=9)
    for url in (f"/jobs/{job.pk}/", "/jobs/"):
        page = client.get(url).content
        assert b">silent<" in page
        assert b"ts worker has stopped responding" in page
        assert b"running<" not in page
    assert b"when a worker is back" in client.get(f"/jobs/{job.pk}/").content
    queue.cancel(job=job, by=None)
    assert b">cancelled<" in client.get(f"/jobs/{job.pk}/").content


def test_job_that_waits_for_its_turn_says_how_many_are_before_it(db: None, client_for: ClientFor) -> None:
    first, second, third = (queue.enqueue(kind="trainer.train", title=t, by=None) for t in "abc")
    claim(first.pk)
    client = client_for("viewer")
    assert b"Waiting for its turn: 2 jobs ahead" in client.get(f"/jobs/{third.pk}/").content
    assert b"ahead" not in client.get(f"/jobs/{first.pk}/").content
    queue.cancel(job=second, by=None)
    assert b"Waiting for its turn: 1 job ahead" in client.get(f"/jobs/{third.pk}/").content
