"""Errors go to the Sentry that the settings name, and to nobody otherwise."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

FAIL = """
import django; django.setup()
import logging, sentry_sdk
logging.getLogger("site").error("The disk is on fire")
sentry_sdk.flush(10)
"""


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[bytes]]]:
    """A server that keeps what is sent to it, and its DSN."""
    received: list[bytes] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers["Content-Encoding"] == "gzip"
            received.append(gzip.decompress(body) if is_packed else body)
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Keep) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", received
        server.shutdown()


@pytest.mark.parametrize("is_set", [True, False])
def test_error_is_sent_where_the_setting_says(
    sentry: tuple[str, list[bytes]], tmp_path: Path, is_set: bool
) -> None:
    pytest.importorskip("sentry_sdk")
    dsn, received = sentry
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "hashtags_site.settings",
        "METRICS_DIR": str(tmp_path),
    }
    environment |= {"SCENETAG_VAR": str(tmp_path), "SENTRY_DSN": dsn if is_set else ""}
    subprocess.run([sys.executable, "-c", FAIL], env=environment, check=True, capture_output=True)
    assert any(b"The disk is on fire" in body for body in received) is is_set
