"""Matrices as int8: smaller, nearly the same answers, and refused where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainer.engine.errors import ExportError
from trainer.engine.networks.int8 import write_int8
from trainer.engine.networks.onnx import write_onnx
from trainer.engine.preprocess import Input
from trainer.engine.serving.export import write_model

SPEC = Input(32, mean=(127.0,) * 3, std=(64.0,) * 3)


class Transformerlike(nn.Module):
    """Multiplies each colour's pixels by a matrix, as a transformer multiplies each patch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(32 * 32, 256), nn.Linear(256, 5)

    def forward(self, photos: Tensor) -> Tensor:
        answers: Tensor = self.last(self.first(photos.flatten(2)).relu()).mean(1)
        return answers


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return Transformerlike().eval()


@pytest.fixture
def photos() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 3, 32, 32)).astype(np.float32)


def test_a_quarter_of_the_size_and_nearly_the_same_answers(
    network: nn.Module, photos: np.ndarray, tmp_path: Path
) -> None:
    manifest = write_model(network, SPEC, {"temperature": 1.0}, tmp_path / "whole", photos)
    rounded = write_model(network, SPEC, {"temperature": 1.0}, tmp_path / "int8", photos, int8=True)
    whole, small = ((tmp_path / name / "model.onnx").stat().st_size for name in ("whole", "int8"))
    assert small < whole * 0.3
    assert "int8" not in manifest
    assert 0 < rounded["int8"]["mean_abs_difference"] < 0.005
    assert rounded["int8"]["same_label"] == 1
    assert json.loads((tmp_path / "int8" / "manifest.json").read_text())["int8"] == rounded["int8"]


def test_answers_that_change_are_not_exported(
    network: Transformerlike, photos: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.engine.networks import int8

    def spoil(source: Path, target: Path) -> None:
        with torch.no_grad():
            network.last.weight.mul_(-100)

    monkeypatch.setattr(int8, "write_int8", spoil)
    with pytest.raises(ExportError, match="int8 changes a probability"):
        write_model(network, SPEC, {"temperature": 1.0}, tmp_path, photos, int8=True)
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_matrices_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten())
    write_onnx(network, SPEC, tmp_path / "whole.onnx", outputs=("logits",))
    with pytest.raises(ExportError, match="no matrices"):
        write_int8(tmp_path / "whole.onnx", tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()
