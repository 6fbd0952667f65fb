"""Batch normalisation over the photos of all processes, as if their shares were one batch.

PyTorch's SyncBatchNorm is for GPUs only, and its conversion drops the activations of timm's norms. This one
works wherever sums can be exchanged; a process with half the batch then calculates what one process would.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from formats.texts import Text
from trainer.engine.errors import RecipeError
from trainer.engine.ranks import total


class SyncedNorm(nn.BatchNorm2d):
    """In training, mean and variance are those of all processes' photos; else nothing is different."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        values = input.float()
        others = (0, *range(2, values.ndim))  # all dimensions but the channels
        shape = (1, -1, *[1] * (values.ndim - 2))
        cells = values.new_tensor([values.numel() // values.shape[1]])
        sums = total(torch.cat([values.sum(others), cells]))
        count = sums[-1]
        mean = sums[:-1] / count
        gaps = values - mean.view(shape)
        variance = total(gaps.square().sum(others)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        result: Tensor = gaps * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def synchronise(network: nn.Module, name: str) -> None:
    """Let all batch norms of the network called ``name`` see all processes' photos. Weights, their names and
    whoever holds them stay. Raises RecipeError for a kind of norm that this cannot be done with.
    """
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = SyncedNorm
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            kind = type(module).__name__
            raise RecipeError(
                "sync_batchnorm",
                Text("the norms of %(name)s, %(kind)s, cannot be synchronised", name=name, kind=kind),
            )


def statistics(network: nn.Module) -> list[Tensor]:
    """The running means and variances of norms that each process learns from its own photos."""
    norms = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        and not isinstance(module, SyncedNorm)
    ]
    return [buffer for norm in norms for buffer in norm.buffers() if buffer.is_floating_point()]
