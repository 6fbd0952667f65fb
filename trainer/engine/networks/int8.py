"""Writes a network's matrices as int8: a quarter of the memory, two thirds of the time.

ONNX Runtime's MatMulNBits keeps 8 bits for each weight, with one scale for each block of BLOCK weights, and
multiplies photos in int8 too, again with a scale for each block. One scale for a whole tensor, as its dynamic
quantisation has, loses what transformers need: docs/experiments.md, "CLIP in int8".
"""

from __future__ import annotations

import logging
from pathlib import Path

import onnx

from formats.texts import Text
from trainer.engine.errors import ExportError

BLOCK = 64  # weights that share one scale
INT8_PRODUCTS = 4  # MatMulNBits' accuracy_level: 0 multiplies in float32, 4 in int8


def write_int8(source: Path, target: Path) -> None:
    """Write the ONNX file ``source`` to ``target``, its matrices as int8. Convolutions stay as they are.

    Raises ExportError if it has no matrices that can be written so.
    """
    # takes a second, and only an export of such a network needs it
    from onnxruntime.quantization.matmul_nbits_quantizer import (
        DefaultWeightOnlyQuantConfig,
        MatMulNBitsQuantizer,
    )

    config = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_PRODUCTS, bits=8
    )
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    quantizer = MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
    quantizer.process()
    model = quantizer.model.model
    if not any(node.op_type == "MatMulNBits" for node in model.graph.node):
        raise ExportError(
            Text("this network has no matrices to write as int8"),
            hint=Text("Export it with float32 numbers."),
        )
    onnx.save(model, target)
