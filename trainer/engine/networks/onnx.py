"""Networks as ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from trainer.engine.backbones import Backbone
from trainer.engine.networks.fixed_pool import with_fixed_pools
from trainer.engine.preprocess import Input


def write_onnx(network: nn.Module, spec: Input, file: Path, *, outputs: Sequence[str]) -> None:
    """The network as ONNX: ``photos`` (n, 3, size, size) → each of ``outputs`` (n, …), any n."""
    example = torch.zeros(2, 3, spec.size, spec.size)
    network = with_fixed_pools(network.eval().cpu(), spec.size)
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but the new one needs onnxscript and does no better here;
        # its tracer warns that padding is fixed for this size, which is what we want.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(file),
            dynamo=False,
            input_names=["photos"],
            output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in ("photos", *outputs)},
        )


def write_backbone(backbone: Backbone, file: Path) -> None:
    write_onnx(backbone.load(), backbone.input, file, outputs=("features",))
