"""MiniLM: sentences to vectors, by `tokenizers` and onnxruntime, from the files of its package.

The network is BERT (Devlin et al. 2019), a sentence is the mean of its tokens (Reimers and Gurevych 2019), as
the model's card prescribes. The package holds weights and no ONNX, so the graph is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper
from tokenizers import Tokenizer

TOKENS = 128  # longer texts are cut
BATCH = 64
WEIGHTS = "model.safetensors"
OPSET, IR = 23, 11  # the first with attention as one operator, and the file format it came with

Floats = NDArray[np.float32]


class Network:
    def __init__(self, model: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # leaves the other cores for pages
        options.enable_cpu_mem_arena = False  # an arena would keep the memory of the fullest batch
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model))
        self._session = onnxruntime.InferenceSession(
            _bert(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def vectors(self, texts: Sequence[str]) -> Floats:
        """(texts, width), each of length 1. Texts of equal length go together, so that nothing is padded."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        by_length: dict[int, list[int]] = {}
        for at, row in enumerate(tokens):
            by_length.setdefault(len(row), []).append(at)
        means: dict[int, Floats] = {}
        for alike in by_length.values():
            for start in range(0, len(alike), BATCH):
                batch = alike[start : start + BATCH]
                means |= zip(batch, self._run(np.array([tokens[at] for at in batch])), strict=True)
        vectors = np.array([means[at] for at in range(len(texts))], np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _run(self, tokens: NDArray[np.int64]) -> Floats:
        """(texts, tokens) → (texts, width)."""
        positions = np.arange(tokens.shape[1])
        feeds = {"tokens": tokens, "positions": positions, "segments": np.zeros_like(positions)}
        mean: Floats = self._session.run(None, feeds)[0].mean(1)
        return mean


def _bert(model: Path) -> ModelProto:
    """The network as ONNX: (texts, tokens) → (texts, tokens, width). Names are those of the weights."""
    config = json.loads((model / "config.json").read_text())
    heads, layers, width = (
        config[name] for name in ("num_attention_heads", "num_hidden_layers", "hidden_size")
    )
    nodes: list[NodeProto] = []

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{kind}-{len(nodes)}"], **attributes))
        return str(nodes[-1].output[0])

    def embedding(kind: str, numbers: str) -> str:
        return node("Gather", f"embeddings.{kind}_embeddings.weight", numbers)

    def linear(name: str, x: str) -> str:
        return node("Add", node("MatMul", x, node("Transpose", f"{name}.weight")), f"{name}.bias")

    def norm(name: str, x: str) -> str:
        epsilon = config["layer_norm_eps"]
        return node("LayerNormalization", x, f"{name}.weight", f"{name}.bias", epsilon=epsilon)

    place = node("Add", embedding("position", "positions"), embedding("token_type", "segments"))
    x = norm("embeddings.LayerNorm", node("Add", embedding("word", "tokens"), place))
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        parts = (linear(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
        attention = node("Attention", *parts, q_num_heads=heads, kv_num_heads=heads)
        attention = linear(f"{name}.attention.output.dense", attention)
        x = norm(f"{name}.attention.output.LayerNorm", node("Add", x, attention))
        inner = node("Gelu", linear(f"{name}.intermediate.dense", x))
        x = norm(f"{name}.output.LayerNorm", node("Add", x, linear(f"{name}.output.dense", inner)))

    input_names = {name for one in nodes for name in one.input}
    graph = helper.make_graph(
        nodes,
        "bert",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["texts", "tokens"]),
            helper.make_tensor_value_info("positions", TensorProto.INT64, ["tokens"]),
            helper.make_tensor_value_info("segments", TensorProto.INT64, ["tokens"]),
        ],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["texts", "tokens", width])],
        [weight for weight in _weights(model) if weight.name in input_names],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _weights(model: Path) -> Iterator[TensorProto]:
    """The place of each weight in the file, which onnxruntime maps into memory, so that nothing is copied.

    A safetensors file is the length of the header (8 bytes), the header as JSON, then the numbers.
    """
    with (model / WEIGHTS).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, facts in header.items():
        if name == "__metadata__" or facts["dtype"] != "F32":
            continue
        first, last = facts["data_offsets"]
        weight = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=facts["shape"])
        weight.data_location = TensorProto.EXTERNAL
        place = {"location": WEIGHTS, "offset": 8 + length + first, "length": last - first}
        for key, value in place.items():
            weight.external_data.add(key=key, value=str(value))
        yield weight
