"""A normal visitor while slow clients sit on the site, and what a stranger's large body costs.

    python -m benchmarks.slowclients [--clients 200] [--seconds 40] [--megabytes 200]

Starts the site's web server on a new folder, with two processes of four threads: as "threads" (gunicorn's own
threaded worker, the baseline) and as "front" (ours). Each kind of slow client opens its connections at once:
"head" and "body" send a byte a second, "reader" asks for large files and reads 10 bytes a second. Meanwhile a
visitor opens the sign-in page again and again; an answer that takes more than 5 s is a failure. "cut" counts
the slow clients that the server has ended. "on disk" is the most that the server kept of a large body sent by
a stranger.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.site import ROOT, free_port

PATIENCE = 5.0  # seconds until an answer counts as a failure
WORKERS = {"threads": "gthread", "front": "hashtags_site.front.worker.Worker"}
LARGE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
HEADS = {
    "head": b"GET /login/ HTTP/1.1\r\nHost: localhost\r\nX: ",
    "body": b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
    "reader": f"GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 10,
}


class Server:
    def __init__(self, name: str, folder: str) -> None:
        self.port = free_port()
        argv = ["-m", "gunicorn", "hashtags_site.wsgi", "--bind", f"127.0.0.1:{self.port}", "--preload"]
        argv += ["--workers", "2", "--threads", "4", "--timeout", "60", "--log-level", "error"]
        argv += ["--worker-class", WORKERS[name]]
        self.process = subprocess.Popen(
            [sys.executable, *argv], cwd=ROOT, env=environment(folder), stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError):
                urlopen(f"http://127.0.0.1:{self.port}/health/", timeout=5).read()
                return
            if time.monotonic() > deadline:
                raise SystemExit("The web server did not start")
            time.sleep(0.1)

    def stop(self) -> None:
        parts = psutil.Process(self.process.pid).children()
        self.process.send_signal(signal.SIGQUIT)
        time.sleep(1)
        for part in parts:
            with suppress(psutil.Error):
                part.kill()
        self.process.kill()
        self.process.wait()

    def spooled(self) -> int:
        """Bytes in temporary files that its processes have open."""
        size = 0
        for process in psutil.Process(self.process.pid).children():
            for link in Path(f"/proc/{process.pid}/fd").iterdir():
                with suppress(OSError):
                    if "deleted" in os.readlink(link) or "upload" in os.readlink(link):
                        size += link.stat().st_size
        return size


def environment(folder: str) -> dict[str, str]:
    return os.environ | {"SCENETAG_VAR": folder, "LOG_LEVEL": "ERROR"}


def prepare(folder: str) -> None:
    for words in (["migrate", "-v", "0"], ["collectstatic", "--noinput", "-v", "0"]):
        argv = [sys.executable, "manage.py", *words]
        subprocess.run(argv, cwd=ROOT, env=environment(folder), check=True)


async def one_slow(kind: str, port: int, until: float) -> bool:
    """Whether the server ended the connection before the time was over."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(plain, ("127.0.0.1", port))
            await loop.sock_sendall(plain, HEADS[kind])
            while time.monotonic() < until:
                await asyncio.sleep(1)
                if kind == "reader":
                    if not await asyncio.wait_for(loop.sock_recv(plain, 10), PATIENCE):
                        return True
                else:
                    await loop.sock_sendall(plain, b"x")
        except TimeoutError:
            pass
        except OSError:
            return True
    return False


async def all_slow(kind: str, port: int, count: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    return sum(await asyncio.gather(*[one_slow(kind, port, until) for _ in range(count)]))


def visit(port: int, until: float) -> dict[str, Any]:
    """Milliseconds of the answers, and how many failed."""
    milliseconds, failures = [], 0
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            with urlopen(f"http://127.0.0.1:{port}/login/", timeout=PATIENCE) as answer:
                answer.read()
            milliseconds.append((time.monotonic() - began) * 1000)
        except (OSError, http.client.HTTPException):
            failures += 1
        time.sleep(0.1)
    p50, p95 = np.percentile(milliseconds, (50, 95)) if milliseconds else (float("nan"), float("nan"))
    return {
        "answers": len(milliseconds),
        "failures": failures,
        "p50_ms": None if np.isnan(p50) else round(float(p50), 1),
        "p95_ms": None if np.isnan(p95) else round(float(p95), 1),
    }


def visit_among(kind: str, port: int, clients: int, seconds: float) -> dict[str, Any]:
    cut: list[int] = []
    crowd = threading.Thread(
        target=lambda: cut.append(asyncio.run(all_slow(kind, port, clients, seconds))), daemon=True
    )
    crowd.start()
    time.sleep(1)  # until they are connected
    result = visit(port, time.monotonic() + seconds - 1)
    crowd.join()
    return result | {"cut": cut[0]}


def send_large(server: Server, megabytes: int) -> dict[str, Any]:
    """A stranger's body at the sign-in page: status, seconds, and what it took on disk."""
    most, is_over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not is_over.wait(0.02):
            most = max(most, server.spooled())

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    edge = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    chunks = (edge, *[bytes(2**20)] * megabytes, b"\r\n--b--\r\n")
    connection.request("GET", "/login/")
    page = connection.getresponse()
    page.read()
    cookie = page.headers["Set-Cookie"].partition(";")[
        0
    ]  # with it, the form's token is looked for in the body
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Cookie": cookie}
    headers["Content-Length"] = str(sum(map(len, chunks)))
    began = time.monotonic()
    try:
        connection.request("POST", "/login/", iter(chunks), headers)
        status: int | str = connection.getresponse().status
    except OSError as error:
        status = type(error).__name__
    seconds = time.monotonic() - began
    is_over.set()
    watcher.join()
    connection.close()
    return {"status": status, "seconds": round(seconds, 2), "disk_mb": round(most / 2**20)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--megabytes", type=int, default=200)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"clients": arguments.clients, "megabytes": arguments.megabytes}
    print(
        f"{'server':<9}{'slow clients':<14}{'answers':>8}{'failures':>9}{'p50 ms':>9}{'p95 ms':>9}{'cut':>6}"
    )
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        prepare(folder)
        for name in WORKERS:
            server = Server(name, folder)
            result[name] = {"none": visit(server.port, time.monotonic() + 5)}
            result[name]["large"] = send_large(server, arguments.megabytes)
            server.stop()
            for kind in HEADS:
                server = Server(name, folder)
                result[name][kind] = visit_among(kind, server.port, arguments.clients, arguments.seconds)
                server.stop()
            for kind in ("none", *HEADS):
                row = result[name][kind]
                print(
                    f"{name:<9}{kind:<14}{row['answers']:>8}{row['failures']:>9}{row['p50_ms'] or '–':>9}"
                    f"{row['p95_ms'] or '–':>9}{row.get('cut', '–'):>6}"
                )
    for name in WORKERS:
        large = result[name]["large"]
        print(
            f"{arguments.megabytes} MB from a stranger, {name}: {large['status']} after {large['seconds']} s,"
            f" {large['disk_mb']} MB on disk"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
