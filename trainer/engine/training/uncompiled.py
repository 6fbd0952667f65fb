"""PyTorch's optimizers, without what they do for ``torch.compile``.

PyTorch wraps some of their methods, so that its compiler leaves them alone. The wrappers import the compiler
at the first step: more than a second of a trainer's start, for nothing, since no optimizer here is compiled.
Each wrapper names the function inside, and ``inspect.unwrap`` finds it. With a PyTorch that has no such
wrappers nothing changes.
"""

from __future__ import annotations

import inspect
from typing import TypeVar, cast

import torch

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)
WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def without_compiler(kind: type[Kind]) -> type[Kind]:
    """The same optimizer to the last bit. PyTorch's wrapper of ``step`` turns gradients off; so does ours."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return cast("type[Kind]", type(kind.__name__, (kind,), methods))


SGD = without_compiler(torch.optim.SGD)
Adam = without_compiler(torch.optim.Adam)
AdamW = without_compiler(torch.optim.AdamW)
