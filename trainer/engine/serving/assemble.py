"""Packs and assembles the starter models: heads of less than 2 MB, to be joined with an installed backbone.

``pack`` makes the small folder from a finished run; ``assemble`` makes a complete model folder from it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from formats.storage import raise_if_of_storage
from formats.texts import Text
from trainer.engine.backbones import BACKBONES, WEIGHTS_DIR
from trainer.engine.errors import ExportError
from trainer.engine.evaluation import promise
from trainer.engine.evaluation.report import write_json
from trainer.engine.evaluation.scenes import take_along
from trainer.engine.events import Progress
from trainer.engine.networks.finetuned import input_of
from trainer.engine.networks.parts import FrozenNetwork, build_head
from trainer.engine.recipe import Recipe
from trainer.engine.serving.export import default_numbers, export, rebuild, write_model

HEAD, FACTS = "head.npz", "starter.json"
LARGEST = 2_000_000  # bytes that a head in the repository may have
MADE_BY_ASSEMBLY = {
    *("format", "input", "scenes", "scene_labels", "scenes_sha256", "milliseconds", "sha256", "created")
}


def pack(
    run_dir: Path, starter_dir: Path, *, target_precision: float = 0.9, kind: promise.Kind = "none"
) -> dict[str, Any]:
    """Write the head, calibration and figures of a frozen run, without its backbone; returns the facts.

    Raises ExportError if the run is not frozen or its head is too large.
    """
    _, recipe, content = rebuild(run_dir)
    if recipe.kind != "frozen":
        raise ExportError(Text("only a run with a frozen backbone can be packed: other models are too large"))
    manifest = export(run_dir, run_dir / "model", target_precision=target_precision, kind=kind)
    starter_dir.mkdir(parents=True, exist_ok=True)
    file = starter_dir / HEAD
    # Weights with half the digits: a probability changes by a thousandth at most.
    arrays = {
        name: value.numpy().astype(np.float16)
        if value.ndim > 1 and value.is_floating_point()
        else value.numpy()
        for name, value in content["state"].items()
    }
    np.savez_compressed(file, **arrays)
    if file.stat().st_size > LARGEST:
        raise ExportError(
            Text(
                "the head takes %(n)s bytes; %(largest)s is the limit",
                n=file.stat().st_size,
                largest=LARGEST,
            )
        )
    facts = {
        **{key: value for key, value in manifest.items() if key not in MADE_BY_ASSEMBLY},
        "groups": content["groups"],
        "scene_classes": content["scene_classes"],
        "head_sha256": _sha256(file),
        "weights_sha256": {name: _sha256(BACKBONES[name].weights()) for name in recipe.backbones},
    }
    take_along(run_dir, starter_dir)
    write_json(starter_dir / FACTS, facts)
    return facts


def assemble(starter_dir: Path, model_dir: Path) -> dict[str, Any]:
    """Make a model folder from the packed head and the installed backbone weights, checked against PyTorch.

    Returns its manifest. Raises ExportError.
    """
    progress = Progress("assemble", 3)
    try:
        facts = json.loads((starter_dir / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise_if_of_storage(error)
        raise ExportError(
            Text(
                "there is no packed model in %(starter_dir)s: %(error)s", starter_dir=starter_dir, error=error
            )
        ) from error
    recipe = Recipe.from_dict(facts["recipe"])
    if _sha256(starter_dir / HEAD) != facts.pop("head_sha256"):
        raise ExportError(
            Text("%(head)s is damaged", head=HEAD), hint=Text("Restore it from the repository.")
        )
    for name, expected in facts.pop("weights_sha256").items():
        file = BACKBONES[name].weights()
        if _sha256(file) != expected:
            is_fetched = file.parent == WEIGHTS_DIR
            raise ExportError(
                Text(
                    "the installed weights of %(name)s are not those that the head was trained on", name=name
                ),
                hint=Text("Delete %(file)s and fetch it again: make clip.", file=file)
                if is_fetched
                else Text("Install the versions that requirements.txt names."),
            )
    # Real photos were compared when it was packed; write_model compares synthetic ones on this machine.
    facts["packed_check"] = {
        key: facts.pop(key) for key in ("max_abs_difference", "checked_photos", "int8") if key in facts
    }
    facts |= take_along(starter_dir, model_dir)
    progress.advance()
    head = build_head(recipe, facts["groups"], len(facts["labels"]))
    with np.load(starter_dir / HEAD) as arrays:
        state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    head.load_state_dict(state)
    network = FrozenNetwork(recipe.backbones, head).eval()
    progress.advance()
    photos, scenes = _synthetic_photos(input_of(recipe).size), facts["scene_classes"]
    int8 = default_numbers(recipe) == "int8"
    manifest = write_model(network, input_of(recipe), facts, model_dir, photos, scenes=scenes, int8=int8)
    progress.advance()
    return manifest


def _synthetic_photos(size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Smooth random colours (8, 3, s, s), to compare ONNX and PyTorch without real photos."""
    coarse = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").numpy()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
