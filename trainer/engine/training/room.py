"""Refuses a training whose checkpoints the disk cannot hold, before its first batch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor, nn

from formats.texts import Text
from trainer.engine.errors import NoRoomError
from trainer.engine.training import checkpoint
from trainer.engine.training.loop import Trainer

# What an optimizer keeps for each weight: running means of gradients, of their squares.
COPIES = {"adamw": 2, "adam": 2, "sgd": 1}
BEST = "best.pt"
OVERHEAD = 2**20  # names, recipe, history, random numbers


def require_room(out: Path, trainer: Trainer) -> None:
    """Raise NoRoomError unless the disk can hold the training's files; those that are there count as free."""
    need = needed(trainer)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / name for name in (checkpoint.NAME, checkpoint.PREVIOUS, BEST)]
    free = shutil.disk_usage(out).free + sum(file.stat().st_size for file in files if file.exists())
    if free < need:
        raise NoRoomError(
            Text(
                "its checkpoints need %(needed)s on the disk, and %(free)s are free",
                needed=_words(need),
                free=_words(free),
            ),
            hint=Text(
                "Free space on the worker's disk, or choose a smaller network, or sgd as the optimizer."
            ),
        )


def needed(trainer: Trainer) -> int:
    """The bytes that checkpoints and weights take while a new one is written beside the one before it."""
    return 2 * checkpoint_size(trainer) + 2 * _weights(trainer)


def checkpoint_size(trainer: Trainer) -> int:
    """The bytes of one checkpoint: weights, optimizer, average, gradients between two batches of a step."""
    recipe = trainer.recipe
    learning = _bytes(trainer.network.parameters()) + _bytes(trainer.extras.parameters())
    copies = COPIES[recipe.optimizer] if recipe.optimizer != "sgd" or recipe.momentum else 0
    size = _weights(trainer) + copies * learning
    size += _weights(trainer) if recipe.ema else 0
    size += learning if recipe.accumulate > 1 else 0
    return size + OVERHEAD


def _weights(trainer: Trainer) -> int:
    return _state(trainer.network) + _state(trainer.extras)


def _state(module: nn.Module) -> int:
    return _bytes(module.state_dict().values())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _words(size: int) -> Text:
    if size < 1e9:
        return Text("%(n)s MB", n=round(size / 1e6))
    return Text("%(n)s GB", n=f"{size / 1e9:.1f}")
