"""How EfficientNet-Lite's paddings are exported: inside the convolutions, with the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from trainer.engine.networks.efficientnet_lite import SamePadConv2d
from trainer.engine.networks.onnx import write_onnx
from trainer.engine.preprocess import Input


@pytest.mark.parametrize("size", [12, 13])  # for even sizes, one side gets a pixel more than the other
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_padding_is_exported_inside_its_convolution(tmp_path: Path, size: int, kernel: int) -> None:
    torch.manual_seed(0)
    stem = SamePadConv2d(3, 6, kernel, 2, bias=False)
    depthwise = SamePadConv2d(6, 6, kernel, 2, groups=6, bias=False)
    network = nn.Sequential(stem, nn.BatchNorm2d(6), nn.ReLU6(), depthwise).eval()
    file = tmp_path / "model.onnx"
    write_onnx(network, Input(size, (0.5,) * 3, (0.5,) * 3), file, outputs=("maps",))
    assert "Pad" not in {node.op_type for node in onnx.load(file).graph.node}
    photos = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        ours = network(torch.from_numpy(photos)).numpy()
    session = onnxruntime.InferenceSession(str(file))
    np.testing.assert_allclose(session.run(None, {"photos": photos})[0], ours, atol=1e-5)
