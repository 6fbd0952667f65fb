"""What a worker's machine has, what a job needs of one, and whether they fit."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# What tells machines of one host name apart: the installed system; for containers without one, the kernel.
IDS = [Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id")]
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")  # the limit of a container
SECONDS = 10.0  # for nvidia-smi
PAUSE = 60.0  # seconds until it is asked again after it failed: it may hang, and heartbeats wait for it
_silent_until = 0.0


@dataclass(frozen=True)
class Needs:
    """What a job needs of one machine. Where there are GPUs, each of its processes takes one."""

    processes: int = 1
    only_gpus: bool = False  # a machine without GPUs will not do
    memory: int = 0  # bytes


@dataclass(frozen=True)
class Machine:
    """What a machine has. Sizes are in bytes."""

    gpus: Sequence[str] = ()  # their names
    cores: int = 0
    memory: int = 0
    disk_free: int = 0

    @property
    def places(self) -> int:
        """How many processes can train at once, each with a GPU or, where there is none, a core."""
        return len(self.gpus) or self.cores

    def fits(self, needs: Needs) -> bool:
        places = len(self.gpus) if needs.only_gpus else self.places
        return places >= needs.processes and self.memory >= needs.memory


def this_machine() -> Machine:
    try:
        free = shutil.disk_usage(settings.VAR_DIR).free
    except OSError:  # the disk is away: the worker still has to say that it lives
        free = 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine([name for _, name in gpus()], cores, _memory(), free)


@cache
def machine_name() -> str:
    """The host's name and a short id: machines of one host name have different ones. It stays the same while
    this process runs, also if the host gets another name.
    """
    for file in IDS:
        with suppress(OSError):
            if number := file.read_text().strip():
                # Hashed, because systemd asks to keep the id itself from pages.
                return f"{socket.gethostname()}-{hashlib.sha256(number.encode()).hexdigest()[:6]}"
    return socket.gethostname()


def _memory() -> int:
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(CGROUP_MEMORY.read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return total


def gpus() -> list[tuple[str, str]]:
    """The id and name of each GPU that this process may use, as nvidia-smi lists them. None while it fails: a
    driver that was busy or is updated answers later.

    FAKE_GPUS pretends that there are so many, to try out what happens to runs on a machine without any.
    """
    if settings.FAKE_GPUS:
        return [(str(number), f"fake GPU {number}") for number in range(settings.FAKE_GPUS)]
    global _silent_until
    if time.monotonic() < _silent_until:
        return []
    try:
        output = _listed_gpus()
    except (OSError, subprocess.SubprocessError):
        _silent_until = time.monotonic() + PAUSE
        return []
    found = dict(line.split(", ", 1) for line in output.splitlines() if ", " in line)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(found.items())
    return [(one, found.get(one, one)) for one in visible.split(",") if one.strip()]


@cache
def _listed_gpus() -> str:
    """Asked once: it takes up to a second, and GPUs do not come and go. A failure is not remembered."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    argv = [program, "--query-gpu=index,name", "--format=csv,noheader"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def as_json(thing: Needs | Machine) -> dict[str, Any]:
    return asdict(thing)


def misfit(needs: Needs, machines: Sequence[Machine]) -> str:
    """Why none of the machines fits, in words; empty if one does, or if there are no machines."""
    if not machines or any(machine.fits(needs) for machine in machines):
        return ""
    places = max(len(machine.gpus) if needs.only_gpus else machine.places for machine in machines)
    if places < needs.processes:
        counts = {"n": needs.processes, "places": places}
        if needs.only_gpus:
            words = ngettext(
                "It needs %(n)s GPU; the largest worker has %(places)s.",
                "It needs %(n)s GPUs; the largest worker has %(places)s.",
                needs.processes,
            )
        else:
            words = ngettext(
                "It needs %(n)s GPU, or core where there is no GPU; the largest worker has %(places)s.",
                "It needs %(n)s GPUs, or cores where there is no GPU; the largest worker has %(places)s.",
                needs.processes,
            )
        return words % counts
    largest = max(machine.memory for machine in machines)
    if largest < needs.memory:
        sizes = {"needed": _gigabytes(needs.memory), "largest": _gigabytes(largest)}
        return _("It needs %(needed)s GB of memory; the largest worker has %(largest)s GB.") % sizes
    return _("No worker has both the processors and the memory that it needs.")


def _gigabytes(size: int) -> str:
    return number_format(f"{size / 1e9:.1f}")  # as text: it cuts a float off
