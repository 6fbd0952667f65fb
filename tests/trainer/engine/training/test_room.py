"""A training is refused before its first batch if the disk cannot hold its checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.engine.conftest import Engine, StopsAfter, write_job, write_manifest
from trainer.engine.events import Stopped
from trainer.engine.training import checkpoint, room
from trainer.engine.training.loop import Trainer
from trainer.engine.training.run import RunJob, train

RECIPE: dict[str, Any] = {
    "kind": "finetune",
    "network": "resnet18",
    "weights": "none",
    "image_size": 32,
    "epochs": 1,
    "batch_size": 2,
    "lr": 0.001,
}


@pytest.mark.parametrize(
    "settings", [{"optimizer": "adamw", "ema": 0.9, "accumulate": 2}, {"optimizer": "sgd", "momentum": 0.9}]
)
def test_the_size_is_known_before_the_first_batch(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def note(out: Path, trainer: Trainer) -> None:
        sizes.append(room.checkpoint_size(trainer))

    monkeypatch.setattr("trainer.engine.training.run.require_room", note)
    job = RunJob.read(write_job(tmp_path, write_manifest(tmp_path, 4), RECIPE | settings))
    with pytest.raises(Stopped):  # between two batches of a step
        train(job, StopsAfter(4))
    real = (job.out / checkpoint.NAME).stat().st_size
    assert sizes[0] == pytest.approx(real, rel=0.03)


def test_a_run_that_the_disk_cannot_hold_is_refused_with_both_numbers(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(tmp_path, write_manifest(tmp_path, 4), RECIPE)
    free = 123_000_000  # of the 360 MB that it needs
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    code, [*_, error] = engine("train", job)
    assert (code, error["kind"]) == (1, "room")
    assert error["message"] == "its checkpoints need 360 MB on the disk, and 123 MB are free"
    assert "Free space" in error["hint"]
    assert not list((tmp_path / "run").glob("*.pt"))
