"""A run of the engine, from a job file to its report; killed, stopped, and with bad input."""

from __future__ import annotations

import csv
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.engine.conftest import (
    Engine,
    StopsAfter,
    events_of,
    start_engine,
    write_job,
    write_manifest,
    write_photo,
)
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint
from trainer.engine.training.checkpoint import CheckpointError
from trainer.engine.training.run import RunJob, train

# One process for all that use the finished run of conftest.py: it takes seconds to train.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]

SCRATCH = {
    "kind": "finetune",
    "weights": "none",
    "image_size": 32,
    "epochs": 3,
    "batch_size": 4,
    "lr": 0.001,
    "mixup": 0.2,
}


def last(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return [event for event in events if event["event"] == name][-1]


def test_a_run_reports_as_it_goes(frozen: dict[str, Any]) -> None:
    assert frozen["code"] == 0, frozen["events"]
    started = last(frozen["events"], "started")
    assert (started["photos"], started["train"] + started["test"]) == (37, 37)
    assert started["labels"] == ["street", "water", "other"]
    assert last(frozen["events"], "progress")["phase"] == "features"
    epochs = [event for event in frozen["events"] if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == list(range(1, 9))
    assert {"loss", "test_loss", "lr", "photos_per_second", "seconds_left"} <= epochs[0].keys()
    assert last(frozen["events"], "done")["accuracy"] > 0.8


def test_bad_photos_are_skipped_and_named(frozen: dict[str, Any]) -> None:
    skipped = [event for event in frozen["events"] if event["event"] == "skipped"]
    assert sorted(event["photo_id"] for event in skipped) == ["broken", "gone"]
    assert all(event["reason"] for event in skipped)


def test_the_report_and_the_predictions_agree(frozen: dict[str, Any]) -> None:
    report = json.loads((frozen["run"] / "report.json").read_text())
    with (frozen["run"] / "test_predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == report["test_photos"] == sum(map(sum, report["confusion"]))
    hits = sum(row["true"] == row["predicted"] for row in rows)
    assert report["accuracy"] == pytest.approx(hits / len(rows))
    assert sum(json.loads(rows[0]["probabilities"])) == pytest.approx(1, abs=1e-4)
    assert {"precision_at_coverage", "reliability", "per_label", "peak_memory_mb", "seconds"} <= report.keys()


def test_features_are_computed_once(frozen: dict[str, Any], engine: Engine, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, 12)  # the same bytes in other files
    job = write_job(tmp_path, manifest, {"epochs": 1}, cache=frozen["folder"] / "cache")
    chunks = sorted((frozen["folder"] / "cache").rglob("*.npz"))
    code, _ = engine("train", job)
    assert code == 0
    assert sorted((frozen["folder"] / "cache").rglob("*.npz")) == chunks


def test_cached_features_train_the_same_head(frozen: dict[str, Any], engine: Engine, tmp_path: Path) -> None:
    job = json.loads(frozen["job"].read_text())
    (tmp_path / "job.json").write_text(json.dumps({**job, "out": str(tmp_path / "run")}))
    _, events = engine("train", tmp_path / "job.json")
    assert last(events, "epoch")["loss"] == pytest.approx(last(frozen["events"], "epoch")["loss"], abs=1e-6)


def test_a_finished_run_only_writes_its_report_again(frozen: dict[str, Any], engine: Engine) -> None:
    code, events = engine("train", frozen["job"])
    assert code == 0
    told = [[e for e in part if e["event"] == "epoch"] for part in (events, frozen["events"])]
    assert [row["loss"] for row in told[0]] == [row["loss"] for row in told[1]]
    assert "started" not in {event["event"] for event in events}
    assert last(events, "done")["accuracy"] == last(frozen["events"], "done")["accuracy"]


def read_until(process: subprocess.Popen[str], event: str) -> list[dict[str, Any]]:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["event"] == event:
            break
    return seen


def test_sigterm_saves_and_stops(tmp_path: Path, engine: Engine) -> None:
    job = write_job(tmp_path, write_manifest(tmp_path, 8), {**SCRATCH, "epochs": 200})
    process = start_engine("train", job)
    read_until(process, "epoch")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert events_of(output)[-1] == {"event": "stopped"}
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt")["position"]["epoch"] >= 1


SUPERVISOR = """
import os, subprocess, sys
environment = os.environ | {"SCENETAG_SUPERVISED": str(os.getpid())}
trainer = subprocess.Popen([sys.executable, "-m", "trainer.engine", "train", sys.argv[1]], env=environment)
print(trainer.pid, file=sys.stderr, flush=True)
sys.stdin.read()
"""


def test_a_run_whose_supervisor_is_killed_saves_and_stops(tmp_path: Path) -> None:
    """This test keeps the pipe of the events open: a broken one would end the trainer, too."""
    job = write_job(tmp_path, write_manifest(tmp_path, 8), {**SCRATCH, "epochs": 1000})
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert supervisor.stdout is not None
    assert supervisor.stderr is not None
    trainer = os.pidfd_open(int(supervisor.stderr.readline()))
    read_until(supervisor, "epoch")
    supervisor.kill()
    ended = select.select([trainer], [], [], 30)[0]
    if not ended:
        signal.pidfd_send_signal(trainer, signal.SIGKILL)
    os.close(trainer)
    events = events_of(supervisor.stdout.read())
    supervisor.communicate()
    assert ended, "the trainer went on without its supervisor"
    assert events[-1] == {"event": "stopped"}
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt")["position"]["epoch"] >= 1


def test_a_run_that_no_longer_grows_ends_early_and_says_so(tmp_path: Path, engine: Engine) -> None:
    recipe = {**SCRATCH, "network": "test_resnet", "epochs": 50, "stop_after": 2, "stop_epsilon": 1.0}
    job = write_job(tmp_path, write_manifest(tmp_path, 4), recipe)
    with pytest.raises(Stopped):
        train(RunJob.read(job), StopsAfter(8))  # in its second epoch of four batches
    code, events = engine("train", job)
    assert code == 0
    stopped, report = (
        last(events, "stopped_early"),
        json.loads((tmp_path / "run" / "report.json").read_text()),
    )
    assert (stopped["epoch"], stopped["best_epoch"]) == (3, report["best_epoch"])
    assert stopped["reason"] == report["stopped_early"] == "accuracy has not grown by 1 in 2 epochs"
    assert [row["epoch"] for row in report["history"]] == [1, 2, 3]


def test_a_class_of_one_photo_trains_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photo(tmp_path / "zoo.jpg", "p/pantry", 9)
    manifest = write_manifest(tmp_path, 2, extra=[["z", str(tmp_path / "zoo.jpg"), "other", "z/zoo"]])
    recipe = {**SCRATCH, "network": "test_resnet", "epochs": 1}
    report = train(RunJob.read(write_job(tmp_path, manifest, recipe)), StopRequest())
    assert report["train_only"] == ["z/zoo"]
    assert last(events_of(capsys.readouterr().out), "train_only") == {
        "event": "train_only",
        "classes": ["z/zoo"],
    }


@pytest.mark.parametrize(
    ("recipe", "kind", "words"),
    [
        ({"epochs": -1}, "recipe", "epochs"),
        ({**SCRATCH, "weights": "/nowhere/resnet.pt"}, "weights", "resnet.pt"),
        ({**SCRATCH, "lr": 10.0, "optimizer": "sgd", "epochs": 50}, "nan", "in epoch 1"),
    ],
)
def test_an_error_is_an_event_with_a_hint(
    tmp_path: Path, engine: Engine, recipe: dict[str, Any], kind: str, words: str
) -> None:
    code, events = engine("train", write_job(tmp_path, write_manifest(tmp_path, 4), recipe))
    error = last(events, "error")
    assert (code, error["kind"]) == (1, kind)
    assert words in error["message"]


def test_another_recipe_cannot_take_the_folder(frozen: dict[str, Any], engine: Engine) -> None:
    job = json.loads(frozen["job"].read_text())
    changed = frozen["folder"] / "changed.json"
    changed.write_text(json.dumps({**job, "recipe": {**job["recipe"], "lr": 0.5}}))
    code, events = engine("train", changed)
    assert code == 1
    assert "recipe" in last(events, "error")["message"]


def test_a_report_of_before_an_upgrade_is_taken(frozen: dict[str, Any], tmp_path: Path) -> None:
    """It names none of the settings that came later."""
    report = json.loads((frozen["run"] / "report.json").read_text())
    for name in ("loss", "test_every"):
        del report["recipe"][name]
    for name in ("best.pt", "test_predictions.csv"):
        (tmp_path / name).touch()
    (tmp_path / "report.json").write_text(json.dumps(report))
    recipe = json.loads(frozen["job"].read_text())["recipe"]
    same, other = (
        RunJob(Recipe.from_dict(recipe | more), tmp_path, tmp_path, tmp_path)
        for more in ({}, {"loss": "squared"})
    )
    assert train(same, StopsAfter(1)) == report
    with pytest.raises(CheckpointError, match="another recipe"):
        train(other, StopsAfter(1))


def test_a_checkpoint_is_whole_or_absent(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    checkpoint.save(file, {"weights": torch.ones(3)})
    with pytest.raises(AttributeError):
        checkpoint.save(file, {"weights": lambda: None})  # cannot be saved: the old one stays
    assert checkpoint.load(file)["weights"].tolist() == [1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(file)
