"""Turns a finished run into a model folder: model.onnx, checked against PyTorch, and a manifest."""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from formats.storage import common_folder, replacing_path, require_content
from trainer.engine.errors import ExportError, NotANumberError
from trainer.engine.evaluation.calibrate import calibrate, cross_fit
from trainer.engine.evaluation.report import softmax, write_json
from trainer.engine.events import Progress, emit
from trainer.engine.networks.finetuned import build_network, input_of
from trainer.engine.networks.onnx import write_onnx
from trainer.engine.networks.parts import FrozenNetwork, WithScenes, build_head, tells_scenes
from trainer.engine.opening import UnreadablePhotoError, open_photo
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.recipe import Recipe
from trainer.engine.serving.predict import FORMAT
from trainer.engine.training import checkpoint

TOLERANCE = 1e-4
CHECKED_PHOTOS = 64


@dataclass(frozen=True)
class HeldOut:
    """A finished run's test photos, read from its test_predictions.csv: true (n,), logits (n, c)."""

    paths: list[str]
    true: NDArray[np.int64]
    logits: NDArray[np.float64]

    @classmethod
    def read(cls, file: Path, labels: Sequence[str]) -> HeldOut:
        with file.open(newline="", encoding="utf-8") as rows:
            table = list(csv.DictReader(rows))
        logits = np.array([json.loads(row["logits"]) for row in table], dtype=np.float64)
        if not np.isfinite(logits).all():
            raise NotANumberError(
                f"{file.name} has logits that are no finite numbers", hint="Train another run."
            )
        true = np.array([labels.index(row["true"]) for row in table], dtype=np.int64)
        return cls([row["path"] for row in table], true, logits)


def rebuild(run_dir: Path) -> tuple[nn.Module, Recipe, dict[str, Any]]:
    """The complete network of a run, from photos to logits, rebuilt from its best.pt alone.

    Returns it with the recipe and the checkpoint's content.
    """
    content = checkpoint.load(run_dir / "best.pt")
    recipe = Recipe.from_dict(content["recipe"])
    if recipe.kind == "frozen":
        head = build_head(recipe, content["groups"], len(content["labels"]))
        head.load_state_dict(content["state"])
        return FrozenNetwork(recipe.backbones, head).eval(), recipe, content
    network = build_network(recipe, len(content["labels"]), pretrained=False)
    network.load_state_dict(content["state"])
    return network.eval(), recipe, content


def export(run_dir: Path, model_dir: Path, *, target_precision: float = 0.9) -> dict[str, Any]:
    """Write model.onnx and manifest.json; returns the manifest. Raises ExportError, also if ONNX and PyTorch
    differ.
    """
    if not 0 < target_precision < 1:
        raise ExportError(f"a target precision of {target_precision:g} is not between 0 and 1")
    for name in ("best.pt", "report.json", "test_predictions.csv"):
        if not (run_dir / name).exists():
            raise ExportError(f"the run has no {name}", hint="Only a finished run can be exported.")
    progress = Progress("export", 3)
    network, recipe, content = rebuild(run_dir)
    labels: list[str] = content["labels"]
    held_out = HeldOut.read(run_dir / "test_predictions.csv", labels)
    report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    progress.advance()
    calibration = calibrate(held_out.logits, held_out.true, labels, target_precision)
    manifest: dict[str, Any] = {
        "labels": labels,
        "temperature": calibration.temperature,
        "thresholds": calibration.thresholds,
        "target_precision": target_precision,
        "held_out": cross_fit(held_out.logits, held_out.true, labels, target_precision),
        "metrics": {
            key: report[key]
            for key in (
                "accuracy",
                "balanced_accuracy",
                "precision_at_coverage",
                "train_photos",
                "test_photos",
            )
        },
        "recipe": recipe.as_dict(),
    }
    progress.advance()
    photos = sample_pixels(held_out.paths, input_of(recipe))
    scenes = content["scene_classes"]
    manifest = write_model(network, input_of(recipe), manifest, model_dir, photos, scenes=scenes)
    progress.advance()
    return manifest


def sample_pixels(paths: Sequence[str], spec: Input) -> NDArray[np.float32]:
    """(n, 3, s, s): at most CHECKED_PHOTOS readable photos, spread evenly over the paths."""
    step = max(1, len(paths) // CHECKED_PHOTOS)
    pixels = []
    for path in paths[::step][:CHECKED_PHOTOS]:
        try:
            with open_photo(path, size=spec.size) as photo:
                pixels.append(resized(photo, spec))
        except UnreadablePhotoError as error:
            emit("skipped", photo_id="", reason=f"{Path(path).name}: {error}")
    if not pixels:
        if root := common_folder(paths):
            require_content(root)
        raise ExportError(
            "none of the held-out photos can be read any more", hint="Check that the files are still there."
        )
    return as_batch(pixels, spec)


def write_model(
    network: nn.Module,
    spec: Input,
    manifest: dict[str, Any],
    model_dir: Path,
    photos: NDArray[np.float32],
    *,
    scenes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write and check the ONNX file, then write the manifest; a folder without a manifest is not a model.

    ``scenes`` are the scene classes of a network that predicts them: the file then has a second output for
    them. Raises ExportError if ONNX and PyTorch differ.
    """
    with replacing_path(model_dir / "model.onnx") as part:
        if scenes and tells_scenes(network):
            assert isinstance(network, FrozenNetwork)
            manifest = manifest | {"scenes": list(scenes)}
            write_onnx(WithScenes(network), spec, part, outputs=("logits", "scenes"))
        else:
            write_onnx(network, spec, part, outputs=("logits",))
        difference = largest_difference(network, part, photos, manifest["temperature"])
        if not difference < TOLERANCE:
            raise ExportError(
                f"ONNX and PyTorch differ by {difference:.2g} in a probability; the limit is {TOLERANCE:g}",
                hint="Nothing was exported. Please report this: the exporter changed the network's meaning.",
            )
        manifest = {
            "format": FORMAT,
            **manifest,
            "input": spec.as_dict(),
            "max_abs_difference": difference,
            "checked_photos": len(photos),
            "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
    write_json(model_dir / "manifest.json", manifest)
    return manifest


def largest_difference(
    network: nn.Module, file: Path, photos: NDArray[np.float32], temperature: float
) -> float:
    """The largest |Δp| between the ONNX file and the PyTorch network on the photos (n, 3, s, s)."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    worst = 0.0
    for at in range(0, len(photos), 16):
        batch = photos[at : at + 16]
        with torch.inference_mode():
            ours = network(torch.from_numpy(batch)).numpy()
        theirs = session.run(None, {"photos": batch})[0]
        gap = np.abs(softmax(ours, temperature) - softmax(theirs, temperature)).max()
        worst = max(worst, float(gap)) if np.isfinite(gap) else float("inf")
    return worst
