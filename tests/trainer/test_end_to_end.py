"""The engine for real: a tiny photo set trained, exported, promoted and asked, through the job code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from jobs import queue
from jobs.models import Job
from mapping.models import Release
from tests.trainer.conftest import jpeg
from trainer.models import PhotoSet
from trainer.photosets import registration
from trainer.registry import export, promotion, serving
from trainer.runs import start

pytestmark = [pytest.mark.django_db, pytest.mark.integration]


def ended_with_weights(photo_set: PhotoSet, release: Release) -> list[Path]:
    """Checkpoints of two cancelled runs, ten bytes each, the older first."""
    files = []
    for _ in range(2):
        run = start.start_run(photo_set=photo_set, release=release, preset="frozen-lite0", by=None)
        queue.cancel(job=run.job, by=None)
        run.folder.mkdir(parents=True)
        files.append(run.folder / "checkpoint.pt")
        files[-1].write_bytes(bytes(10))
    return files


def test_photos_become_a_model_that_suggests(
    release: Release,
    folder: Path,
    run_jobs: Callable[[], list[Job]],
    client_for: Callable[..., Client],
    user_for: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by = user_for("admin")
    (folder / "b/bar/0.jpg").rename(folder / "b/bar/moved.jpg")
    photo_set = registration.register_folder(name="Tiny", folder=folder, by=by)
    run_jobs()
    (folder / "b/bar/moved.jpg").write_bytes(b"broken meanwhile")
    older, newer = ended_with_weights(photo_set, release)
    monkeypatch.setattr(settings, "RUNS_DISK_BYTES", 1000)  # enough until this run has weights too
    run = start.start_run(photo_set=photo_set, release=release, preset="frozen-lite0", by=by)
    monkeypatch.setattr(settings, "LOOK_AT_PHOTOS", True)
    job, looking = run_jobs()
    assert job.state == Job.State.SUCCEEDED, (job.error, job.hint)
    assert looking.state == Job.State.SUCCEEDED, (looking.error, looking.hint)
    assert (looking.looks.backbone, looking.looks.photos) == ("efficientnet_lite0", 39)
    assert (older.exists(), newer.exists()) == (False, True)
    run.refresh_from_db()
    assert run.has_weights
    assert run.report["left_out"] == {"photos": 0, "classes": [], "unreadable": 1}
    assert run.accuracy == run.report["accuracy"]
    assert run.balanced_accuracy is not None
    assert run.held_out.count() == run.report["test_photos"] > 0
    numbers = list(run.epochs.values_list("number", flat=True))
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 1

    model = export.export_run(run=run, by=by)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED, (job.error, job.hint)
    model.refresh_from_db()
    assert model.manifest["max_abs_difference"] < 1e-4
    assert set(model.manifest["labels"]) == {"architecture", "bar", "beach", "other"}
    assert "Tiny" in model.card
    promotion.promote(model=model, by=by)
    answer = next(iter(serving.suggest([jpeg((222, 32, 32))])))
    assert set(answer.probabilities) == set(model.manifest["labels"])

    viewer: Any = client_for("viewer")
    for page in (run, model, photo_set):
        assert viewer.get(page.get_absolute_url()).status_code == 200


def test_failure_of_the_engine_shows_its_own_message(
    release: Release, folder: Path, run_jobs: Callable[[], list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_set = registration.register_folder(name="Tiny", folder=folder, by=None)
    run_jobs()
    older, newer = ended_with_weights(photo_set, release)
    monkeypatch.setattr(settings, "RUNS_DISK_BYTES", 1)
    run = start.start_run(photo_set=photo_set, release=release, preset="resnet18-finetune", by=None)
    run.recipe |= {"weights": str(folder / "no-such-weights.pt")}
    run.save()
    [job] = run_jobs()
    assert job.state == Job.State.FAILED
    assert "no-such-weights.pt" in job.error
    assert (older.exists(), newer.exists()) == (False, True)
