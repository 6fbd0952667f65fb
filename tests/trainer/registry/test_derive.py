"""A model derived from another one shares its network, and either may be deleted."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from formats.storage import StorageFailure
from trainer import deleting
from trainer.models import TrainedModel, TrainingRun
from trainer.registry import derive, export, serving
from trainer.runs.start import NotReady

pytestmark = pytest.mark.django_db
RED = Image.new("RGB", (40, 40), (230, 20, 20))
SILENT = {"thresholds": {"beach": 1.01, "bar": 1.01}, "lineage": {"because": "a test"}}


def derived(model: TrainedModel, **changes: Any) -> TrainedModel:
    return derive.derive(model=model, name="Quiet", changes=SILENT | changes, card="# Quiet", by=None)


def delete(model: TrainedModel, on_commit: Any) -> None:
    with on_commit(execute=True):
        deleting.delete_model(model=model, seen=deleting.plan_model(model).digest, by=None)


def said(model: TrainedModel) -> str | None:
    return next(iter(serving.suggest([RED], model=model))).hashtag


def test_the_network_is_the_same_and_the_thresholds_are_its_own(tiny_model: TrainedModel) -> None:
    quiet = derived(tiny_model)
    assert (said(tiny_model), said(quiet)) == ("beach", None)
    assert (quiet.derived_from, quiet.run, quiet.manifest["sha256"]) == (
        *(tiny_model, tiny_model.run),
        tiny_model.manifest["sha256"],
    )
    assert quiet.manifest["lineage"]["derived_from"] == "Colours"
    assert quiet.manifest["lineage"]["because"] == "a test"
    assert "held_out" not in quiet.manifest
    assert not list(quiet.folder.parent.glob("*.part"))


def test_a_second_request_gives_the_same_model(tiny_model: TrainedModel) -> None:
    assert derived(tiny_model) == derived(tiny_model)
    assert derived(tiny_model) != derived(tiny_model, temperature=2.0)


@pytest.mark.parametrize("first", [True, False])
def test_deleting_one_does_not_harm_the_other(
    tiny_model: TrainedModel, first: bool, django_capture_on_commit_callbacks: Any
) -> None:
    quiet = derived(tiny_model)
    gone, kept = (tiny_model, quiet) if first else (quiet, tiny_model)
    delete(gone, django_capture_on_commit_callbacks)
    assert not gone.folder.exists()
    kept.refresh_from_db()
    assert kept.has_files
    assert said(kept) == (None if first else "beach")


def test_a_model_without_files_cannot_be_derived_from(tiny_model: TrainedModel) -> None:
    (tiny_model.folder / "model.onnx").unlink()
    with pytest.raises((NotReady, StorageFailure)):
        derived(tiny_model)
    assert TrainedModel.objects.count() == 1
    assert [one.name for one in tiny_model.folder.parent.iterdir()] == [str(tiny_model.pk)]


def test_a_runs_export_is_not_taken_for_a_derived_model(run: TrainingRun, tiny_model: TrainedModel) -> None:
    """Also when both have the same target and promise, and the other model is gone."""
    TrainedModel.objects.filter(pk=tiny_model.pk).update(run=run, target_precision=0.8)
    tiny_model.refresh_from_db()
    quiet = derived(tiny_model, target_precision=0.8)
    assert quiet.run == run
    assert export.export_run(run=run, by=None, target_precision=0.8) == tiny_model
    assert run.model == tiny_model
