"""Processes that read photos for the trainer: how they start, end with it, and what happens if one dies."""

from __future__ import annotations

import multiprocessing
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.context import BaseContext
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from formats.texts import Text
from trainer.engine.errors import LoaderDied
from trainer.engine.events import emit

UNNOTICED = 20.0  # seconds a dead loader may go unnoticed; PyTorch itself looks every 5


def rows(dataset: Dataset[Any], batches: list[list[int]], workers: int) -> Iterator[list[Any]]:
    """The dataset's items for each list of indices, in order. Raises LoaderDied."""
    loader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=list,
        multiprocessing_context=_processes() if workers else None,
        worker_init_fn=partial(_end_with, os.getpid()),
        # The iterator draws a seed; it must not come from the generator whose state a checkpoint keeps.
        generator=torch.Generator(),
    )
    if not workers:
        yield from loader
        return
    with _loader_deaths():
        before = set(multiprocessing.active_children())
        iterator = iter(loader)
    sentinels = [process.sentinel for process in set(multiprocessing.active_children()) - before]
    with noticed(sentinels):
        while True:
            with _loader_deaths():
                batch = next(iterator, None)
            if batch is None:
                return
            yield batch


@contextmanager
def _loader_deaths() -> Iterator[None]:
    """Raise LoaderDied for the errors that a loader's death causes: PyTorch's own, or a broken pipe."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise LoaderDied(
            Text("A process that reads photos did not start or broke off (%(error)s).", error=f"{error!r}")
        ) from error
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise LoaderDied(str(error).split("\n")[0]) from error


@contextmanager
def noticed(sentinels: Sequence[int], seconds: float = UNNOTICED) -> Iterator[None]:
    """End this process if a loader has died and the block does not end within `seconds`.

    A loader that is killed while it writes into the pipe of results leaves half a batch, and the trainer
    waits in read() for the rest for ever: no timeout of PyTorch covers that. Only ending the process helps; a
    supervised run then continues from its checkpoint.
    """
    handles = [os.dup(sentinel) for sentinel in sentinels]  # our own: PyTorch may close its handles any time
    end_of_block, end = os.pipe()

    def watch() -> None:
        select.select([*handles, end_of_block], [], [])
        if not select.select([end_of_block], [], [], seconds)[0]:
            emit("error", kind=LoaderDied.kind, message=Text("A process that reads photos died."), hint="")
            os._exit(1)
        for fd in (*handles, end_of_block):
            os.close(fd)

    threading.Thread(target=watch, name="loaders", daemon=True).start()
    try:
        yield
    finally:
        os.close(end)


def _processes() -> BaseContext:
    """Loaders are forked from a server that has imported what they need, so that each epoch starts them
    quickly.

    Forked from this process, they could inherit a lock that one of its threads holds. Without pidfd_open they
    are spawned one by one; PyTorch itself ends such loaders.
    """
    if not hasattr(os, "pidfd_open"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.engine.photos.sources"])
    return context


def _end_with(trainer: int, worker: int) -> None:
    """End a loader with its trainer. Its parent is the server, so PyTorch does not see the trainer die."""
    if hasattr(os, "pidfd_open"):
        threading.Thread(target=_watch, args=(trainer,), name="trainer", daemon=True).start()


def _watch(trainer: int) -> None:
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(trainer)], [], [])
    os._exit(1)
