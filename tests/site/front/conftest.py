"""The front in this process: a real socket, the site behind it, and its loop in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from waitress import wasyncore
from waitress.task import ThreadedTaskDispatcher

from hashtags_site.front.channel import Channel, Server, create_server
from hashtags_site.wsgi import application
from tests.conftest import wait_for


class Front:
    def __init__(self, *, most_channels: int = 1000, threads: int = 2) -> None:
        self.sockets: dict[int, Any] = {}
        self.threads = ThreadedTaskDispatcher()
        self.threads.set_thread_count(threads)
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.server: Server = create_server(
            application,
            listener,
            sockets=self.sockets,
            threads=self.threads,
            most_channels=most_channels,
        )
        self.is_over = False
        self.loop = threading.Thread(target=self._serve)
        self.loop.start()
        self.clients: list[socket.socket] = []

    def _serve(self) -> None:
        while not self.is_over:
            wasyncore.loop(timeout=10, use_poll=True, map=self.sockets, count=1)

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.address, timeout=20)
        self.clients.append(client)
        client.sendall(sent)
        return client

    def channel(self, client: socket.socket, waits_for: str) -> Channel:
        """The server's end of the connection, once it is at this step."""
        port = client.getsockname()[1]

        def ends() -> list[Channel]:
            channels = list(self.server.active_channels.values())
            return [one for one in channels if one.addr[1] == port and one.waits_for == waits_for]

        wait_for(ends, 20, f"The server does not wait for: {waits_for}")
        return ends()[0]

    def stop(self) -> None:
        self.is_over = True
        self.server.pull_trigger()
        self.loop.join()
        self.threads.shutdown()
        for client in self.clients:
            client.close()
        wasyncore.close_all(self.sockets)


def read_answer(client: socket.socket) -> tuple[int, bytes]:
    """Status and all that follows, until the server closes the connection."""
    answer = b""
    with suppress(ConnectionError):
        while piece := client.recv(65536):
            answer += piece
    return (int(answer.split()[1]), answer) if answer else (0, b"")


@pytest.fixture
def front() -> Iterator[Front]:
    one = Front()
    yield one
    one.stop()
