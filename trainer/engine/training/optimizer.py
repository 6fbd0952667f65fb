"""Builds a recipe's optimizer, and sets its learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trainer.engine.networks.stages import parts_of
from trainer.engine.recipe import Recipe
from trainer.engine.training import uncompiled


def build_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer of a network and its label layer.

    Weight decay does not apply to biases and the scales of normalisation. With a ``layer_decay`` each part of
    the network has groups of its own, the head's first; their ``scale`` is the share of the learning rate.
    """
    if recipe.layer_decay == 1:
        groups = _groups(list(network.parameters()), recipe)
    else:
        groups = []
        for distance, part in enumerate(reversed(parts_of(network.get_submodule("0")))):
            scale = recipe.layer_decay**distance
            groups += [{**group, "scale": scale} for group in _groups(part, recipe)]
    if recipe.optimizer == "sgd":
        return uncompiled.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)
    if recipe.optimizer == "adam":
        return uncompiled.Adam(groups, lr=recipe.lr)
    return uncompiled.AdamW(groups, lr=recipe.lr)


def _groups(weights: Sequence[nn.Parameter], recipe: Recipe) -> list[dict[str, Any]]:
    learning = [weight for weight in weights if weight.requires_grad]
    return [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
