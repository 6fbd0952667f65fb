"""A training that was killed ends with the very weights of one that was not, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.engine import checkpoint

from .conftest import events_of, start_engine, write_job, write_manifest

pytestmark = pytest.mark.integration

# All that draws or remembers: dropout, mixing, distortion, momentum, batch normalisation, loader processes.
RECIPE: dict[str, Any] = {
    "kind": "finetune",
    "network": "efficientnet_lite0",
    "weights": "none",
    "image_size": 32,
    "epochs": 3,
    "batch_size": 3,
    "lr": 0.01,
    "optimizer": "sgd",
    "mixup": 0.2,
    "augment": 2,
    "keep": "best",
    "num_workers": 2,
}


def killed_after(process: subprocess.Popen[str], saves: int) -> dict[str, Any]:
    """SIGKILL after so many checkpoints; the last one's event."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        saves -= event["event"] == "saved"
        if not saves:
            break
    process.kill()
    process.communicate(timeout=30)  # its output is open as long as a loader lives
    return event


def scalars(logs: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader: Any = EventAccumulator(str(logs))
    reader.Reload()
    return [(point.step, point.value) for point in reader.Scalars(tag)]


def test_killed_twice_in_the_middle_the_weights_are_the_same(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, 9)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = start_engine("train", write_job(tmp_path / "whole", manifest, RECIPE))
    job = write_job(tmp_path / "killed", manifest, RECIPE)
    places = [killed_after(start_engine("train", job), saves) for saves in (1, 2)]
    output, _ = start_engine("train", job).communicate(timeout=120)
    assert events_of(output)[-1]["event"] == "done"
    assert places[0]["batch"] > 0  # in the middle of an epoch
    whole.communicate(timeout=120)
    ours, theirs = (checkpoint.load(tmp_path / name / "run" / "best.pt") for name in ("killed", "whole"))
    assert ours["state"].keys() == theirs["state"].keys()
    assert all(torch.equal(ours["state"][name], theirs["state"][name]) for name in ours["state"])
    rows = []
    for name in ("killed", "whole"):
        with (tmp_path / name / "run" / "test_predictions.csv").open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    assert rows[0] == rows[1]
    points = scalars(tmp_path / "killed" / "run" / "tensorboard", "loss/training")
    assert [step for step, _ in points] == sorted({step for step, _ in points})
    assert points == scalars(tmp_path / "whole" / "run" / "tensorboard", "loss/training")


def test_loaders_end_with_their_trainer(tmp_path: Path) -> None:
    import psutil

    job = write_job(tmp_path, write_manifest(tmp_path, 9), {**RECIPE, "epochs": 500})
    process = start_engine("train", job)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "saved":
            break
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    os.kill(process.pid, 9)
    process.communicate(timeout=30)  # its output is open as long as a loader lives
    assert not psutil.wait_procs(children, timeout=10)[1], "a loader outlived its trainer"
