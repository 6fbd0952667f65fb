"""What ONNX exports in place of an adaptive pooling is the same pooling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from trainer.engine.networks.fixed_pool import FixedPool, with_fixed_pools
from trainer.engine.networks.onnx import write_onnx
from trainer.engine.preprocess import Input


@pytest.mark.parametrize(("size_in", "size_out"), [((8, 8), (7, 7)), ((4, 9), (7, 2)), ((7, 7), (7, 7))])
def test_it_pools_as_pytorch_does(size_in: tuple[int, int], size_out: tuple[int, int]) -> None:
    maps = torch.randn(3, 5, *size_in)
    expected = nn.AdaptiveAvgPool2d(size_out)(maps)
    torch.testing.assert_close(FixedPool(size_in, size_out)(maps), expected)


def small_vgg() -> nn.Sequential:
    """A VGG's end: maps of 8 × 8 for photos of 16 px, pooled to 7 × 7."""
    layers = (nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(4 * 49, 5))


def test_a_network_that_pools_to_a_size_that_does_not_divide_is_exported(tmp_path: Path) -> None:
    network, spec = small_vgg().eval(), Input(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    write_onnx(network, spec, tmp_path / "model.onnx", outputs=("logits",))
    photos = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    with torch.inference_mode():
        ours = network(torch.from_numpy(photos)).numpy()
    np.testing.assert_allclose(session.run(None, {"photos": photos})[0], ours, atol=1e-5)
    assert isinstance(network[1], nn.AdaptiveAvgPool2d)  # the run's own network is left alone


def test_a_network_that_can_be_exported_is_left_as_it_is() -> None:
    network = small_vgg().eval()
    assert with_fixed_pools(network, 28) is network
