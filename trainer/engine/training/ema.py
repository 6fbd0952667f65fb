"""A running average of the weights, which often judges new photos better than the weights themselves."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """The average of the network's weights and of its norms' statistics, to be updated after each step.

    An update keeps the share ``decay`` of it; in the first steps less, (1 + n) / (10 + n) after n updates, so
    that a short training forgets its beginning, too.
    """

    def blend(average: Tensors, weights: Tensors, updates: Tensor | int) -> None:
        count = int(updates)
        share = 1 - min(decay, (1 + count) / (10 + count))
        for mean, value in zip(average, weights, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    return AveragedModel(network, multi_avg_fn=blend, use_buffers=True)
