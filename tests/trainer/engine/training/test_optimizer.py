"""Learning rates by part: each part's is a share of that of the part behind it."""

from __future__ import annotations

import pytest
from torch import nn

from trainer.engine.recipe import Recipe
from trainer.engine.training.optimizer import build_optimizer, set_rate


def network() -> nn.Sequential:
    """Five layers without biases, in front of what has the place of the label layer."""
    layers = nn.Sequential()
    for at in range(5):
        layers.add_module(f"layer{at}", nn.Linear(1, 1, bias=False))
    return nn.Sequential(layers, nn.Identity())


def test_an_earlier_part_learns_more_slowly() -> None:
    layers = network()
    optimizer = build_optimizer(Recipe(layer_decay=0.5, optimizer="sgd"), layers)
    set_rate(optimizer, 0.8)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in layers.parameters()] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])
    assert optimizer.param_groups[0]["lr"] == 0.8  # what a run records


def test_without_a_decay_all_parts_share_their_groups() -> None:
    """As in checkpoints of older versions."""
    optimizer = build_optimizer(Recipe(optimizer="sgd"), network())
    assert [len(group["params"]) for group in optimizer.param_groups] == [5, 0]
    set_rate(optimizer, 0.8)
    assert {group["lr"] for group in optimizer.param_groups} == {0.8}
