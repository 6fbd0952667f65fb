"""Turns a finished run into a model folder: model.onnx, checked against PyTorch, and a manifest."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from formats.storage import common_folder, replacing_path, require_content
from formats.texts import Text
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import ExportError
from trainer.engine.evaluation import promise
from trainer.engine.evaluation.calibrate import calibrate, cross_fit
from trainer.engine.evaluation.checks import check_facts
from trainer.engine.evaluation.report import softmax, write_json
from trainer.engine.evaluation.scenes import take_along
from trainer.engine.events import Progress, emit
from trainer.engine.manifests import FORMAT
from trainer.engine.networks.finetuned import build_network, input_of
from trainer.engine.networks.onnx import write_onnx
from trainer.engine.networks.parts import FrozenNetwork, LabelLayer, WithScenes, build_head, tells_scenes
from trainer.engine.opening import UnreadablePhotoError, open_photo
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.recipe import Recipe
from trainer.engine.serving.heldout import PREDICTIONS, REPORT, HeldOut, require_finished, require_share
from trainer.engine.training import checkpoint

TOLERANCE = 1e-4
# Of int8, the largest mean |Δp| that an export may have on the checked photos. It rounds, so single photos
# may differ more: the manifest gives the share of photos that get the same label.
INT8_TOLERANCE = 0.05
CHECKED_PHOTOS = 64
NUMBERS = ("float32", "int8")


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


def export(
    run_dir: Path,
    model_dir: Path,
    *,
    target_precision: float = 0.9,
    kind: promise.Kind = "none",
    numbers: str = "",
) -> dict[str, Any]:
    """Write model.onnx and manifest.json; returns the manifest. Raises ExportError, also if ONNX and PyTorch
    differ.

    ``kind`` is that of the promise. ``numbers`` are those of the network's matrices, float32 or int8;
    without, what suits the backbone.
    """
    require_share(target_precision)
    if kind not in promise.KINDS:
        raise ExportError(
            Text(
                "a promise of %(kind)s must be one of %(kinds)s",
                kind=f"{kind!r}",
                kinds=", ".join(promise.KINDS),
            )
        )
    require_finished(run_dir, "best.pt", REPORT, PREDICTIONS)
    progress = Progress("export", 3)
    network, recipe, content = rebuild(run_dir)
    labels: list[str] = content["labels"]
    held_out = HeldOut.read(run_dir / PREDICTIONS, labels)
    report = json.loads((run_dir / REPORT).read_text(encoding="utf-8"))
    progress.advance()
    calibration = calibrate(held_out.logits, held_out.true, labels, target_precision, kind=kind)
    manifest: dict[str, Any] = {
        "labels": labels,
        "temperature": calibration.temperature,
        "thresholds": calibration.thresholds,
        "target_precision": target_precision,
        "held_out": cross_fit(held_out.logits, held_out.true, labels, target_precision, kind=kind),
        "checks": check_facts(softmax(held_out.logits, calibration.temperature), held_out.true, labels),
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
    if kind != "none":
        groups = [group.as_dict() for group in calibration.groups]
        manifest["promise"] = {"kind": kind, "confidence": promise.CONFIDENCE, "groups": groups}
    progress.advance()
    photos = sample_pixels(held_out.paths, input_of(recipe))
    scenes = content["scene_classes"]
    if tells_scenes(network):
        manifest |= take_along(run_dir, model_dir)
    int8 = (numbers or default_numbers(recipe)) == "int8"
    manifest = write_model(network, input_of(recipe), manifest, model_dir, photos, scenes=scenes, int8=int8)
    progress.advance()
    return manifest


def default_numbers(recipe: Recipe) -> str:
    """In which numbers a model by this recipe keeps its matrices, if nobody says: one of NUMBERS."""
    frozen = recipe.kind == "frozen"
    return "int8" if frozen and any(BACKBONES[name].int8 for name in recipe.backbones) else "float32"


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
            Text("none of the held-out photos can be read any more"),
            hint=Text("Check that the files are still there."),
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
    int8: bool = False,
) -> dict[str, Any]:
    """Write and check the ONNX file, then write the manifest; a folder without a manifest is not a model.

    ``scenes`` are the scene classes of a network that predicts them: the file then has a second output for
    them. With ``int8`` the file's matrices are rounded after the check. Raises ExportError if ONNX and
    PyTorch differ.
    """
    with replacing_path(model_dir / "model.onnx") as part:
        if scenes and tells_scenes(network):
            assert isinstance(network, FrozenNetwork)
            manifest = manifest | {"scenes": list(scenes), "scene_labels": _scene_labels(network, manifest)}
            write_onnx(WithScenes(network), spec, part, outputs=("logits", "scenes"))
        else:
            write_onnx(network, spec, part, outputs=("logits",))
        gaps = differences(network, part, photos, manifest["temperature"])
        difference = float(gaps.max())
        if not difference < TOLERANCE:
            raise ExportError(
                Text(
                    "ONNX and PyTorch differ by %(difference)s in a probability; the limit is %(tolerance)s",
                    difference=f"{difference:.2g}",
                    tolerance=f"{TOLERANCE:g}",
                ),
                hint=Text(
                    "Nothing was exported. Please report this: the exporter changed the network's meaning."
                ),
            )
        if int8:
            manifest = manifest | {"int8": _round(network, part, photos, manifest["temperature"])}
        milliseconds = _milliseconds(part, photos[:1])
        manifest = {
            "format": FORMAT,
            **manifest,
            "input": spec.as_dict(),
            "max_abs_difference": difference,
            "checked_photos": len(photos),
            "milliseconds": milliseconds,
            "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
    write_json(model_dir / "manifest.json", manifest)
    return manifest


def _scene_labels(network: FrozenNetwork, manifest: Mapping[str, Any]) -> list[str]:
    """The label of each scene class, of a network that adds up their probabilities."""
    member = cast(LabelLayer, cast(nn.Sequential, network.head)[-1]).groups
    assert member is not None
    return [manifest["labels"][at] for at in member.argmax(1).tolist()]


def _round(
    network: nn.Module, file: Path, photos: NDArray[np.float32], temperature: float
) -> dict[str, float]:
    """Write the file's matrices as int8; returns what that changes on the photos. Raises ExportError."""
    from trainer.engine.networks.int8 import write_int8  # what it imports takes seconds

    write_int8(file, file)
    ours, theirs = _both_answers(network, file, photos, temperature)
    change = float(np.abs(ours - theirs).mean())
    if not change < INT8_TOLERANCE:
        raise ExportError(
            Text(
                "int8 changes a probability by %(change)s on average; the limit is %(int8_tolerance)s",
                change=f"{change:.2g}",
                int8_tolerance=f"{INT8_TOLERANCE:g}",
            ),
            hint=Text("Nothing was exported. Export it with float32 numbers."),
        )
    return {"mean_abs_difference": change, "same_label": float((ours.argmax(1) == theirs.argmax(1)).mean())}


def _milliseconds(file: Path, photo: NDArray[np.float32]) -> float:
    """The processor time for one photo (1, 3, s, s), on one thread as in a web worker: the least of four."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run() -> float:
        start = time.process_time()
        session.run(None, {"photos": photo})
        return (time.process_time() - start) * 1000

    return round(min(run() for _ in range(4)), 1)


def differences(
    network: nn.Module, file: Path, photos: NDArray[np.float32], temperature: float
) -> NDArray[np.float64]:
    """|Δp| (n, c) between the ONNX file and the PyTorch network on the photos (n, 3, s, s); infinite where
    either gives no number.
    """
    ours, theirs = _both_answers(network, file, photos, temperature)
    gaps = np.abs(ours - theirs)
    return np.where(np.isfinite(gaps), gaps, np.inf)


def _both_answers(
    network: nn.Module, file: Path, photos: NDArray[np.float32], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities (n, c) of the PyTorch network and of the ONNX file."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    ours, theirs = [], []
    for at in range(0, len(photos), 16):
        batch = photos[at : at + 16]
        with torch.inference_mode():
            ours.append(network(torch.from_numpy(batch)).numpy())
        theirs.append(session.run(None, {"photos": batch})[0])
    return softmax(np.concatenate(ours), temperature), softmax(np.concatenate(theirs), temperature)
