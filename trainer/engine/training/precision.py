"""The arithmetic of a training step: which numbers, and what half precision needs so that nothing is lost."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from formats.texts import Text
from trainer.engine.errors import RecipeError
from trainer.engine.recipe import Recipe

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def has_bf16(device: torch.device) -> bool:
    """Whether the device calculates with bf16 itself; others only imitate it, more slowly than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities()
    return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def precision_of(recipe: Recipe, network: nn.Module, device: torch.device) -> str:
    """fp32, bf16 or fp16. Raises RecipeError for one that the device has not.

    On a processor auto is fp32 for networks with depthwise convolutions: these are slower in bf16.
    """
    if recipe.kind == "frozen":
        return "fp32"
    if recipe.precision == "auto":
        is_depthwise = any(isinstance(part, nn.Conv2d) and part.groups > 1 for part in network.modules())
        pays = has_bf16(device) and (device.type == "cuda" or not is_depthwise)
        return "bf16" if pays else "fp32"
    if recipe.precision == "fp16" and device.type != "cuda":
        raise RecipeError(
            "precision", Text("fp16 needs a GPU, and this machine has none"), hint=Text("Choose auto.")
        )
    if recipe.precision == "bf16" and not has_bf16(device):
        raise RecipeError(
            "precision", Text("this machine has no bf16 of its own"), hint=Text("Choose auto or fp32.")
        )
    return recipe.precision


class Precision:
    """Runs forward passes in the recipe's precision, and makes steps from their gradients.

    fp16 loses small gradients, so its losses are scaled up before and gradients down after; the other
    precisions are not scaled.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, device: torch.device) -> None:
        self.name = precision_of(recipe, network, device)
        self.clip_norm, self.device = recipe.clip_norm, device
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    def autocast(self) -> AbstractContextManager[None]:
        dtype = DTYPES.get(self.name, torch.bfloat16)
        return torch.autocast(self.device.type, dtype, enabled=self.name in DTYPES)

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Change the weights by their gradients, of which none are left afterwards."""
        if self.clip_norm:
            self.scaler.unscale_(optimizer)
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            nn.utils.clip_grad_norm_(weights, self.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)
