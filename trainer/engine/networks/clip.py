"""CLIP's image encoder ViT-B/16 (Radford et al., 2021) up to its pooled features, before the projection.

timm has the network. Its weights come from an ONNX file whose matrices are stored as int8
(scripts/get_clip.py fetches it). That graph also rounds activations, which spoils the features, so it is
never run: only its weights are read, back to float.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from trainer.engine.networks.torchvision_shim import import_timm

NETWORK = "vit_base_patch16_clip_quickgelu_224"
LAYERS = 12

Floats = NDArray[np.float32]


def build(weights: Path | None) -> nn.Module:
    """Photos (n, 3, 224, 224), by CLIP's mean and deviation → features (n, 768)."""
    network: nn.Module = import_timm().create_model(NETWORK, pretrained=False, num_classes=0)
    if weights is not None:
        network.load_state_dict(read_weights(weights))
    return network


def read_weights(file: Path) -> dict[str, Tensor]:
    """The weights of the ONNX file under timm's names, as float32."""
    graph = onnx.load(file).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    matrices = {node.name: dequantize(stored, node) for node in graph.node if node.op_type == "MatMulInteger"}

    def matrix(layer: int, part: str) -> Floats:
        return matrices[f"/vision_model/encoder/layers.{layer}/{part}/MatMul_quant"].T

    def vector(layer: int, part: str) -> Floats:
        return stored[f"vision_model.encoder.layers.{layer}.{part}"]

    embeddings = "vision_model.embeddings"
    weights = {
        "cls_token": stored[f"{embeddings}.class_embedding"].reshape(1, 1, -1),
        "pos_embed": stored[f"{embeddings}.position_embedding.weight"][None],
        "patch_embed.proj.weight": stored[f"{embeddings}.patch_embedding.weight"],
    }
    for kind in ("weight", "bias"):
        # "layrnorm" is how the original spells it.
        weights[f"norm_pre.{kind}"] = stored[f"vision_model.pre_layrnorm.{kind}"]
        weights[f"norm.{kind}"] = stored[f"vision_model.post_layernorm.{kind}"]
    for layer in range(LAYERS):
        block = f"blocks.{layer}"
        weights[f"{block}.attn.qkv.weight"] = np.concatenate(
            [matrix(layer, f"self_attn/{name}_proj") for name in "qkv"]
        )
        weights[f"{block}.attn.qkv.bias"] = np.concatenate(
            [vector(layer, f"self_attn.{name}_proj.bias") for name in "qkv"]
        )
        for ours, theirs in (
            ("attn.proj", "self_attn/out_proj"),
            ("mlp.fc1", "mlp/fc1"),
            ("mlp.fc2", "mlp/fc2"),
        ):
            weights[f"{block}.{ours}.weight"] = matrix(layer, theirs)
            weights[f"{block}.{ours}.bias"] = vector(layer, f"{theirs.replace('/', '.')}.bias")
        for ours, theirs in (("norm1", "layer_norm1"), ("norm2", "layer_norm2")):
            for kind in ("weight", "bias"):
                weights[f"{block}.{ours}.{kind}"] = vector(layer, f"{theirs}.{kind}")
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in weights.items()}


def dequantize(stored: dict[str, NDArray[Any]], node: onnx.NodeProto) -> Floats:
    """The float matrix (inputs, outputs) of a quantised multiplication: (q − zero point) · scale, with one
    zero point and one scale per output.
    """
    _, matrix, _, zero_point = node.input
    scale = stored[matrix.replace("_quantized", "_scale")]
    floats: Floats = (stored[matrix].astype(np.float32) - stored[zero_point].astype(np.float32)) * scale
    return floats
