"""Looks into a network while it is trained: the features that its last layer gets, its last feature map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from formats.texts import Text
from trainer.engine.errors import RecipeError
from trainer.engine.recipe import Recipe


class Tap:
    """Keeps what a module took in, or gave, when the network was last called."""

    value: Tensor

    def __init__(self, module: nn.Module, *, takes: bool = False) -> None:
        if takes:
            module.register_forward_pre_hook(self._keep_input)
        else:
            module.register_forward_hook(self._keep_output)

    def _keep_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.value = args[0]

    def _keep_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self.value = output


def tap_features(network: nn.Module, recipe: Recipe, labels: int) -> tuple[Tap, int]:
    """A tap on the features (n, f) that the last layer turns into ``labels`` logits, and their number f.

    Raises RecipeError for a network whose last layer takes anything else.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == labels]
    if not layers:
        raise RecipeError(
            "network",
            Text("%(network)s does not end with a linear layer over features", network=recipe.network),
        )
    tap = Tap(layers[-1], takes=True)
    _try(network, recipe.image_size)
    if tap.value.ndim != 2:
        raise RecipeError(
            "network",
            Text("the last layer of %(network)s does not get one row per photo", network=recipe.network),
        )
    return tap, layers[-1].in_features


def tap_map(network: nn.Module, recipe: Recipe) -> tuple[Tap, int]:
    """A tap on the last feature map (n, c, h, w) with more than one cell, and its number of channels c.

    Raises RecipeError for a network without one, such as a vision transformer.
    """
    called: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        called.append((module, tuple(output.shape) if isinstance(output, Tensor) else ()))

    leaves = [module for module in network.modules() if not any(module.children())]
    handles = [module.register_forward_hook(note) for module in leaves]
    _try(network, recipe.image_size)
    for handle in handles:
        handle.remove()
    maps = [at for at, (_, shape) in enumerate(called) if len(shape) == 4 and shape[2] == shape[3] > 1]
    # A transformer has a map of patches at its start, and tokens afterwards.
    if not maps or maps[-1] < len(called) / 2:
        raise RecipeError(
            "network",
            Text("%(network)s has no feature map: choose a convolutional network", network=recipe.network),
        )
    module, shape = called[maps[-1]]
    return Tap(module), shape[1]


def _try(network: nn.Module, size: int) -> None:
    """Call the network once. It changes neither the network nor the random numbers."""
    with _evaluating(network), torch.inference_mode():
        network(torch.zeros(1, 3, size, size))


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
