"""Fine-tuning against a plain PyTorch loop, which reads with Pillow in two DataLoader workers.

    python -m benchmarks.finetuning [--photos 96] [--size 224] [--batch 16] [--rounds 3]
    python -m benchmarks.finetuning --to-accuracy [--network efficientnet_lite0] [--weights imagenet] …

Pace: photos a second of an epoch, loaders' start included and tests excluded, in turns. `processor` counts
the processor seconds of the training process. If the machine does other work, trust these, and with
--threads 1: of several threads, those that wait for one another count, too.

--to-accuracy: the plain loop trains 10 epochs at a constant rate with momentum, and its best balanced
accuracy on held-out photos is the aim. Ours trains by the preset finetune-fast. Each is timed until the end
of the epoch that reaches the aim, tests excluded. Both begin with the same weights. A head on frozen
EfficientNet-Lite0 (preset frozen-lite0) has the same aim; the time of its features is its first epoch's.

The photos are the first of SUN's classes in equal numbers, a third of each held out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.photos import DATA, unpack
from trainer.engine.backbones import BACKBONES
from trainer.engine.evaluation import metrics
from trainer.engine.events import Progress, StopRequest
from trainer.engine.networks.features import FeatureCache, backbone_session, compute
from trainer.engine.networks.finetuned import build_network, input_of
from trainer.engine.networks.parts import Head, LabelLayer, build_head
from trainer.engine.photos.manifest import Photo, read_manifest, with_hashes
from trainer.engine.photos.sources import FeatureSource, PhotoSource
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training.loop import Trainer
from trainer.engine.training.schedule import photo_size

PLAIN_EPOCHS = 10
TARS = ("sun_photos.tar",)


@dataclass
class Clock:
    """Seconds and processor seconds of each epoch, tests excluded; balanced accuracy after it."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    balanced: list[float] = field(default_factory=list)

    def time(self, work: Callable[[], None]) -> None:
        start, processor = time.monotonic(), time.process_time()
        work()
        self.seconds.append(time.monotonic() - start)
        self.processor.append(time.process_time() - processor)

    def until(self, aim: float) -> dict[str, Any]:
        """When the aim was reached, or None."""
        epoch = next((at for at, value in enumerate(self.balanced) if value >= aim), None)
        end = None if epoch is None else epoch + 1
        spent = [None if end is None else round(sum(x[:end]), 1) for x in (self.seconds, self.processor)]
        return {"epochs": end, "seconds": spent[0], "processor": spent[1]}


@dataclass(frozen=True)
class Photos:
    train: list[Photo]
    test: list[Photo]
    labels: dict[str, int]
    scenes: dict[str, int]


def choose(manifest: Path, count: int) -> Photos:
    by_class: dict[str, list[Photo]] = defaultdict(list)
    for photo in read_manifest(manifest):
        by_class[photo.scene_class].append(photo)
    each = max(5, count // len(by_class))
    train, test = [], []
    for photos in by_class.values():
        train += photos[: each - each // 3]
        test += photos[each - each // 3 : each]
    labels = sorted({photo.label for photo in train})
    scenes = sorted(by_class)
    return Photos(train, test, *({name: at for at, name in enumerate(names)} for names in (labels, scenes)))


# --- the plain loop


class Plain(Dataset[tuple[torch.Tensor, int]]):
    def __init__(
        self, photos: list[Photo], labels: dict[str, int], recipe: Recipe, *, mirrored: bool
    ) -> None:
        self.photos, self.labels, self.mirrored = photos, labels, mirrored
        self.spec = input_of(recipe)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        size = (self.spec.size, self.spec.size)
        photo = Image.open(self.photos[at].path).convert("RGB").resize(size, Image.Resampling.BILINEAR)
        if self.mirrored and torch.rand(()) < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.asarray(photo, np.float32).transpose(2, 0, 1))
        mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (self.spec.mean, self.spec.std))
        return (pixels - mean) / std, self.labels[self.photos[at].label]


def train_plainly(recipe: Recipe, photos: Photos, epochs: int, *, tests: bool) -> Clock:
    torch.manual_seed(0)
    network = build_network(recipe, len(photos.labels))[0]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    train, test = (
        DataLoader(
            Plain(part, photos.labels, recipe, mirrored=is_train),
            batch_size=recipe.batch_size,
            shuffle=is_train,
            num_workers=2,
        )
        for part, is_train in ((photos.train, True), (photos.test, False))
    )
    clock = Clock()

    def epoch() -> None:
        network.train()
        for inputs, labels in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    for _ in range(epochs):
        clock.time(epoch)
        if tests:
            network.eval()
            with torch.inference_mode():
                found = [(labels, network(inputs).argmax(1)) for inputs, labels in test]
            true, predicted = (torch.cat(part).numpy() for part in zip(*found, strict=True))
            matrix = metrics.confusion(true, predicted, len(photos.labels))
            clock.balanced.append(metrics.balanced_accuracy(matrix))
            _tell("plain", clock)
    return clock


# --- ours


class Timed(Trainer):
    """Notes the time of each epoch."""

    clock: Clock
    tests: bool
    title = "ours"

    def _train_epoch(self) -> None:
        self.clock.time(super()._train_epoch)

    def _held_out_figures(self) -> dict[str, float | None]:
        if not self.tests:
            return dict.fromkeys(("test_loss", "accuracy", "balanced_accuracy"))
        figures = super()._held_out_figures()
        self.clock.balanced.append(float(figures["balanced_accuracy"] or 0))
        _tell(self.title, self.clock)
        return figures


def train_ours(recipe: Recipe, photos: Photos, *, tests: bool) -> Clock:
    torch.manual_seed(0)
    network = build_network(recipe, len(photos.labels))
    source = PhotoSource(
        photos.train,
        photos.test,
        photos.labels,
        photos.scenes,
        spec=input_of(recipe),
        batch_size=recipe.batch_size,
        seed=0,
        num_workers=recipe.num_workers,
        augment=recipe.augment,
        size_of=lambda epoch: photo_size(recipe, epoch=epoch),
    )
    identity = {"labels": list(photos.labels), "scene_classes": list(photos.scenes), "groups": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = Timed(recipe, network, source, Path(folder), identity=identity, stop=StopRequest())
        trainer.clock, trainer.tests = Clock(), tests
        trainer.run()
    return trainer.clock


def _skip(photo: Photo, reason: str) -> None:
    sys.exit(f"{photo.path} cannot be read: {reason}")


def train_frozen(photos: Photos, threads: int) -> Clock:
    """A head on frozen features, from photo files to the last epoch."""
    recipe = PRESETS["frozen-lite0"].recipe
    backbone = BACKBONES[recipe.backbone]
    torch.manual_seed(0)
    names, of_label = list(photos.scenes), {photo.scene_class: photo.label for photo in photos.train}
    groups = [photos.labels[of_label[name]] for name in names]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        everything = with_hashes([*photos.train, *photos.test], StopRequest())
        session = backbone_session(backbone, Path(folder), threads)

        store = FeatureCache(Path(folder) / "features")

        def read(some: list[Photo]) -> None:
            progress, stop = Progress("features", len(some)), StopRequest()
            add = store.add
            compute(some, backbone, "whole", session, add, stop=stop, progress=progress, skipped=_skip)

        clock.time(lambda: read(everything[: len(photos.train)]))
        read(everything[len(photos.train) :])
        matrix = torch.from_numpy(np.stack([store.rows[photo.sha256] for photo in everything]))
        labels = torch.tensor([photos.labels[photo.label] for photo in everything])
        scenes = torch.tensor([photos.scenes[photo.scene_class] for photo in everything])
        count = len(photos.train)
        head = build_head(recipe, groups, len(photos.labels))
        cast(Head, head[0]).standardise_by(matrix[:count].float())
        cast(LabelLayer, head[1]).set_prior(torch.bincount(labels[:count]), recipe.balance)
        source = FeatureSource(
            matrix[None, :count],
            matrix[count:],
            (labels[:count], scenes[:count], labels[count:], scenes[count:]),
            photos.test,
            batch_size=recipe.batch_size,
            seed=0,
        )
        identity = {"labels": list(photos.labels), "scene_classes": names, "groups": groups}
        trainer = Timed(recipe, head, source, Path(folder), identity=identity, stop=StopRequest())
        trainer.clock, trainer.tests, trainer.title = Clock(), True, "frozen"
        trainer.run()
    # The first epoch needs the features.
    trainer.clock.seconds[0] += clock.seconds[0]
    trainer.clock.processor[0] += clock.processor[0]
    return trainer.clock


def _tell(name: str, clock: Clock) -> None:
    row = f"{name:6} epoch {len(clock.balanced):2}: balanced {clock.balanced[-1]:.3f}"
    print(f"{row}, {sum(clock.seconds):7.1f} s, processor {sum(clock.processor):7.1f} s", file=sys.stderr)


def pace(recipe: Recipe, photos: Photos, rounds: int) -> dict[str, Any]:
    """Of the second of two epochs each: in the first, libraries are loaded and kernels chosen."""
    recipe = replace(recipe, epochs=2, first_size=0, unfreeze=0.0)
    names = ("seconds", "processor")
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        plain = train_plainly(recipe, photos, 2, tests=False)
        ours = train_ours(recipe, photos, tests=False)
        for name in names:
            for which, clock in (("plain", plain), ("ours", ours)):
                found[f"{which}_{name}"].append(len(photos.train) / getattr(clock, name)[-1])
    rates = {name: round(statistics.median(values), 2) for name, values in found.items()}
    ratios = {
        f"ratio_{name}": round(
            statistics.median(
                ours / plain
                for ours, plain in zip(found[f"ours_{name}"], found[f"plain_{name}"], strict=True)
            ),
            2,
        )
        for name in names
    }
    return {"photos_per_second": rates, **ratios}


def to_accuracy(recipe: Recipe, photos: Photos, threads: int) -> dict[str, Any]:
    frozen = train_frozen(photos, threads)
    plain = train_plainly(recipe, photos, PLAIN_EPOCHS, tests=True)
    ours = train_ours(recipe, photos, tests=True)
    aim = max(plain.balanced)
    clocks = {"plain": plain, "ours": ours, "frozen": frozen}
    return {
        "aim": round(aim, 4),
        **{name: clock.until(aim) for name, clock in clocks.items()},
        "best": {name: round(max(clock.balanced), 4) for name, clock in clocks.items()},
        "all": {name: round(sum(clock.processor), 1) for name, clock in clocks.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to-accuracy", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--photos", type=int, default=174)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network")
    parser.add_argument("--weights")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of our recipe")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    base = PRESETS["finetune-fast"].recipe
    settings: dict[str, Any] = {"image_size": options.size, "batch_size": options.batch}
    if not options.to_accuracy:
        settings |= {"network": "resnet18", "weights": "none"}
    settings |= {name: getattr(options, name) for name in ("network", "weights") if getattr(options, name)}
    for text in options.set:
        name, _, value = text.partition("=")
        settings[name] = json.loads(value)
    recipe = Recipe.from_dict(base.as_dict() | settings)
    with tempfile.TemporaryDirectory() as name:
        manifest, _ = unpack(options.data, TARS, Path(name))
        photos = choose(manifest, options.photos)
        if options.to_accuracy:
            result = to_accuracy(recipe, photos, options.threads)
        else:
            result = pace(recipe, photos, options.rounds)
    facts = {"photos": len(photos.train), "network": recipe.network, "size": recipe.image_size}
    print(json.dumps({"benchmark": "finetuning", **facts, **result}))


if __name__ == "__main__":
    main()
