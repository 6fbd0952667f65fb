"""Lets torchvision be imported with a CPU build of torch.

The published torchvision wheel is linked to CUDA. With a CPU build of torch its C++ operators cannot load,
and ``import torchvision`` fails with ``operator torchvision::nms does not exist``, although networks and
transforms need no such operator. It is enough to declare the schemas of ``nms`` and ``qnms`` first if they
are missing. Import torchvision only through ``import_torchvision``, and do not use its image decoders.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch

_library: Any = None  # kept for the life of the process: its operators vanish with it
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> Any:
    global _library
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            _library.define(name + _SCHEMA)
    return importlib.import_module("torchvision")


def import_timm() -> Any:
    import_torchvision()  # timm imports it
    return importlib.import_module("timm")
