"""torchrun starts a training's processes: none outlives the others, and two machines train as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.trainer.engine.conftest import start_engine, write_job, write_manifest
from tests.trainer.engine.together import train_together
from trainer.engine.errors import RecipeError
from trainer.engine.events import StopRequest
from trainer.engine.launch import launch
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("ranks")]

RECIPE: dict[str, Any] = {
    "kind": "finetune",
    "network": "efficientnet_lite0",  # starts without timm, which takes seconds to import
    "weights": "none",
    "image_size": 32,
    "epochs": 15,
    "batch_size": 4,
    "lr": 0.001,
    "mixup": 0.2,
    "precision": "fp32",
}


def weights_of(job: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load(job.parent / "run" / "best.pt")["state"]
    return state


def wait_for(process: subprocess.Popen[str], event: str) -> list[psutil.Process]:
    """The processes of the training, in the order of their ranks, once it has told this event."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    ranks = {child.environ().get("RANK"): child for child in children}
    return [ranks["0"], ranks["1"]]


def test_no_process_outlives_the_others_and_the_run_continues_bit_for_bit(tmp_path: Path) -> None:
    """One is killed, the run is stopped, its parent is killed: each time the rest ends by itself."""
    manifest = write_manifest(tmp_path, 4)
    jobs = {}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        jobs[name] = write_job(tmp_path / name, manifest, RECIPE | {"processes": 2})
    assert train_together(jobs["whole"])[0] == [0, 0]

    process = start_engine("train", jobs["killed"])
    ranks = wait_for(process, "saved")
    ranks[1].kill()
    output, _ = process.communicate(timeout=60)
    last = json.loads(output.splitlines()[-1])
    assert process.returncode == 128 + signal.SIGKILL
    assert (last["event"], last["kind"]) == ("error", "killed")
    assert last["message"] == "Process 2 of 2 was ended from outside (SIGKILL)."
    assert not psutil.wait_procs(ranks, timeout=30)[1]

    process = start_engine("train", jobs["killed"])
    ranks = wait_for(process, "epoch")
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(output.splitlines()[-1])["event"] == "stopped"
    assert not psutil.wait_procs(ranks, timeout=30)[1]

    process = start_engine("train", jobs["killed"])
    ranks = wait_for(process, "epoch")
    process.kill()
    assert not psutil.wait_procs(ranks, timeout=30)[1]
    process.communicate(timeout=30)

    assert not (tmp_path / "killed" / "run" / "report.json").exists(), "it was never interrupted"
    assert train_together(jobs["killed"])[0] == [0, 0]
    ours, theirs = (weights_of(jobs[name]) for name in ("killed", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("rendezvous", "machine", "words"),
    [
        ("", "0", "nodes: 2 machines need TRAINING_RENDEZVOUS, such as 10.0.0.1:29500"),
        ("10.0.0.1", "0", "nodes: 2 machines need TRAINING_RENDEZVOUS"),
        ("10.0.0.1:29500", "2", "nodes: TRAINING_MACHINE must be from 0 to 1"),
        ("10.0.0.1:29500", "", "nodes: TRAINING_MACHINE must be from 0 to 1"),
    ],
)
def test_machines_must_know_where_they_meet(
    rendezvous: str, machine: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRAINING_RENDEZVOUS", rendezvous)
    monkeypatch.setenv("TRAINING_MACHINE", machine)
    recipe = Recipe.from_dict({**RECIPE, "nodes": 2})
    with pytest.raises(RecipeError, match=words):
        launch(tmp_path / "job.json", recipe, flag="--json", stop=StopRequest())


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


@pytest.fixture
def two_machines() -> Iterator[Callable[[int], list[str]]]:
    """Two network namespaces that reach each other only by a cable; the words before a command on each."""
    names = [f"scenetag-{os.getpid()}-{number}" for number in range(2)]
    cables = [f"st{os.getpid() % 100_000}x{number}" for number in range(2)]
    made = []
    try:
        try:
            for name in names:
                ip("netns", "add", name)
                made.append(name)
            ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
            for number, (name, cable) in enumerate(zip(names, cables, strict=True)):
                ip("link", "set", cable, "netns", name)
                ip("-n", name, "addr", "add", f"10.213.7.{number + 1}/24", "dev", cable)
                for one in (cable, "lo"):
                    ip("-n", name, "link", "set", one, "up")
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"this machine does not let us make network namespaces: {error}")
        yield lambda number: ["ip", "netns", "exec", names[number]]
    finally:
        for name in made:
            ip("netns", "del", name)


def test_two_machines_train_as_two_processes_of_one(
    tmp_path: Path, two_machines: Callable[[int], list[str]]
) -> None:
    manifest, recipe = write_manifest(tmp_path, 4), RECIPE | {"epochs": 2}
    folders = {name: tmp_path / name for name in ("first", "second", "one")}
    for folder in folders.values():
        folder.mkdir()
    one = write_job(folders["one"], manifest, recipe | {"processes": 2})
    processes, jobs = [], []
    for number, name in enumerate(("first", "second")):
        jobs.append(write_job(folders[name], manifest, recipe | {"nodes": 2}))
        variables = {"TRAINING_RENDEZVOUS": "10.213.7.1:29507", "TRAINING_MACHINE": str(number)}
        processes.append(
            subprocess.Popen(
                [*two_machines(number), sys.executable, "-m", "trainer.engine", "train", str(jobs[-1])],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
            )
        )
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert json.loads(outputs[0].splitlines()[-1])["event"] == "done"
    assert not outputs[1], "the first process alone tells events"
    assert not (folders["second"] / "run").exists(), "the first process alone writes"
    assert train_together(one)[0] == [0, 0]
    ours, theirs = weights_of(jobs[0]), weights_of(one)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
