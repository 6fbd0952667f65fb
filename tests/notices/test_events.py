"""What happens on the site is told: runs and jobs that end, models, campaigns, workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from jobs import keeper, queue, registry
from jobs.lease import JobError, claim
from jobs.models import Job, Worker
from notices.models import Notice
from tests.trainer.conftest import model_for  # noqa: F401
from tests.validation.conftest import (  # noqa: F401
    MakeVote,
    campaign,
    hashtags,
    make_campaign,
    model,
    vote_as,
)
from trainer.models import TrainedModel
from trainer.registry import promotion
from validation.models import Campaign
from validation.voting.votes import undo_vote

pytestmark = pytest.mark.django_db


def told(event: str) -> list[str]:
    return [str(notice) for notice in Notice.objects.filter(event=event).order_by("pk")]


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lease: Any) -> None:
        raise JobError("The disk is full.", hint="Make room.")

    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))
    registry.register("t.fails", fail)
    registry.register("t.works", lambda lease: None)
    registry.register("t.run_works", lambda lease: None, event="run.ended")
    registry.register("t.run_fails", fail, event="run.ended")


def test_the_end_of_a_run_and_a_failed_job_are_told(kinds: None, run_jobs: Callable[[], list[Job]]) -> None:
    for kind in ("t.fails", "t.works", "t.run_works", "t.run_fails"):
        queue.enqueue(kind=kind, title=kind, by=None, url=f"/{kind}/")
    run_jobs()
    assert told("run.ended") == ["t.run_works: succeeded", "t.run_fails: failed"]
    assert told("job.failed") == ["t.fails: failed"]
    notice = Notice.objects.get(event="job.failed")
    assert (notice.url, notice.facts["error"], notice.facts["hint"]) == (
        "/t.fails/",
        "The disk is full.",
        "Make room.",
    )


def test_a_cancelled_run_is_told_once(kinds: None) -> None:
    job = queue.enqueue(kind="t.run_works", title="Run", by=None)
    for _ in range(2):
        queue.cancel(job=job, by=None)
    assert told("run.ended") == ["Run: cancelled"]


def test_a_run_that_keeps_dying_is_told(kinds: None) -> None:
    job = queue.enqueue(kind="t.run_works", title="Run", by=None)
    assert claim(job.pk)
    Job.objects.update(attempts=job.max_attempts, lease_until=timezone.now() - timedelta(seconds=1))
    queue.requeue_expired()
    assert told("run.ended") == ["Run: failed"]


def test_trainings_are_runs() -> None:
    assert registry.event_of("trainer.train") == "run.ended"


def test_a_promotion_is_told_and_its_repetition_is_not(
    model_for: Callable[..., TrainedModel],  # noqa: F811
    client_for: Callable[..., Client],
) -> None:
    first, second = model_for("First"), model_for("Second")
    for one in (first, first, second):
        promotion.promote(model=one, by=None)
    promotion.roll_back(by=None)
    assert told("model.promoted") == [
        f"“{name}” is the active model" for name in ("First", "Second", "First")
    ]
    assert Notice.objects.first().facts == {"model": first.pk, "replaces": second.pk}  # type: ignore[union-attr]


def test_a_campaign_with_all_its_votes_is_told_once(
    make_campaign: Callable[..., Campaign],  # noqa: F811
    vote_as: MakeVote,  # noqa: F811
    user_for: Callable[..., User],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    asked = make_campaign("cafe", "bar", None, votes_per_photo=1)
    with django_capture_on_commit_callbacks(execute=True):
        vote_as(asked, 0, "fits", "ann")
    assert told("campaign.judged") == []
    for _ in range(2):  # the last vote, taken back and given again
        with django_capture_on_commit_callbacks(execute=True):
            vote = vote_as(asked, 1, "fits", "ann")
        undo_vote(campaign=asked, person=user_for("validator", "ann"), request_id=vote.request_id)
    assert told("campaign.judged") == ["“Test” has all its votes"]
    assert Notice.objects.get().url == asked.get_absolute_url()


def test_a_worker_that_fell_silent_is_told_once() -> None:
    now = timezone.now()
    Worker.objects.create(name="gone:1", seen_at=now - keeper.GONE - timedelta(seconds=1))
    Worker.objects.create(name="slow:2", seen_at=now - keeper.GONE / 2)
    Worker.objects.create(name="long-gone:3", seen_at=now - keeper.NEWS - timedelta(hours=1))
    for _ in range(2):
        keeper.keep_house()
    [title] = told("worker.gone")
    assert title.startswith("The worker gone:1 has been silent since")
    assert not Worker.objects.filter(name__in=["gone:1", "long-gone:3"]).exists()
    assert Worker.objects.filter(name="slow:2").exists()
