"""The parts of networks that we define: a head on frozen features, and the label layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.engine.backbones import BACKBONES
from trainer.engine.recipe import Recipe

SMALLEST = 1e-12  # a probability's floor before its logarithm


class Head(nn.Module):
    """Features (n, f) → logits (n, outputs): standardisation, an optional hidden layer, a linear layer."""

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
        """Store mean and deviation of the training photos' features (n, f)."""
        self.mean.copy_(features.mean(0))
        if len(features) > 1:  # a single photo has no deviation
            self.std.copy_(features.std(0).clamp_min(1e-3))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers((features - self.mean) / self.std)
        return logits


class LabelLayer(nn.Module):
    """The last layer: outputs (n, k) → log-odds of labels (n, c).

    With ``groups`` the outputs stand for scene classes, and a label's probability is the sum of its scenes';
    without, they stand for labels. When not training, tau × log(prior) is subtracted (``set_prior``): the
    "post-hoc logit adjustment" of Menon et al. 2021, which raises the recall of rare labels at the cost of
    accuracy.
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
        """Store the shift for the labels' shares, from their numbers of training photos (c,)."""
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
        self.backbones = nn.ModuleList(BACKBONES[name].load() for name in backbones)
        self.head = head

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([backbone(photos) for backbone in self.backbones], 1))
        return logits


class WithScenes(nn.Module):
    """Photos → logits of labels (n, c) and of scene classes (n, k), by a head that predicts scene classes."""

    def __init__(self, network: FrozenNetwork) -> None:
        super().__init__()
        self.network = network
        assert isinstance(network.head, nn.Sequential)
        self.head, self.labels = network.head

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([backbone(photos) for backbone in self.network.backbones], 1)
        scenes = self.head(features)
        return self.labels(scenes), scenes


def tells_scenes(network: nn.Module) -> bool:
    """Whether the network predicts scene classes and adds up their probabilities for a label."""
    head = network.head if isinstance(network, FrozenNetwork) else None
    return isinstance(head, nn.Sequential) and getattr(head[-1], "groups", None) is not None


def build_head(recipe: Recipe, groups: Sequence[int], labels: int) -> nn.Sequential:
    """The trainable part of a frozen recipe. With a ``scene_loss`` it predicts scene classes."""
    features = sum(BACKBONES[name].features for name in recipe.backbones)
    by_scene = recipe.scene_loss > 0
    outputs = len(groups) if by_scene else labels
    head = Head(features, outputs, hidden=recipe.hidden, dropout=recipe.dropout)
    return nn.Sequential(head, LabelLayer(labels, groups if by_scene else None))


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
