"""A program that takes notices: a real server on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from notices import hooks
from notices.models import Hook


@dataclass(frozen=True)
class Received:
    path: str
    headers: Message
    body: bytes


class Receiver:
    """Keeps what it was sent, and answers with `status`, after `enough`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.arrived = threading.Event()
        self.status = 204
        self.enough = threading.Event()  # until then its answer comes header by header
        self.enough.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append(Received(self.path, self.headers, body))
                self.send_response(outer.status)
                while not outer.enough.wait(0.01):
                    self.send_header("Slow", "1")
                    self.flush_headers()
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                outer.arrived.set()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/take?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(settings, "HOOK_NETWORKS", [ip_network("127.0.0.0/8")])
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def hook(receiver: Receiver, db: None) -> Hook:
    by = User.objects.create(username="who made it")
    return hooks.make(name="Chat", address=receiver.url, events=["run.ended", "job.failed"], by=by)[0]
