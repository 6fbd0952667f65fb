"""The networks that a recipe can ask for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .efficientnet_lite import FEATURES, load_backbone
from .errors import WeightsError
from .preprocess import IMAGENET_MEAN, IMAGENET_STD, Input, backbone_input
from .recipe import Recipe
from .torchvision_shim import import_torchvision

SMALLEST = 1e-12  # a probability's floor before its logarithm


class Head(nn.Module):
    """Features (n, f) → logits (n, outputs): standardise, perhaps a hidden layer, one linear layer."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: int, outputs: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden:
            layers += [nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden or features, outputs))

    def standardise_by(self, features: Tensor) -> None:
        """Remember mean and deviation of the training photos' features (n, f)."""
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp_min(1e-3))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers((features - self.mean) / self.std)
        return logits


class LabelLayer(nn.Module):
    """The last layer: outputs (n, k) → log-odds of labels (n, c).

    With ``groups`` the outputs stand for scene classes and a label's probability is the sum of its scenes';
    without, they stand for labels. When not training, tau × log(prior) is taken off (``set_prior``): the
    "post-hoc logit adjustment" of Menon et al. 2021, which buys recall of rare labels with accuracy.
    """

    groups: Tensor | None
    shift: Tensor

    def __init__(self, labels: int, groups: Sequence[int] | None = None) -> None:
        super().__init__()
        member = None
        if groups is not None:
            member = torch.zeros(len(groups), labels)
            member[torch.arange(len(groups)), torch.tensor(list(groups))] = 1.0
        self.register_buffer("groups", member)
        self.register_buffer("shift", torch.zeros(labels))

    def set_prior(self, counts: Tensor, tau: float) -> None:
        """Remember the labels' shares from their training photos (c,)."""
        share = counts.clamp_min(1).double()
        self.shift.copy_(-tau * (share / share.sum()).log())

    def forward(self, outputs: Tensor) -> Tensor:
        if self.groups is not None:
            outputs = (outputs.softmax(1) @ self.groups).clamp_min(SMALLEST).log()
        return outputs if self.training else outputs + self.shift


class FrozenNetwork(nn.Module):
    """Photos (n, 3, s, s) → logits (n, c) by frozen backbones and a trained head."""

    def __init__(self, backbones: Sequence[str], head: nn.Module) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(load_backbone(name) for name in backbones)
        self.head = head

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([backbone(photos) for backbone in self.backbones], 1))
        return logits


def build_head(recipe: Recipe, groups: Sequence[int], labels: int) -> nn.Sequential:
    """The trainable part of a frozen recipe; it tells scene classes apart when ``scene_loss`` asks for it."""
    features = FEATURES * len(recipe.backbones)
    by_scene = recipe.scene_loss > 0
    outputs = len(groups) if by_scene else labels
    head = Head(features, outputs, hidden=recipe.hidden, dropout=recipe.dropout)
    return nn.Sequential(head, LabelLayer(labels, groups if by_scene else None))


def build_resnet(recipe: Recipe, labels: int, *, pretrained: bool = True) -> nn.Sequential:
    """torchvision's ResNet with a new last layer; WeightsError when its first weights cannot be had."""
    models = import_torchvision().models
    network: nn.Module = models.get_model(recipe.network, weights=None)
    if pretrained and recipe.weights != "none":
        network.load_state_dict(_resnet_state(models, recipe), strict=False)
    network.fc = nn.Linear(network.get_submodule("fc").in_features, labels)  # type: ignore[arg-type]
    return nn.Sequential(network, LabelLayer(labels))


def _resnet_state(models: Any, recipe: Recipe) -> dict[str, Tensor]:
    if recipe.weights != "imagenet":
        state = _local_state(Path(recipe.weights), recipe.network)
    else:
        try:
            state = models.get_model_weights(recipe.network).DEFAULT.get_state_dict(progress=False)
        except Exception as error:  # urllib, ssl and torch.hub each fail in their own way
            raise WeightsError(
                f"the ImageNet weights of {recipe.network} cannot be downloaded: {error}",
                hint="Without internet access choose a frozen recipe (its weights are installed), "
                "give the path of a weight file as weights, or train from scratch with weights: none.",
            ) from error
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _local_state(path: Path, network: str) -> dict[str, Tensor]:
    hint = f"Give a state dict of torchvision's {network}, saved with torch.save."
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and file errors alike
        raise WeightsError(f"{path} cannot be read as weights: {str(error)[:200]}", hint=hint) from error
    if not isinstance(state, dict) or "conv1.weight" not in state:
        raise WeightsError(f"{path} holds no weights of {network}", hint=hint)
    return state


def input_of(recipe: Recipe) -> Input:
    """How the recipe's network wants its photos. Joined backbones share the first one's input."""
    if recipe.kind == "frozen":
        return backbone_input(recipe.backbones[0])
    return Input(recipe.image_size, IMAGENET_MEAN, IMAGENET_STD)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
