"""Before a launch: a run with the same photos, labels, settings and seed is there already."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from mapping.models import Release, ReleaseLabel
from trainer.models import PhotoSet, TrainingRun
from trainer.runs import start

URL = "/trainer/runs/new/"
pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def fields(photo_set: PhotoSet, release: Release) -> dict[str, Any]:
    return {"photo_set": photo_set.pk, "release": release.pk, "preset": "frozen-lite0"}


@pytest.fixture
def first(client_for: ClientFor, fields: dict[str, Any]) -> TrainingRun:
    """A minute ago, by a colleague."""
    client_for("admin", "colleague").post(URL, fields)
    TrainingRun.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    return TrainingRun.objects.get()


def test_a_warning_leads_to_it_and_starts_all_the_same_once(
    client_for: ClientFor, fields: dict[str, Any], first: TrainingRun
) -> None:
    client = client_for("admin")
    answer = client.post(URL, fields)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert TrainingRun.objects.count() == Job.objects.count() == 1
    assert f'<a href="{first.get_absolute_url()}">{first.name}</a> has the same photos' in page
    assert f'name="despite" value="{first.pk}">Start all the same' in page
    new, repeated = (client.post(URL, fields | {"despite": first.pk})["Location"] for _ in range(2))
    assert new == repeated != first.get_absolute_url()
    assert TrainingRun.objects.count() == 2
    # A page from before: the colleague has not seen the second run.
    late = client_for("admin", "colleague").post(URL, fields | {"despite": first.pk})
    assert (late.status_code, TrainingRun.objects.count()) == (409, 2)
    assert re.search(rf'href="{new}">', late.content.decode())


def test_another_seed_release_or_a_failed_run_is_no_repetition(
    client_for: ClientFor, fields: dict[str, Any], first: TrainingRun
) -> None:
    other = start.start_run(
        photo_set=first.photo_set, release=first.release, preset=first.preset, by=None, recipe={"seed": 1}
    )
    assert other != first
    client = client_for("admin")
    newer = Release.objects.create(number=2, note="Newer")
    ReleaseLabel.objects.create(release=newer, scene_key="b/bar", label="bar")
    assert client.post(URL, fields | {"release": newer.pk}).status_code == 302
    for state, code in (("succeeded", 409), ("failed", 302)):
        Job.objects.update(state=state, finished_at=timezone.now())
        assert client.post(URL, fields).status_code == code


def test_settings_without_effect_make_no_difference(
    client_for: ClientFor, fields: dict[str, Any], first: TrainingRun
) -> None:
    TrainingRun.objects.update(recipe=first.recipe | {"momentum": 0.5, "image_size": 99})
    assert first.recipe["optimizer"] != "sgd"
    assert client_for("admin").post(URL, fields).status_code == 409
