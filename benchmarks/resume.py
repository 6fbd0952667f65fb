"""What checkpoints cost, and whether a training that was killed ends with the weights of one that was not.

    python -m benchmarks.resume [--kills 20] [--pairs 3] [--seconds 60] [--size 224]

Cost: ResNet 18 and 34 are fine-tuned by SGD on photos of SUN's sizes, in turn with checkpoints and with
`Trainer.save` doing nothing. "share" is the time inside `save` of the time of training; "ratio" compares
seconds a photo of the two, "cpu" processor seconds a photo, each the median of the pairs. On a machine that
does other work meanwhile the seconds say little, the processor seconds hardly less than alone.

Kills: a training with dropout, mixing, momentum, batch normalisation, distortion and two loaders is killed by
SIGKILL again and again: half of the times at a random moment, half while a checkpoint is being written. Its
weights and predictions are compared bit for bit with those of a run that nobody disturbed.
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

PHOTO = (1024, 768)  # px, about what SUN's have
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
    """Asks for the end after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.end = time.monotonic() + seconds

    def __bool__(self) -> bool:
        return time.monotonic() > self.end


class Unsaved(Trainer):
    def save(self) -> None:
        pass


def trained(kind: type[Trainer], recipe: Recipe, photos: list[Photo], seconds: float) -> dict[str, float]:
    """Train for so many seconds: photos, seconds, and of these how many went into saving, how often."""
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
        spent, processor = time.monotonic() - start, time.process_time() - processor
    saves = [event for event in map(json.loads, out.getvalue().splitlines()) if event["event"] == "saved"]
    # The last one is that of the end which we asked for: it comes once, however long a training is.
    saves = saves[:-1]
    done = trainer.at.epoch * source.train_count + trainer.at.photos
    return {
        "photos": done,
        "seconds": spent,
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
    trained(Unsaved, recipe, photos, 3)  # warms up
    found = [
        (trained(Unsaved, recipe, photos, seconds), trained(Trainer, recipe, photos, seconds))
        for _ in range(pairs)
    ]

    def ratio(name: str) -> float:
        each = [(saved[name] / saved["photos"]) / (bare[name] / bare["photos"]) for bare, saved in found]
        return statistics.median(each)

    return {
        "share": statistics.median(saved["saving"] / saved["seconds"] for _, saved in found),
        "ratio": ratio("seconds"),
        "cpu": ratio("processor"),
        "saves": sum(saved["saves"] for _, saved in found),
        "mb": found[0][1]["mb"],
        "photos_per_second": statistics.median(saved["photos"] / saved["seconds"] for _, saved in found),
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
    """SIGKILL to the trainer; whether it was writing a file then. None: it had ended before."""
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
            time.sleep(chance.uniform(0, 0.03))  # somewhere in the middle of it
            break
        time.sleep(0.001)
    ended = process.poll() is not None
    process.kill()
    process.communicate()
    return None if ended else bool(list(out.glob("*.part")))


def kills(count: int) -> dict[str, Any]:
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        photos = write_photos(folder / "photos", 30, (96, 72))
        whole = start(write_job(folder, "whole", photos))
        whole.communicate()
        job, out = write_job(folder, "killed", photos), folder / "killed"
        moments: list[bool] = []
        while (
            len(moments) < count
            and (said := kill_once(job, out, chance, while_saving=len(moments) % 2 == 1)) is not None
        ):
            moments.append(said)
        last = start(job)
        last.communicate()
        ours, theirs = (checkpoint.load(folder / run / "best.pt") for run in ("killed", "whole"))
        predictions = [(folder / run / "test_predictions.csv").read_bytes() for run in ("killed", "whole")]
        state = ours["state"]
        same = sum(torch.equal(value, theirs["state"][key]) for key, value in state.items())
    return {
        "kills": len(moments),
        "while_writing": sum(moments),
        "equal_tensors": same,
        "tensors": len(state),
        "predictions_equal": predictions[0] == predictions[1],
        "identical": same == len(state) and predictions[0] == predictions[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each training")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    wanted = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "resume"}
    with tempfile.TemporaryDirectory() as name:
        photos = write_photos(Path(name), 60, PHOTO)
        print(f"{'':<10}{'share':>8}{'ratio':>8}{'cpu':>8}{'saves':>7}{'MB':>7}{'photos/s':>10}")
        for network in ("resnet18", "resnet34"):
            row = cost(network, wanted.seconds, wanted.size, wanted.pairs, photos)
            print(
                f"{network:<10}{row['share']:>8.2%}{row['ratio']:>8.3f}{row['cpu']:>8.3f}"
                f"{row['saves']:>7.0f}{row['mb']:>7.0f}{row['photos_per_second']:>10.1f}",
                flush=True,
            )
            result[network] = {key: round(value, 4) for key, value in row.items()}
    found = kills(wanted.kills)
    print(
        f"{found['kills']} kills, {found['while_writing']} of them while a checkpoint was written: "
        f"{found['equal_tensors']} of {found['tensors']} tensors equal bit for bit"
    )
    print(json.dumps(result | found))


if __name__ == "__main__":
    main()
