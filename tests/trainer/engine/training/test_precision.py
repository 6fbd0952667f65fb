"""A step's numbers by recipe and machine, and the length of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from trainer.engine.errors import RecipeError
from trainer.engine.recipe import Recipe
from trainer.engine.training.precision import Precision

CPU = torch.device("cpu")


def precision(network: nn.Module | None = None, **settings: Any) -> Precision:
    return Precision(Recipe(**{"kind": "finetune", **settings}), network or nn.Conv2d(4, 4, 3), CPU)


@pytest.fixture
def pretend_bf16(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Fakes what the processor says of itself, because tests run on one with bf16 or on one without."""

    def pretend(has_it: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_it})

    return pretend


def test_auto_is_the_fastest_that_the_machine_has(pretend_bf16: Callable[[bool], None]) -> None:
    pretend_bf16(False)
    assert precision().name == "fp32"
    pretend_bf16(True)
    assert precision().name == "bf16"
    assert precision(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))).name == "fp32"
    assert precision(kind="frozen").name == "fp32"


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_step_calculates_in_the_precision_asked_for(
    name: str, dtype: torch.dtype, pretend_bf16: Callable[[bool], None]
) -> None:
    pretend_bf16(True)
    with precision(precision=name).autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_bf16_needs_a_machine_that_has_it(pretend_bf16: Callable[[bool], None]) -> None:
    pretend_bf16(False)
    with pytest.raises(RecipeError, match="precision: this machine has no bf16"):
        precision(precision="bf16")


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(RecipeError, match="precision: fp16 needs a GPU"):
        precision(precision="fp16")


@pytest.mark.parametrize(("longest", "length"), [(0.0, 5.0), (1.0, 1.0), (9.0, 5.0)])
def test_a_longer_gradient_is_shortened(longest: float, length: float) -> None:
    """All weights together: their gradients are 3 and 4 long, and a step is as long as they are."""
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD(weights, lr=1.0)
    made = precision(clip_norm=longest, precision="fp32")
    made.backward(3 * weights[0].sum() + 4 * weights[1].sum())
    made.step(optimizer)
    assert torch.cat([weight.detach() for weight in weights]).norm().item() == pytest.approx(length, rel=1e-5)
    assert [weight.grad for weight in weights] == [None, None]
