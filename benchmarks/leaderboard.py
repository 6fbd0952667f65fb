"""Every recipe on the same photos, the same split and the same seeds, as one table.

    python -m benchmarks.leaderboard [RECIPE …] [--seeds 3] [--cache FOLDER] [--data FOLDER]

RECIPE is a preset, with settings after a colon: frozen-lite2:hidden=512,lr=0.001. Without any, those of
RECIPES. teacher=PRESET trains that preset on the same split first, to learn from it. nearest and means are no
presets but plain heads (benchmarks.plain_heads) on the features of a backbone: means:backbone=clip_b16,few=5
knows five photos of each class.

The photos are those of the four tars in ../shared/data, 80/20 by scene class; figures are means over seeds
(each has its own split), with half the range between the lowest and the highest after ±. --places 8388 takes
as many photos of Places as the starters have learned from, though not the same ones.

Accuracy, balanced accuracy, precision at a coverage, AURC and calibration error (ECE) are those of the
held-out photos of SUN and Places. "silent" is the share of held-out photos out of scope without a
suggestion, at the confidence where 40 % of those of SUN and Places get one. "ms" is the network's processor
time for a photo on one thread. Features are computed once and kept in --cache: CLIP's take hours.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import math
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.photos import ALL, DATA, train, unpack
from benchmarks.plain_heads import Head, Taught, class_means, nearest, probabilities
from formats.classes import is_outside
from trainer.engine.backbones import BACKBONES
from trainer.engine.evaluation import metrics
from trainer.engine.evaluation.report import silence_figures
from trainer.engine.events import StopRequest
from trainer.engine.networks.features import FeatureCache, Halves, folder_of
from trainer.engine.networks.parts import FrozenNetwork
from trainer.engine.networks.teacher import Teacher
from trainer.engine.photos.manifest import labels_of, read_manifest, scene_groups, split_photos, with_hashes
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.serving.export import export, rebuild

HEADS = {"nearest": nearest, "means": class_means}
RECIPES = (
    "frozen-lite0",
    "frozen-lite2",
    "frozen-lite2:hidden=512,lr=0.001",
    "frozen-clip",
    "frozen-clip:balance=0",
    "frozen-clip:scene_loss=0,mixup=0,dropout=0,label_smoothing=0",
    *(
        f"frozen-lite2:hidden=512,lr=0.001,{change}"
        for change in (
            *(
                "balance=0",
                "balance=0.7",
                "label_smoothing=0",
                "label_smoothing=0.2",
                "mixup=0",
                "level_loss=0.3",
            ),
            *("teacher=frozen-lite2,teacher_weight=0.5", "teacher=frozen-clip,teacher_weight=0.5"),
        )
    ),
    *(f"{head}:backbone=efficientnet_lite2{few}" for few in ("", ",few=5") for head in HEADS),
)
COVERAGE = 0.4
Floats = NDArray[np.float64]


def recipe_of(words: str, seed: int) -> Recipe:
    """The recipe that the words name. Raises RecipeError."""
    name, _, changes = words.partition(":")
    settings = PRESETS[name].recipe.as_dict() | {"seed": seed}
    for change in filter(None, changes.split(",")):
        key, _, value = change.partition("=")
        settings[key] = json.loads(value) if value[:1].isdigit() else value
    return Recipe.from_dict(settings)


@dataclass(frozen=True)
class Judged:
    """What a network says of held-out photos: probabilities (n, c), and the photos' labels (n,)."""

    labels: list[str]
    probabilities: Floats
    true: NDArray[np.int64]
    photo_ids: list[str]
    scene_classes: list[str]


def judged_by(run: Path, labels: list[str]) -> Judged:
    with (run / "test_predictions.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    return Judged(
        labels,
        np.array([json.loads(row["probabilities"]) for row in table]),
        np.array([labels.index(row["true"]) for row in table]),
        [row["photo_id"] for row in table],
        [row["scene_class"] for row in table],
    )


def figures(judged: Judged, seconds: float) -> dict[str, float]:
    """The row of one run."""
    labels = judged.labels
    of_scenes = np.array([photo.startswith(("sun_photos/", "places_photos/")) for photo in judged.photo_ids])
    outside = np.array([is_outside(scene_class) for scene_class in judged.scene_classes])
    inside, right = judged.probabilities[of_scenes], judged.true[of_scenes]
    matrix = metrics.confusion(right, inside.argmax(1), len(labels))
    precision = metrics.precision_at_coverage(inside, right, labels, (0.2, COVERAGE, 0.6))
    _, confidence = metrics.best_hashtags(inside, labels)
    limit = np.sort(confidence)[-round(COVERAGE * len(confidence))]
    _, of_outside = metrics.best_hashtags(judged.probabilities[outside], labels)
    return {
        "accuracy": metrics.accuracy(matrix),
        "balanced": metrics.balanced_accuracy(matrix),
        **{f"p@{row['coverage']:.0%}".replace("%", ""): row["precision"] for row in precision},
        "AURC": silence_figures(inside, right, labels)["aurc"],
        "ECE": metrics.calibration_error(metrics.reliability(inside, right)),
        "silent": float((of_outside < limit).mean()),
        "minutes": seconds / 60,
    }


@dataclass
class Bench:
    """Trains recipes on the photos of a manifest, in runs below a folder."""

    folder: Path
    manifest: Path
    cache: Path
    teachers: dict[tuple[str, int], Path] = field(default_factory=dict)  # models, by preset and seed

    def row(self, words: str, seed: int, run: Path) -> dict[str, float]:
        """The figures of the recipe that the words name."""
        name, _, changes = words.partition(":")
        if name in HEADS:
            start = time.monotonic()
            settings = dict(change.split("=") for change in changes.split(","))
            judged = self._plain(HEADS[name], settings["backbone"], int(settings.get("few", 0)), seed)
            return figures(judged, time.monotonic() - start)
        recipe = recipe_of(words, seed)
        if recipe.teacher:
            recipe = replace(recipe, teacher=str(self._teacher(recipe.teacher, seed)))
        report = train(self.folder, run.name, self.manifest, recipe.as_dict(), self.cache)
        return figures(judged_by(run, report["labels"]), report["seconds"])

    def _teacher(self, preset: str, seed: int) -> Path:
        """The model of a preset, trained on the same split. It is not asked about photos by its network: what
        it says of them follows from their features, which the cache has.
        """
        if (preset, seed) not in self.teachers:
            run, model = (self.folder / f"{kind}-{preset}-{seed}" for kind in ("run", "model"))
            train(self.folder, run.name, self.manifest, recipe_of(preset, seed).as_dict(), self.cache)
            export(run, model)
            network, recipe, _ = rebuild(run)
            store = self._features(recipe.backbone)
            head = cast(nn.Sequential, cast(FrozenNetwork, network).head)
            hashes = list(store)
            with torch.inference_mode():
                scenes = head[0](torch.from_numpy(np.stack([store[name] for name in hashes])).float())
                rows = torch.cat([head[1](scenes), scenes], 1).half().numpy()
            FeatureCache(Teacher.read(model).folder(self.cache)).add(hashes, rows)
            self.teachers[preset, seed] = model
        return self.teachers[preset, seed]

    def _features(self, backbone: str) -> dict[str, Halves]:
        return FeatureCache(folder_of(self.cache, BACKBONES[backbone], "whole")).rows

    def _plain(self, head: Head, backbone: str, few: int, seed: int) -> Judged:
        """The head on the features that the cache has; the recipes before have computed them."""
        rows = self._features(backbone)
        with contextlib.redirect_stdout(io.StringIO()):
            photos = with_hashes(read_manifest(self.manifest), StopRequest())
        names = labels_of(photos)
        scenes, groups = scene_groups(photos, names)
        split = split_photos(photos, test_share=0.2, seed=seed)
        parts = [[photo for photo in part if photo.sha256 in rows] for part in (split.train, split.test)]
        known, held_out = (np.stack([rows[p.sha256] for p in part]).astype(np.float64) for part in parts)
        label_at = [np.array([names.index(photo.label) for photo in part]) for part in parts]
        scene_at = np.array([scenes.index(photo.scene_class) for photo in parts[0]])
        taught = Taught(known, label_at[0], scene_at, np.array(groups), len(names))
        told = probabilities(head, taught.few(few) if few else taught, held_out)
        ids, classes = ([getattr(p, name) for p in parts[1]] for name in ("photo_id", "scene_class"))
        return Judged(names, told, label_at[1], ids, classes)


def summary(rows: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and half the range of each figure."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {key: (sum(all_) / len(all_), (max(all_) - min(all_)) / 2) for key, all_ in columns.items()}


def cell(key: str, mean: float, spread: float) -> str:
    if math.isnan(mean):
        return ""
    if key in ("minutes", "ms"):
        return f"{mean:.1f}" if mean < 10 else f"{mean:.0f}"
    text = f"{mean:.3f}".removeprefix("0")
    return text if spread < 0.0005 else f"{text} ± {spread:.3f}".replace("± 0", "± ")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("recipes", nargs="*", default=list(RECIPES), metavar="RECIPE")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--cache", type=Path)
    options.add_argument("--places", type=int, default=0)
    options.add_argument("--data", type=Path, default=DATA)
    arguments = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two that wait for each other take longer than one
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, photos = unpack(arguments.data, ALL, folder, places=arguments.places)
        bench = Bench(folder, manifest, arguments.cache or folder / "cache")
        board: dict[str, dict[str, tuple[float, float]]] = {}
        for words in arguments.recipes:
            runs = [folder / f"{len(board)}-{seed}" for seed in range(arguments.seeds)]
            rows = [bench.row(words, seed, run) for seed, run in enumerate(runs)]
            ms = export(runs[0], folder / "model")["milliseconds"] if runs[0].exists() else float("nan")
            board[words] = summary(rows) | {"ms": (ms, 0.0)}
            if len(board) == 1:
                print("| recipe |", " | ".join(board[words]), "|")
                print("|---|", "---|" * len(board[words]), sep="")
            print(
                f"| {words} |",
                " | ".join(cell(key, *value) for key, value in board[words].items()),
                "|",
                flush=True,
            )
    means = {
        words: {key: mean for key, (mean, _) in row.items() if not math.isnan(mean)}
        for words, row in board.items()
    }
    base = next(iter(means))
    print(
        json.dumps(
            {
                "benchmark": "leaderboard",
                "photos": photos,
                "seeds": arguments.seeds,
                "means": means,
                "baseline": base,
                "accuracy_ratios": {
                    words: row["accuracy"] / means[base]["accuracy"] for words, row in means.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
