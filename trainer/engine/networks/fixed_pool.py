"""Adaptive average pooling for one photo size, in operations that ONNX has."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class FixedPool(nn.Module):
    """`nn.AdaptiveAvgPool2d` of maps of one known size, as two products of matrices: rows · map · columns.

    ONNX has no adaptive pooling; the exporter replaces it where the output size divides the input size.
    VGG's 7 × 7 does so at 224 px, not at the thesis's 256.
    """

    rows: Tensor  # (h_out, h_in)
    columns: Tensor  # (w_in, w_out)

    def __init__(self, size_in: tuple[int, int], size_out: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("rows", _means(size_in[0], size_out[0]))
        self.register_buffer("columns", _means(size_in[1], size_out[1]).T.contiguous())

    def forward(self, maps: Tensor) -> Tensor:
        """(n, c, h_in, w_in) → (n, c, h_out, w_out)"""
        return self.rows @ maps @ self.columns


def _means(size_in: int, size_out: int) -> Tensor:
    """(out, in): row i is the mean of the cells from ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉, as PyTorch defines it."""
    rows = torch.zeros(size_out, size_in)
    for at in range(size_out):
        start, end = at * size_in // size_out, math.ceil((at + 1) * size_in / size_out)
        rows[at, start:end] = 1 / (end - start)
    return rows


def with_fixed_pools(network: nn.Module, size: int) -> nn.Module:
    """The network for photos of `size` px; a copy where an adaptive pooling had to be replaced."""
    pools: dict[str, FixedPool] = {}
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            hooks.append(module.register_forward_hook(_remember(pools, name)))
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    finally:
        for hook in hooks:
            hook.remove()
    if not pools:
        return network
    changed = copy.deepcopy(network)
    for name, pool in pools.items():
        changed.set_submodule(name, pool)
    return changed


def _remember(pools: dict[str, FixedPool], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        before, after = inputs[0].shape[-2:], out.shape[-2:]
        if before[0] % after[0] or before[1] % after[1]:
            pools[name] = FixedPool((before[0], before[1]), (after[0], after[1]))

    return hook
