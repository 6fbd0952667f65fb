"""EfficientNet-Lite up to its pooled features. engine/backbones.py lists its sizes and weights.

The network of Tan & Le (2019) without squeeze-and-excitation and with ReLU6, so that a processor without a
GPU runs it fast (Google, "Higher accuracy on vision models with EfficientNet-Lite", 2020). Parameter names
follow the packaged weight files, so they load as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Scale:
    width: float
    depth: float


# repeats, kernel, stride, expansion, output channels: table 1 of the EfficientNet paper.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
FEATURES = 1280


class SamePadConv2d(nn.Conv2d):
    """Convolution padded like TensorFlow's "SAME": the odd pixel is added at the right and at the bottom."""

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = int(input.shape[-2]), int(input.shape[-1])
        if stride == 1:
            return F.conv2d(input, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        down, across = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in (height, width))
        padding = [across // 2, across - across // 2, down // 2, down - down // 2]
        if torch.onnx.is_in_onnx_export():
            outputs: Tensor = PaddedInside.apply(  # type: ignore[no-untyped-call]
                input, self.weight, padding, stride, self.groups
            )
            return outputs
        return F.conv2d(F.pad(input, padding), self.weight, self.bias, stride, 0, 1, self.groups)


class PaddedInside(torch.autograd.Function):
    """A padded convolution that is one node in ONNX. PyTorch needs two, since its convolutions pad both sides
    alike; ONNX Runtime then changes the layout of its maps before and after each padding, which took a fifth
    of the time.

    ``padding``: pixels at the left, right, top and bottom. There is no bias: a normalisation follows.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, padding: list[int], stride: int, groups: int
    ) -> Tensor:
        return F.conv2d(F.pad(input, padding), weight, None, stride, 0, 1, groups)

    @staticmethod
    def symbolic(graph: Any, input: Any, weight: Any, padding: list[int], stride: int, groups: int) -> Any:
        left, right, top, bottom = padding
        return graph.op(
            "Conv",
            input,
            weight,
            kernel_shape_i=weight.type().sizes()[2:],
            pads_i=[top, left, bottom, right],
            strides_i=[stride, stride],
            dilations_i=[1, 1],
            group_i=groups,
        )


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> SamePadConv2d:
    return SamePadConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Inverted residual block: expand, depthwise, project; added to its input if the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        if expansion > 1:
            self._expand_conv = _conv(inputs, middle, 1)
            self._bn0 = _norm(middle)
        self._depthwise_conv = _conv(middle, middle, kernel, stride, groups=middle)
        self._bn1 = _norm(middle)
        self._project_conv = _conv(middle, outputs, 1)
        self._bn2 = _norm(outputs)
        self.expands = expansion > 1
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inside = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inside = F.relu6(self._bn1(self._depthwise_conv(inside)))
        outside: Tensor = self._bn2(self._project_conv(inside))
        return outside + x if self.adds else outside


def _round_channels(channels: float) -> int:
    """The paper's rule: the nearest multiple of 8, never more than 10 % below."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class EfficientNetLite(nn.Module):
    """Photos (n, 3, s, s), normalised as (x − 127) / 128 → pooled features (n, 1280)."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self._conv_stem = _conv(3, 32, 3, 2)
        self._bn0 = _norm(32)
        blocks: list[nn.Module] = []
        inputs = 32
        for at, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            # Lite scales neither the depth of the first and last stage nor the width of stem and head.
            is_fixed = at in (0, len(STAGES) - 1)
            outputs = _round_channels(channels * scale.width)
            for repeat in range(repeats if is_fixed else math.ceil(repeats * scale.depth)):
                blocks.append(Block(inputs, outputs, kernel, 1 if repeat else stride, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _conv(inputs, FEATURES, 1)
        self._bn1 = _norm(FEATURES)

    def forward(self, photos: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(photos)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return x.mean((2, 3))


def build(weights: Path | None, *, width: float, depth: float) -> EfficientNetLite:
    """The network without its classifier, with the weights of a file or random ones."""
    network = EfficientNetLite(Scale(width, depth))
    if weights is not None:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith("_fc.")})
    return network
