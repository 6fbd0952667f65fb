"""The cost of checkpoints, and whether a killed training ends with the weights of an undisturbed one.

    python -m benchmarks.resume [--kills 20] [--pairs 3] [--seconds 60] [--size 224]

Cost: ResNet 18 and 34 are fine-tuned by SGD on photos of SUN's sizes, in turn with checkpoints and with
`Trainer.save` doing nothing. "share" is the share of training time spent in `save`. "ratio" compares the
seconds per photo of the two, "cpu" the processor seconds per photo, each as the median of the pairs. If the
machine does other work at the same time, trust the processor seconds rather than the seconds.

Kills: a training with dropout, mixing, momentum, batch normalisation, distortion and two loaders is killed by
SIGKILL again and again: half of the times at a random moment, half while it writes a checkpoint. Its weights
and predictions are compared bit for bit with those of an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainer.engine.events import Stopped, StopRequest
from trainer.engine.networks.finetuned import build_network, input_of
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.sources import PhotoSource
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint
from trainer.engine.training.loop import Trainer

PHOTO = (1024, 768)  # px, about the size of SUN's photos
KILLED: dict[str, Any] = {
    "kind": "finetune",
    "network": "efficientnet_lite0",
    "weights": "none",
    "image_size": 32,
    "epochs": 8,
    "batch_size": 4,
    "lr": 0.01,
    "optimizer": "sgd",
    "mixup": 0.2,
    "augment": 2,
    "keep": "best",
    "num_workers": 2,
}
CLASSES = {"a/alley": "street", "b/beach": "water", "p/pantry": "other"}


def write_photos(folder: Path, each: int, size: tuple[int, int]) -> list[Photo]:
    photos = []
    for at, (scene_class, label) in enumerate(CLASSES.items()):
        for number in range(each):
            noise = np.random.default_rng(1000 * at + number).integers(0, 256, (24, 32, 3)).astype(np.uint8)
            path = folder / f"{at}-{number}.jpg"
            Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
            photos.append(Photo(f"{scene_class}/{number}", str(path), label, scene_class))
    return photos


# --- cost


class Enough(StopRequest):
    """Requests the end after this many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.end = time.monotonic() + seconds

    def __bool__(self) -> bool:
        return time.monotonic() > self.end


class Unsaved(Trainer):
    def save(self) -> None:
        pass


def train_for(kind: type[Trainer], recipe: Recipe, photos: list[Photo], seconds: float) -> dict[str, float]:
    """Train for this many seconds. Returns the photos, the seconds, and the number and seconds of saves."""
    torch.manual_seed(0)
    labels = sorted(set(CLASSES.values()))
    scenes = sorted(CLASSES)
    source = PhotoSource(
        photos[: len(photos) * 9 // 10],
        photos[len(photos) * 9 // 10 :],
        {name: at for at, name in enumerate(labels)},
        {name: at for at, name in enumerate(scenes)},
        spec=input_of(recipe),
        batch_size=recipe.batch_size,
        seed=0,
        num_workers=recipe.num_workers,
    )
    identity = {"labels": labels, "scene_classes": scenes, "groups": [0] * len(scenes)}
    network = build_network(recipe, len(labels), pretrained=False)
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(out):
        trainer = kind(recipe, network, source, Path(folder), identity=identity, stop=Enough(seconds))
        start, processor = time.monotonic(), time.process_time()
        with contextlib.suppress(Stopped):
            trainer.run()
        seconds_spent, processor = time.monotonic() - start, time.process_time() - processor
    saves = [event for event in map(json.loads, out.getvalue().splitlines()) if event["event"] == "saved"]
    # The last save is due to the stop request: it happens once per training, however long.
    saves = saves[:-1]
    photo_count = trainer.at.epoch * source.train_count + trainer.at.photos
    return {
        "photos": photo_count,
        "seconds": seconds_spent,
        "processor": processor,
        "saving": sum(event["seconds"] for event in saves),
        "saves": len(saves),
        "mb": max((event["bytes"] for event in saves), default=0) / 1e6,
    }


def cost(network: str, seconds: float, size: int, pairs: int, photos: list[Photo]) -> dict[str, float]:
    settings = PRESETS["resnet18-finetune"].recipe.as_dict()
    recipe = Recipe.from_dict(
        settings
        | {"network": network, "weights": "none", "image_size": size, "batch_size": 16, "epochs": 1000}
    )
    train_for(Unsaved, recipe, photos, 3)  # warms up
    figures = [
        (train_for(Unsaved, recipe, photos, seconds), train_for(Trainer, recipe, photos, seconds))
        for _ in range(pairs)
    ]

    def ratio(name: str) -> float:
        ratios = [
            (with_saves[name] / with_saves["photos"]) / (without_saves[name] / without_saves["photos"])
            for without_saves, with_saves in figures
        ]
        return statistics.median(ratios)

    return {
        "share": statistics.median(with_saves["saving"] / with_saves["seconds"] for _, with_saves in figures),
        "ratio": ratio("seconds"),
        "cpu": ratio("processor"),
        "saves": sum(with_saves["saves"] for _, with_saves in figures),
        "mb": figures[0][1]["mb"],
        "photos_per_second": statistics.median(
            with_saves["photos"] / with_saves["seconds"] for _, with_saves in figures
        ),
    }


# --- kills


def write_job(folder: Path, name: str, photos: list[Photo]) -> Path:
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        rows = [[photo.photo_id, photo.path, photo.label, photo.scene_class] for photo in photos]
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    job = folder / f"{name}.json"
    places = {"photos": manifest, "out": folder / name, "cache": folder / "cache"}
    job.write_text(json.dumps({"recipe": KILLED} | {key: str(path) for key, path in places.items()}))
    return job


def start(job: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-m", "trainer.engine", "train", str(job)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)


def kill_once(job: Path, out: Path, chance: random.Random, *, while_saving: bool) -> bool | None:
    """Kill the trainer. Returns whether it was writing a file, or None if it had ended before."""
    process = start(job)
    assert process.stdout is not None
    for line in process.stdout:
        if '"started"' in line:
            break
    end = time.monotonic() + chance.uniform(0, 4)
    if while_saving:
        end += 30
    while process.poll() is None and time.monotonic() < end:
        if while_saving and list(out.glob("checkpoint.pt*.part")):
            time.sleep(chance.uniform(0, 0.03))  # somewhere in the middle of writing
            break
        time.sleep(0.001)
    has_ended = process.poll() is not None
    process.kill()
    process.communicate()
    return None if has_ended else bool(list(out.glob("*.part")))


def kills(count: int) -> dict[str, Any]:
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        photos = write_photos(folder / "photos", 30, (96, 72))
        whole_run = start(write_job(folder, "whole", photos))
        whole_run.communicate()
        job, out = write_job(folder, "killed", photos), folder / "killed"
        moments: list[bool] = []
        while (
            len(moments) < count
            and (outcome := kill_once(job, out, chance, while_saving=len(moments) % 2 == 1)) is not None
        ):
            moments.append(outcome)
        last_run = start(job)
        last_run.communicate()
        killed_state, undisturbed_state = (
            checkpoint.load(folder / run / "best.pt") for run in ("killed", "whole")
        )
        predictions = [(folder / run / "test_predictions.csv").read_bytes() for run in ("killed", "whole")]
        state = killed_state["state"]
        equal = sum(torch.equal(value, undisturbed_state["state"][key]) for key, value in state.items())
    return {
        "kills": len(moments),
        "while_writing": sum(moments),
        "equal_tensors": equal,
        "tensors": len(state),
        "predictions_equal": predictions[0] == predictions[1],
        "identical": equal == len(state) and predictions[0] == predictions[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="per training")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "resume"}
    with tempfile.TemporaryDirectory() as name:
        photos = write_photos(Path(name), 60, PHOTO)
        print(f"{'':<10}{'share':>8}{'ratio':>8}{'cpu':>8}{'saves':>7}{'MB':>7}{'photos/s':>10}")
        for network in ("resnet18", "resnet34"):
            row = cost(network, options.seconds, options.size, options.pairs, photos)
            print(
                f"{network:<10}{row['share']:>8.2%}{row['ratio']:>8.3f}{row['cpu']:>8.3f}"
                f"{row['saves']:>7.0f}{row['mb']:>7.0f}{row['photos_per_second']:>10.1f}",
                flush=True,
            )
            result[network] = {key: round(value, 4) for key, value in row.items()}
    kill_result = kills(options.kills)
    print(
        f"{kill_result['kills']} kills, {kill_result['while_writing']} of them during a save: "
        f"{kill_result['equal_tensors']} of {kill_result['tensors']} tensors equal bit for bit"
    )
    print(json.dumps(result | kill_result))


if __name__ == "__main__":
    main()
