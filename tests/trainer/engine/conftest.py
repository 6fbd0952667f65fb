"""Small photos with visibly different classes: a pretrained network learns from a dozen of each."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.engine.__main__ import main
from trainer.engine.events import StopRequest

CLASSES = {"a/alley": "street", "b/beach": "water", "p/pantry": "other"}
TINTS = {"a/alley": (200, 60, 40), "b/beach": (40, 90, 210), "p/pantry": (90, 200, 90)}


@pytest.fixture(scope="session", autouse=True)
def valkey() -> None:
    """The engine uses no queue, so its tests start none."""


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    """It uses no cache either."""


def write_photo(path: Path, scene_class: str, seed: int, size: tuple[int, int] = (96, 72)) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(-40, 40, (size[1], size[0], 3))
    pixels = np.clip(np.array(TINTS[scene_class]) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=90)


def write_manifest(folder: Path, each: int, *, extra: list[list[str]] | None = None) -> Path:
    rows = []
    for scene_class, label in CLASSES.items():
        for at in range(each):
            path = folder / "photos" / scene_class / f"{at}.jpg"
            write_photo(path, scene_class, at)
            rows.append([f"{scene_class}/{at}", str(path), label, scene_class])
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows, *(extra or [])])
    return manifest


def write_job(folder: Path, manifest: Path, recipe: dict[str, Any], cache: Path | None = None) -> Path:
    job = folder / "job.json"
    content = {
        "recipe": recipe,
        "photos": str(manifest),
        "out": str(folder / "run"),
        "cache": str(cache or folder / "cache"),
    }
    job.write_text(json.dumps(content))
    return job


def start_engine(*arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "trainer.engine", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


class StopsAfter(StopRequest):
    """A stop is requested after this many checks, one per batch."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def events_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


Engine = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Runs an engine command to its end in this process (PyTorch takes seconds to import).

    Gives the exit status and the events. One thread, as ``start_engine``: sums keep their order.
    """
    torch.set_num_threads(1)

    def run(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                code = main([str(argument) for argument in arguments])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return code, events_of(output.getvalue())

    return run


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One finished frozen run on 36 photos and two bad files: its folder, its events, its cache."""
    folder = tmp_path_factory.mktemp("frozen")
    bad_photo = folder / "broken.jpg"
    bad_photo.write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    extra = [
        ["broken", str(bad_photo), "street", "a/alley"],
        ["gone", str(folder / "gone.jpg"), "street", "a/alley"],
    ]
    manifest = write_manifest(folder, 12, extra=extra)
    job = write_job(folder, manifest, {"epochs": 8, "batch_size": 8})
    process = start_engine("train", job)
    output, _ = process.communicate(timeout=120)
    code, events = process.returncode, events_of(output)
    return {"folder": folder, "run": folder / "run", "job": job, "code": code, "events": events}


@pytest.fixture(scope="session")
def model(frozen: dict[str, Any], engine: Engine) -> Path:
    """The exported model of the frozen run."""
    folder: Path = frozen["folder"] / "model"
    code, events = engine("export", frozen["run"], folder)
    assert code == 0, events
    return folder
