"""The processes that train one network together, each on its share of every batch: torchrun's ranks.

Gradients are added up here and not by DistributedDataParallel, whose buckets get another order after their
first step: a run that continues from a checkpoint would end with other last bits (decision 0049).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from formats.texts import Text
from trainer.engine.errors import PeerLost, RecipeError

T = TypeVar("T")
# How long one may wait for the others. The first alone reads all photos' bytes at the start.
PATIENCE = timedelta(hours=2)


class Ranks:
    """This process and the others. Alone, nothing is exchanged, and nothing is calculated differently.

    All of them must call the same methods in the same order. Raises PeerLost if one of them has ended.
    """

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number, self.count = number, count

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes events, checkpoints and the report."""
        return self.number == 0

    @property
    def alone(self) -> bool:
        return self.count == 1

    def share(self, places: list[int]) -> list[int]:
        """This process's share of a batch."""
        return places[self.number :: self.count]

    def sums(self, *numbers: float) -> list[float]:
        """Each number, added up over all processes."""
        if self.alone:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        _all_reduce(total)
        totals: list[float] = total.tolist()
        return totals

    def any(self, flag: bool) -> bool:
        return bool(self.sums(flag)[0])

    def gather(self, thing: T) -> list[T]:
        """The things of all processes, in their order."""
        if self.alone:
            return [thing]
        things: list[Any] = [None] * self.count
        with _peers():
            torch.distributed.all_gather_object(things, thing)
        return things

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes; the others wait for it."""
        if self.alone:
            return make()
        things: list[Any] = [make() if self.is_first else None]
        with _peers():
            torch.distributed.broadcast_object_list(things)
        made: T = things[0]
        return made

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes: one message for all, in the same order."""
        if self.alone or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        _all_reduce(flat)
        at = 0
        for tensor in tensors:
            tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
            at += tensor.numel()

    def take_from_first(self, *modules: nn.Module) -> None:
        """Give the modules the first process's weights and statistics."""
        if self.alone:
            return
        with _peers(), torch.no_grad():
            for module in modules:
                for tensor in module.state_dict().values():
                    torch.distributed.broadcast(tensor, 0)


ALONE = Ranks()


@contextmanager
def joined(processes: int, nodes: int) -> Iterator[Ranks]:
    """Join the processes that torchrun has started, so many per machine on so many machines.

    Raises RecipeError if the recipe asks for others than there are, or for more than the machine has GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count != processes * nodes:
        raise RecipeError(
            "processes",
            Text(
                "the recipe asks for %(all)s in all, and %(count)s were started",
                all=processes * nodes,
                count=count,
            ),
        )
    if count == 1:
        yield ALONE
        return
    backend = "gloo"
    if torch.cuda.is_available():
        gpus = torch.cuda.device_count()
        if processes > gpus:
            raise RecipeError(
                "processes",
                Text(
                    "%(processes)s need a GPU each, and this machine has %(gpus)s",
                    processes=processes,
                    gpus=gpus,
                ),
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    with _peers():
        torch.distributed.init_process_group(backend, timeout=PATIENCE)
    yield Ranks(torch.distributed.get_rank(), count)
    torch.distributed.destroy_process_group()


def _all_reduce(tensor: Tensor) -> None:
    with _peers():
        torch.distributed.all_reduce(tensor)


@contextmanager
def _peers() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(str(error).split("\n")[0]) from error


class _Sum(torch.autograd.Function):
    """The sum over all processes, of which each process's gradient is the sum of all gradients."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        _all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        _all_reduce(total)
        return total


def total(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, through which gradients flow."""
    summed: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return summed
