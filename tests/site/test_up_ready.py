"""When `manage.py up` says that the site is ready, and what it says of a port that is taken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.management.base import CommandError

from hashtags_site.management.commands.up import check_free, is_served


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Location", "https://localhost/health/")  # nobody serves https here
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the tests' output is for the tests."""


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "ready"), [(200, True), (301, True), (400, True), (500, False), (503, False)]
)
def test_every_answer_but_a_failure_is_one(
    port: int, status: int, ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS=1 redirects to https, and ALLOWED_HOSTS may not name 127.0.0.1."""
    monkeypatch.setattr(Answer, "status", status)
    assert is_served("127.0.0.1", port) is ready
    assert is_served("0.0.0.0", port) is ready  # noqa: S104


def test_nobody_there_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert not is_served("127.0.0.1", port)


def test_port_that_is_taken_is_named_at_once(port: int) -> None:
    with pytest.raises(CommandError, match=f"Port {port} of 127.0.0.1 cannot be used"):
        check_free("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = free.getsockname()[1]
    check_free("127.0.0.1", other)
