"""What benchmarks of silence share: a head on cached features, held-out photos, photos out of scope."""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.photos import ALL, DATA, PAINTINGS, unpack
from formats.classes import is_outside
from trainer.engine.backbones import BACKBONES
from trainer.engine.events import Progress, StopRequest, listen
from trainer.engine.networks.features import FeatureCache, extract
from trainer.engine.networks.parts import build_head
from trainer.engine.opening import VERSION
from trainer.engine.photos.manifest import Photo, read_manifest, with_hashes
from trainer.engine.recipe import Recipe
from trainer.engine.serving.heldout import HeldOut
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What a trained head says about photos: features (n, f), outputs for scenes (n, k), logits (n, c)."""

    features: Floats
    outputs: Floats
    logits: Floats
    true: Ints  # labels (n,); those of photos out of scope are `other`


@dataclass(frozen=True)
class Case:
    labels: list[str]
    known: Floats  # features of the training photos (m, f)
    known_labels: Ints
    inside: Answers  # held-out photos in scope
    outside: Answers  # photos out of scope that no training has seen


def parser(description: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data", type=Path, default=DATA, help="folder with the tars and sun397_mapping.csv"
    )
    options.add_argument("--backbone", default="efficientnet_lite0", choices=BACKBONES)
    options.add_argument(
        "--features", type=Path, help="folder with features computed before; it is only read"
    )
    options.add_argument(
        "--only-computed", action="store_true", help="leave out photos without such features"
    )
    options.add_argument("--seed", type=int, default=0)
    return options


@contextmanager
def bench(options: argparse.Namespace) -> Iterator[Bench]:
    listen(lambda event, fields: None)
    with tempfile.TemporaryDirectory() as name:
        yield Bench(options, Path(name))


class Bench:
    """The unpacked photos and their features. Photos out of scope are halved: one half may teach."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.folder, self.backbone, self.seed = folder, BACKBONES[options.backbone], options.seed
        self.cache = folder / "cache"
        place = self.cache / f"{self.backbone.name}-{self.backbone.input.size}-whole-{VERSION}"
        place.mkdir(parents=True)
        for file in options.features.glob(f"{place.name}/*.npz") if options.features else ():
            shutil.copy(file, place)
        manifest, _ = unpack(options.data, ALL, folder)
        # Without paintings: #art may be right for them.
        photos = [photo for photo in read_manifest(manifest) if photo.scene_class != PAINTINGS]
        photos = with_hashes(photos, StopRequest())
        if options.only_computed:
            rows = FeatureCache(place).rows
            photos = [photo for photo in photos if photo.sha256 in rows]
        self.inside = [photo for photo in photos if not is_outside(photo.scene_class)]
        outside = [photo for photo in photos if is_outside(photo.scene_class)]
        order = np.random.default_rng(0).permutation(len(outside))
        half = len(outside) // 2
        self.teaching, self.outside = ([outside[at] for at in part] for part in (order[:half], order[half:]))
        self.rows = extract(
            photos,
            self.backbone,
            "whole",
            self.cache,
            stop=StopRequest(),
            progress=Progress("features", len(photos)),
            skipped=lambda photo, reason: None,
        )

    def case(self, *, negatives: bool, seed: int | None = None, **settings: Any) -> Case:
        """Train a head, with or without half of the photos out of scope as `other`."""
        seed = self.seed if seed is None else seed
        name = f"{'with' if negatives else 'without'}-{seed}-{len(list(self.folder.iterdir()))}"
        photos = self.inside + (self.teaching if negatives else [])
        manifest = self.folder / f"{name}.csv"
        with manifest.open("w", newline="") as file:
            rows = ([p.photo_id, p.path, p.label, p.scene_class] for p in photos)
            csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows])
        recipe = Recipe.from_dict({"backbone": self.backbone.name, "seed": seed, **settings})
        out = self.folder / name
        train(RunJob(recipe, manifest, out, self.cache), StopRequest())
        content = checkpoint.load(out / "best.pt")
        head = build_head(recipe, content["groups"], len(content["labels"]))
        head.load_state_dict(content["state"])
        held_out = set(HeldOut.read(out / "test_predictions.csv", content["labels"]).paths)
        tested = [photo for photo in self.inside if photo.path in held_out]
        known = [photo for photo in photos if photo.path not in held_out]
        labels = content["labels"]
        return Case(
            labels,
            self._features(known),
            np.array([labels.index(photo.label) for photo in known]),
            self._answers(head.eval(), tested, labels),
            self._answers(head.eval(), self.outside, labels),
        )

    def _features(self, photos: list[Photo]) -> Floats:
        return np.stack([self.rows[photo.sha256] for photo in photos]).astype(np.float64)

    def _answers(self, head: torch.nn.Sequential, photos: list[Photo], labels: list[str]) -> Answers:
        features = self._features(photos)
        with torch.inference_mode():
            outputs = head[0](torch.from_numpy(features).float())
            logits = head[1](outputs)
        true = np.array([labels.index(photo.label) for photo in photos])
        return Answers(features, outputs.double().numpy(), logits.double().numpy(), true)
