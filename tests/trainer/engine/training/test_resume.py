"""A training that was killed ends with the very weights of one that was not, bit for bit."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.trainer.engine.conftest import Engine, StopsAfter, start_engine, write_job, write_manifest
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train

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


def test_what_has_changed_is_named(tmp_path: Path, engine: Engine) -> None:
    manifest = write_manifest(tmp_path, 3)
    with pytest.raises(Stopped):
        train(RunJob.read(write_job(tmp_path, manifest, {**RECIPE, "num_workers": 0})), StopsAfter(2))
    job = write_job(tmp_path, manifest, {**RECIPE, "num_workers": 0, "lr": 0.5, "mixup": 0.0})
    code, [*_, error] = engine("train", job)
    assert (code, error["kind"]) == (1, "recipe")
    assert "lr was 0.01, now it is 0.5; mixup was 0.2, now it is 0.0" in error["message"]
    lines = manifest.read_text().replace(",street,", ",road,")
    manifest.write_text(lines)
    _, [*_, error] = engine("train", write_job(tmp_path, manifest, {**RECIPE, "num_workers": 0}))
    assert "labels: street is gone and road is new (" in error["message"]


def kill_after_the_first_checkpoint(process: subprocess.Popen[str]) -> dict[str, Any]:
    """SIGKILL in the middle of an epoch, while loaders read ahead; the checkpoint's event."""
    assert process.stdout is not None
    event: dict[str, Any] = {}
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "saved":
            break
    loaders = psutil.Process(process.pid).children(recursive=True)
    assert len(loaders) >= 2
    process.kill()
    process.communicate(timeout=30)  # its output is open as long as a loader lives
    assert not psutil.wait_procs(loaders, timeout=10)[1], "a loader outlived its trainer"
    return event


PACE: dict[str, Any] = {
    **RECIPE,
    "network": "test_resnet",
    "image_size": 64,
    "first_size": 32,
    "num_workers": 0,
    "accumulate": 3,
    "clip_norm": 0.5,
    "ema": 0.9,
    "weighted_loss": 0.5,
    "balanced_sampling": 0.5,
    "layer_decay": 0.7,
    "unfreeze": 0.3,
    "photo_cache": 1,
}


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """A manifest, and the weights of an undisturbed training on it by all settings of pace."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("paced")
    manifest = write_manifest(folder, 7)
    train(RunJob.read(write_job(folder, manifest, PACE)), StopsAfter(1000))
    assert not list((folder / "run").glob("*.pixels"))
    return manifest, checkpoint.load(folder / "run" / "best.pt")["state"]


@pytest.mark.parametrize("looks", [2, 3, 8, 11, 16])
def test_stopped_in_the_middle_of_a_step_the_weights_are_the_same(
    looks: int, tmp_path: Path, paced: tuple[Path, dict[str, torch.Tensor]]
) -> None:
    job = RunJob.read(write_job(tmp_path, paced[0], PACE))
    with pytest.raises(Stopped):
        train(job, StopsAfter(looks))
    assert not list(job.out.glob("*.pixels"))
    content = checkpoint.latest(job.out)
    assert ("gradients" in content) == bool(content["position"]["batch"] % 3), content["position"]
    train(job, StopsAfter(1000))
    ours = checkpoint.load(job.out / "best.pt")["state"]
    assert all(torch.equal(ours[name], paced[1][name]) for name in paced[1])


@pytest.mark.parametrize("looks", [3, 5, 7, 9])
def test_batches_whose_photos_cannot_be_read_count(looks: int, tmp_path: Path) -> None:
    """Three photos in five cannot, so that of some batches of two none can, and of others one."""
    recipe = PACE | {"photo_cache": 0, "batch_size": 2, "accumulate": 2, "epochs": 2, "keep": "last"}
    manifest = write_manifest(tmp_path, 9)
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    for row in [row for at, row in enumerate(rows) if at % 5 < 3]:
        Path(row["path"]).write_bytes(row["photo_id"].encode())
    states = []
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
        job = RunJob.read(write_job(tmp_path / name, manifest, recipe))
        if name == "parts":
            with pytest.raises(Stopped):
                train(job, StopsAfter(looks))
            position = checkpoint.latest(job.out)["position"]
            assert position["photos"] < 2 * position["batch"]
        train(job, StopRequest())
        states.append(checkpoint.load(job.out / "best.pt")["state"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("keep", ["best", "last"])
def test_stopped_after_its_last_epoch_a_run_with_an_average_continues(keep: str, tmp_path: Path) -> None:
    """By then the average has become the network."""
    recipe = PACE | {"photo_cache": 0, "epochs": 1, "keep": keep}
    manifest = write_manifest(tmp_path, 7)
    (tmp_path / "whole").mkdir()
    whole = train(RunJob.read(write_job(tmp_path / "whole", manifest, recipe)), StopRequest())
    job = RunJob.read(write_job(tmp_path, manifest, recipe))
    with pytest.raises(Stopped):
        train(job, StopsWith(job.out / "best.pt"))
    assert train(job, StopRequest())["accuracy"] == whole["accuracy"]
    ours, theirs = (
        checkpoint.load(out / "best.pt")["state"] for out in (job.out, tmp_path / "whole" / "run")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


class StopsWith(StopRequest):
    """A stop is requested once this file is there."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def __bool__(self) -> bool:
        return self.file.exists()


def scalars(logs: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader: Any = EventAccumulator(str(logs))
    reader.Reload()
    return [(point.step, point.value) for point in reader.Scalars(tag)]


def test_killed_in_the_middle_of_an_epoch_the_weights_are_the_same(tmp_path: Path, engine: Engine) -> None:
    manifest = write_manifest(tmp_path, 9)
    jobs = {}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        jobs[name] = write_job(tmp_path / name, manifest, RECIPE)
    saved = kill_after_the_first_checkpoint(start_engine("train", jobs["killed"]))
    assert (saved["epoch"], saved["batch"]) == (0, 1)
    # Another number of processes reads the same photos.
    jobs["killed"] = write_job(tmp_path / "killed", manifest, {**RECIPE, "num_workers": 1})
    for name, job in jobs.items():
        code, events = engine("train", job)
        assert code == 0
        assert [e["resumed"] for e in events if e["event"] == "started"] == [name == "killed"]
    runs = [tmp_path / name / "run" for name in ("killed", "whole")]
    ours, theirs = (checkpoint.load(run / "best.pt")["state"] for run in runs)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    predicted = [(run / "test_predictions.csv").read_text() for run in runs]
    assert predicted[0] == predicted[1]
    points = [scalars(run / "tensorboard", "loss/training") for run in runs]
    assert points[0] == points[1]
    assert [step for step, _ in points[0]] == sorted({step for step, _ in points[0]})
