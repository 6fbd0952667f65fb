"""Checks that a folder holds a usable model: `python -m trainer.registry.check_model FOLDER`.

It is a program of its own because the file is not trusted: whatever a crafted file does to the libraries
that read it happens here, with limited memory and time. Prints one JSON object: {} for a sound model,
{"error": reason} otherwise, {"storage": reason} if the disk does not give the file. Imports no Django.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from formats.json_text import to_json
from formats.storage import StorageFailure, read_through
from trainer.engine.errors import EngineError
from trainer.engine.evaluation.scenes import SCENES, SceneAnswers
from trainer.engine.preprocess import resized
from trainer.engine.serving.predict import Network, Suggester

MEMORY = 12 * 2**30  # bytes of address space, most of which stay unused
SECONDS = 60  # of processor time


class Unsound(Exception):
    """The model cannot be used; the message says why."""


def main(folder: Path) -> dict[str, str]:
    name = "model.onnx"
    try:
        for name in ("model.onnx", *(path.name for path in folder.glob("first.onnx"))):
            _check_file(folder / name)
        suggester = Suggester(folder)
        for name, network in (("model.onnx", suggester.network), ("first.onnx", suggester.first)):
            if network:
                _check_answers(name, network, len(suggester.labels))
        name = SCENES
        if "scenes_sha256" in suggester.manifest:
            SceneAnswers.read(folder / SCENES, suggester.scenes)
    except (Unsound, EngineError) as error:
        return {"error": str(error)}
    except StorageFailure as error:
        return {"storage": str(error)}
    except Exception as error:  # the libraries raise many kinds, whose messages say what is wrong
        return {"error": f"{name} is not a usable network: {str(error).strip()[:300]}"}
    return {}


def _check_file(path: Path) -> None:
    read_through(path)
    model = onnx.load_model(str(path), load_external_data=False)
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise Unsound(f"{path.name} keeps weights in other files; all must be inside it")
    onnx.checker.check_model(str(path))


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor at any depth: weights, constants, and those of inner graphs and functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from _tensors(inner)


def _check_answers(name: str, network: Network, labels: int) -> None:
    """Check that input and outputs match the manifest, and that synthetic photos get probabilities."""
    size, scenes = network.input.size, len(network.scenes)
    inputs, outputs = network.session.get_inputs(), network.session.get_outputs()
    if [one.name for one in inputs] != ["photos"] or inputs[0].type != "tensor(float)":
        raise Unsound(f"{name} must take one input, “photos”, of floats")
    if list(inputs[0].shape[1:]) != [3, size, size]:
        raise Unsound(f"{name} takes {inputs[0].shape[1:]}, the manifest says 3 × {size} × {size}")
    expected = {"label": labels} | ({"scene class": scenes} if scenes else {})
    if len(outputs) != len(expected):
        raise Unsound(f"{name} gives {len(outputs)} outputs, the manifest says {len(expected)}")
    for output, (kind, count) in zip(outputs, expected.items(), strict=True):
        if len(output.shape) != 2 or output.shape[1] not in (count, None):
            raise Unsound(f"{name} must give one number for each {kind}: {count} of them")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    photos = [Image.fromarray(pixels), Image.fromarray(pixels[:, ::-1].copy())]
    for photo in photos:  # one by one, as a web worker asks
        shares, _ = network.answer(resized(photo, network.input))
        if len(shares) != labels or not np.isfinite(shares).all() or abs(sum(shares) - 1) > 1e-3:
            raise Unsound(f"{name} does not give a probability for each label of a photo")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    print(to_json(main(Path(sys.argv[1]))))
