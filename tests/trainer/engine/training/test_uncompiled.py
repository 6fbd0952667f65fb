"""The optimizers do what PyTorch's do, to the last bit, and leave its compiler alone."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import nn

from trainer.engine.training import uncompiled


def weights_after(kind: type[torch.optim.Optimizer], **settings: Any) -> torch.Tensor:
    """Six steps, after four of them in another optimizer, which goes on from the state of the first."""
    layer = nn.Linear(4, 3)
    nn.init.constant_(layer.bias, 0.5)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, 12).reshape(3, 4))
    groups: list[dict[str, Any]] = [
        {"params": [layer.weight], "weight_decay": 0.1},
        {"params": [layer.bias], "weight_decay": 0.0},
    ]
    optimizer: Any = kind(groups, **settings)
    for step in range(6):
        if step == 4:
            state = optimizer.state_dict()
            again: list[dict[str, Any]] = [{"params": [layer.weight]}, {"params": [layer.bias]}]
            optimizer = kind(again, **settings)
            optimizer.load_state_dict(state)
        optimizer.zero_grad(set_to_none=True)
        layer(torch.linspace(-1, step, 8).reshape(2, 4)).square().sum().backward()
        optimizer.step()
    assert layer.weight.requires_grad
    return layer.weight.detach()


@pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"lr": 0.1}), ("AdamW", {"lr": 0.1})],
)
def test_it_steps_like_pytorchs_own_without_importing_the_compiler(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = weights_after(getattr(torch.optim, name), **settings)
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # importing it now raises
    assert torch.equal(weights_after(getattr(uncompiled, name), **settings), expected)
