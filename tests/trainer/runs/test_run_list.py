"""The list of runs: what it shows, in which order, and how it leads to the comparison."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from trainer.models import TrainingRun

ClientFor = Callable[..., Client]


@pytest.fixture
def runs(run: TrainingRun, finished_job: Callable[..., Job]) -> dict[str, TrainingRun]:
    """Three more, each with something of its own."""
    all_runs = {"first": run}
    for at, (name, state, accuracy) in enumerate(
        [("slow", "succeeded", 0.9), ("broken", "failed", None), ("waiting", "queued", None)]
    ):
        job = finished_job("trainer.train", state)
        if name == "slow":
            Job.objects.filter(pk=job.pk).update(finished_at=timezone.now() + timedelta(hours=9))
        all_runs[name] = TrainingRun.objects.create(
            name=f"Tiny, {name}",
            photo_set=run.photo_set,
            release=run.release,
            preset=["table4-row8", "frozen-lite2", "frozen-lite0"][at],
            recipe={"kind": "frozen"},
            job=job,
            accuracy=accuracy,
            balanced_accuracy=accuracy,
        )
    return all_runs


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["waiting", "broken", "slow", "first"]),
        ({"state": "live"}, ["waiting"]),
        ({"state": "failed"}, ["broken"]),
        ({"preset": "table4-row8"}, ["slow"]),
        ({"q": "BROKEN"}, ["broken"]),
        ({"sort": "balanced"}, ["slow", "first", "waiting", "broken"]),
        ({"sort": "time", "state": "succeeded"}, ["first", "slow"]),
        ({"photo_set": "99999"}, []),
        (
            {"state": "nonsense", "sort": "nonsense", "release": "x", "page": "x"},
            ["waiting", "broken", "slow", "first"],
        ),
    ],
)
def test_it_shows_what_is_asked_for(
    client_for: ClientFor, runs: dict[str, TrainingRun], query: dict[str, str], names: list[str]
) -> None:
    answer = client_for("viewer").get("/trainer/runs/", query)
    assert [run.pk for run in answer.context["page"]] == [runs[name].pk for name in names]


def test_ticked_runs_are_compared(client_for: ClientFor, runs: dict[str, TrainingRun]) -> None:
    page = client_for("viewer").get("/trainer/runs/").content.decode()
    assert 'action="/trainer/runs/compare/"' in page
    assert f'name="run" value="{runs["slow"].pk}"' in page


def test_queries_do_not_grow_with_the_runs(
    client_for: ClientFor, runs: dict[str, TrainingRun], django_assert_max_num_queries: Any
) -> None:
    client = client_for("viewer")
    with django_assert_max_num_queries(13):
        client.get("/trainer/runs/")
