"""The model that a run learns from: named in its form, at hand when it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs.lease import JobError
from mapping.models import Release
from tests.conftest import squeeze
from tests.trainer.runs.test_rerun import PRESET, URL, typed
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, TrainedModel, TrainingRun
from trainer.runs import features, start, supervision

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def fields(photo_set: PhotoSet, release: Release) -> dict[str, Any]:
    choices = {"photo_set": photo_set.pk, "release": release.pk, "preset": PRESET, "filled_from": PRESET}
    return choices | typed(PRESETS[PRESET].recipe) | {"s-teacher_weight": "0.5"}


def test_a_model_is_named_in_the_form_and_its_folder_in_the_job_file(
    client_for: ClientFor, fields: dict[str, Any], tiny_model: TrainedModel
) -> None:
    words = f"Model #{tiny_model.pk}"
    assert client_for("admin").post(URL, fields | {"s-teacher": words}).status_code == 302
    run = TrainingRun.objects.get()
    assert run.recipe["teacher"] == words
    with features.at_hand(run) as folder:
        assert supervision._teacher(folder) == {"teacher": str(tiny_model.folder)}
    TrainedModel.objects.all().delete()
    with pytest.raises(JobError, match="There is no model"), features.at_hand(run):
        pass


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("model 999", "There is no model 999 that is ready."),
        ("/etc", "It must be like “model 1”."),
        ("photo-set 1", "It must be like “model 1”."),
        ("", "a teacher_weight needs a model"),
    ],
)
def test_what_names_no_model_is_refused_in_the_form(
    client_for: ClientFor, fields: dict[str, Any], given: str, words: str
) -> None:
    response = client_for("admin").post(URL, fields | {"s-teacher": given})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not TrainingRun.objects.exists()


def test_a_model_that_is_not_ready_and_a_run_without_teacher(
    client_for: ClientFor,
    fields: dict[str, Any],
    model_for: Callable[..., TrainedModel],
    photo_set: PhotoSet,
    release: Release,
) -> None:
    soon = model_for("Soon", manifest={})
    assert client_for("admin").post(URL, fields | {"s-teacher": f"model {soon.pk}"}).status_code == 422
    run = start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None, recipe={})
    with features.at_hand(run) as folder:
        assert supervision._teacher(folder) == {}


def test_the_page_says_how_often_the_teacher_agrees(client_for: ClientFor, run: TrainingRun) -> None:
    run.report = run.report | {"teacher": {"photos": 1234, "unlabelled": 56, "accuracy": 0.9}}
    run.save()
    page = client_for("viewer").get(run.get_absolute_url()).content.decode()
    assert "Training photos with a label: 1,234; its likeliest label is theirs for 0.900 of them." in squeeze(
        page
    )
    assert "Photos without labels: 56." in squeeze(page)
