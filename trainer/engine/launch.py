"""Starts the processes of a training that has several: torchrun, which watches them and ends them together.

On several machines the same command runs on each, with two variables: TRAINING_RENDEZVOUS is the address and
port of the first machine that the others meet at, TRAINING_MACHINE the machine's number, from 0.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from formats.texts import Text
from trainer.engine.errors import RecipeError
from trainer.engine.events import StopRequest, emit
from trainer.engine.parent import SUPERVISED
from trainer.engine.recipe import Recipe

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

RENDEZVOUS, MACHINE = "TRAINING_RENDEZVOUS", "TRAINING_MACHINE"
LOST = 75  # exit status of a process that lost another one: not the first to fail
STOPPED = 143
MEET = 600  # seconds that machines wait for one another at the start
SHUTDOWN = 10  # seconds to save a checkpoint, after which a process is killed
WAIT = 10.0  # seconds in which the machine's torchrun ends a process that has lost another one
MEMORY_HINT = Text("Usually the machine ran out of memory: choose a smaller batch or photo size.")


def rank() -> int | None:
    """The number of this process among those that torchrun started; None if it did not start this one."""
    number = os.environ.get("RANK", "")
    return int(number) if number.isdecimal() and "TORCHELASTIC_RUN_ID" in os.environ else None


def launch(job: Path, recipe: Recipe, *, flag: str, stop: StopRequest) -> int:
    """Train in as many processes as the recipe asks for, and return the exit status.

    ``flag`` tells them how to show events. Raises RecipeError if the machines cannot meet.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    endpoint, machine = _meeting_point(recipe.nodes)
    stop.check()
    _prepare_environment(recipe.processes, endpoint)
    with tempfile.TemporaryDirectory() as logs:
        config = LaunchConfig(
            min_nodes=recipe.nodes,
            max_nodes=recipe.nodes,
            nproc_per_node=recipe.processes,
            run_id=str(uuid.uuid4()) if recipe.nodes == 1 else "scenetag",
            rdzv_backend="c10d" if recipe.nodes == 1 else "static",
            rdzv_endpoint=endpoint,
            rdzv_configs={"timeout": MEET} | ({} if recipe.nodes == 1 else {"rank": machine}),
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            shutdown_timeout=SHUTDOWN,
        )
        try:
            elastic_launch(config, sys.executable)("-m", "trainer.engine", flag, "train", str(job))
        except SignalException:
            return STOPPED
        except ChildFailedError as error:
            return _status(error, recipe)
    return 0


def wait_to_be_ended(stop: StopRequest) -> int:
    """Of a process that has lost another one: that one must fail first, so that its reason is told."""
    deadline = time.monotonic() + WAIT
    while not stop and time.monotonic() < deadline:
        time.sleep(0.05)
    return LOST


def _meeting_point(nodes: int) -> tuple[str, int]:
    """Where machines meet, and this one's number. Raises RecipeError."""
    if nodes == 1:
        return "localhost:0", 0
    endpoint, machine = os.environ.get(RENDEZVOUS, ""), os.environ.get(MACHINE, "")
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdecimal():
        raise RecipeError(
            "nodes",
            Text(
                "%(nodes)s machines need %(rendezvous)s, such as 10.0.0.1:29500",
                nodes=nodes,
                rendezvous=RENDEZVOUS,
            ),
        )
    if not machine.isdecimal() or int(machine) >= nodes:
        raise RecipeError(
            "nodes",
            Text(
                "%(machine)s must be from 0 to %(last)s, a number for each machine",
                machine=MACHINE,
                last=nodes - 1,
            ),
        )
    return endpoint, int(machine)


def _prepare_environment(processes: int, endpoint: str) -> None:
    """What the processes inherit: they end with this one, share its processors, and talk on one network."""
    os.environ[SUPERVISED] = str(os.getpid())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    if interface := _interface_towards(endpoint.rpartition(":")[0]):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        if not endpoint.startswith("localhost:"):
            os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)


def _interface_towards(host: str) -> str | None:
    """The network interface that this machine reaches the host by: PyTorch would guess by the host's name."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))  # sends nothing
            own = probe.getsockname()[0]
    except OSError:
        return None
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == own for address in addresses):
            return name
    return None


def _status(error: ChildFailedError, recipe: Recipe) -> int:
    """The exit status for the first process that failed; an event says what its own ones do not."""
    failures = error.failures.items()
    number, first = min(failures, key=lambda item: (item[1].timestamp, item[1].exitcode == LOST))
    status = int(first.exitcode)
    if status == LOST:
        words = Text("a process of this training ended on another machine: its output there says why")
        emit("error", kind="peer", message=words, hint=Text("The same command on all machines continues."))
        return 1
    if status < 0:
        name = signal.Signals(-status).name
        words = Text(
            "Process %(n)s of %(all)s was ended from outside (%(signal)s).",
            n=number + 1,
            all=recipe.world_size,
            signal=name,
        )
        emit("error", kind="killed", message=words, hint=MEMORY_HINT)
        return 128 - status
    return status
