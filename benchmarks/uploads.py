"""The API as a social network uses it: milliseconds, photos a second with 12-megapixel uploads, and memory.

    STARTER=fast python -m benchmarks.uploads [--requests 100] [--clients 8] [--soak 1000]

Starts `manage.py up --demo` in a new folder and sends photos of 4000 × 3000 px as a program with a token,
over real connections that stay open. No photo is sent twice, except in "one client, remembered". The baseline
is "one client": each row's p50 and photos a second are also told as ratios to it. `--soak` sends so many more
photos by all clients, and tells the resident memory of the largest web process before and after.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.site import ROOT, Site

BASELINE = "one client"
BOUNDARY = "scenetag-benchmark"
SIZE = (4000, 3000)
_numbers = count()


class Client:
    """A connection that stays open."""

    def __init__(self, site: Site, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=120)
        self.token = token

    def rest(self) -> None:
        """The site cuts connections that are idle; the next request opens another one."""
        self.connection.close()

    def post(self, path: str, photos: Iterable[bytes]) -> bytes:
        body = b"".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n\r\n'.encode()
            + photo
            + b"\r\n"
            for photo in photos
        )
        headers = {
            "Authorization": f"Token {self.token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        self.connection.request("POST", path, body + f"--{BOUNDARY}--\r\n".encode(), headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"{response.status}: {answer[:300]!r}")
        return answer


def large_photos() -> list[bytes]:
    """Sample photos, enlarged, as JPEGs of some megabytes."""
    photos = []
    for path in sorted((ROOT / "samples/campaign").glob("*.jpg"))[:8]:
        out = io.BytesIO()
        with Image.open(path) as photo:
            photo.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
        photos.append(out.getvalue())
    return photos


def new(photos: list[bytes]) -> bytes:
    """A photo that nobody has sent: a few bytes behind its end, which decoders ignore."""
    return photos[next(_numbers) % len(photos)] + os.urandom(8)


def timed(send: Callable[[], Any]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    send()
    return (time.perf_counter() - began) * 1e3


def row(times: list[float], seconds: float, photos: int) -> dict[str, float]:
    return {
        "p50_ms": float(np.median(times)),
        "p95_ms": float(np.percentile(times, 95)),
        "photos_a_second": photos / seconds,
    }


def alone(client: Client, requests: int, make: Callable[[], list[bytes]], path: str) -> dict[str, float]:
    client.rest()
    times, photos, began = [], 0, time.perf_counter()
    for _ in range(requests):
        sent = make()
        photos += len(sent)
        times.append(timed(partial(client.post, path, sent)))
    return row(times, time.perf_counter() - began, photos)


def together(clients: list[Client], requests: int, photos: list[bytes]) -> dict[str, float]:
    """All clients at once, each sending its share one after the other."""
    each = max(1, requests // len(clients))

    def run(client: Client) -> list[float]:
        client.rest()
        return [timed(partial(client.post, SUGGEST, [new(photos)])) for _ in range(each)]

    began = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as threads:
        times = [one for part in threads.map(run, clients) for one in part]
    return row(times, time.perf_counter() - began, each * len(clients))


SUGGEST, STREAM = "/api/v1/suggest", "/api/v1/suggest/stream"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--soak", type=int, default=1000)
    options = parser.parse_args()
    os.environ["SUGGEST_RATE"] = "1000000/minute"
    photos = large_photos()
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        site = Site(folder)
        try:
            result = measure(site, folder, photos, options)
        finally:
            site.stop()
    print(json.dumps(result))


def measure(site: Site, folder: str, photos: list[bytes], options: argparse.Namespace) -> dict[str, Any]:
    argv = [sys.executable, "manage.py", "api_token", "benchmark", "--renew"]
    environment = os.environ | {"SCENETAG_VAR": folder}
    token = subprocess.run(
        argv, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    clients = [Client(site, token) for _ in range(options.clients)]
    together(clients, 4 * options.clients, photos)  # every process has its network now
    first, requests = clients[0], options.requests
    same = [new(photos)]
    first.post(SUGGEST, same)
    rows = {
        BASELINE: alone(first, requests, lambda: [new(photos)], SUGGEST),
        "one client, remembered": alone(first, requests, lambda: same, SUGGEST),
        "one client, 16 photos a request": alone(
            first, max(1, requests // 16), lambda: [new(photos) for _ in range(16)], SUGGEST
        ),
        "one client, stream of 16": alone(
            first, max(1, requests // 16), lambda: [new(photos) for _ in range(16)], STREAM
        ),
        f"{options.clients} clients": together(clients, requests, photos),
    }
    base = rows[BASELINE]
    print(f"{np.mean([len(photo) for photo in photos]) / 2**20:.1f} MB a photo\n")
    print(f"{'':<34}{'p50 ms':>9}{'p95 ms':>9}{'photos/s':>10}{'× p50':>8}{'× photos/s':>12}")
    for name, figures in rows.items():
        print(
            f"{name:<34}{figures['p50_ms']:>9.0f}{figures['p95_ms']:>9.0f}{figures['photos_a_second']:>10.1f}"
            f"{figures['p50_ms'] / base['p50_ms']:>8.2f}"
            f"{figures['photos_a_second'] / base['photos_a_second']:>12.2f}"
        )
    before = site.memory()["web"]
    together(clients, options.soak, photos)
    after = site.memory()["web"]
    print(f"\nresident memory of the largest web process: {before} MB, after {options.soak} more {after} MB")
    return {
        "benchmark": "uploads",
        "starter": os.environ.get("STARTER", "accurate"),
        "rows": {name: {key: round(value, 1) for key, value in one.items()} for name, one in rows.items()},
        "web_mb": before,
        "web_mb_after_soak": after,
        "soak": options.soak,
    }


if __name__ == "__main__":
    main()
