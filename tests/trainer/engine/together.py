"""Trains in several processes without torchrun: a fork server imports PyTorch once for all of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from formats.json_text import from_json
from trainer.engine.errors import EngineError
from trainer.engine.events import Stopped, StopRequest, emit

SECONDS = 120


class StopsAfter(StopRequest):
    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def train_together(job: Path, count: int = 2, *, looks: int = 100_000) -> tuple[list[int], list[Any]]:
    """The exit status of each process, and its events. The first one is stopped after so many looks."""
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.trainer.engine.preloaded"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [job.with_name(f"events-{number}") for number in range(count)]
    processes = [
        context.Process(
            target=_train, args=(job, number, count, port, looks if not number else 100_000, file)
        )
        for number, file in enumerate(files)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
        assert process.exitcode is not None
    events = [[from_json(line) for line in file.read_text().splitlines()] for file in files]
    return [process.exitcode or 0 for process in processes], events


def _train(job: Path, number: int, count: int, port: int, looks: int, file: Path) -> None:
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(count), "LOCAL_RANK": str(number)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    import torch

    from trainer.engine.training.run import RunJob, train

    torch.set_num_threads(1)
    with file.open("w") as output, contextlib.redirect_stdout(output):
        try:
            train(RunJob.read(job), StopsAfter(looks))
        except Stopped:
            os._exit(143)
        except EngineError as error:
            emit("error", kind=error.kind, message=error.message)
            os._exit(1)
