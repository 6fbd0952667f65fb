"""The demo as users experience it: seconds until ready, the latency of every page, resident memory.

    python -m benchmarks.site [--requests 40]

Starts `manage.py up --demo` twice in a new folder (first start, second start), requests every page over HTTP
as each role, sends photos to the API, and reads the resident memory of web and worker. The ratios are
relative to /health/, an empty page.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "admin": [
        "/",
        "/mapping/",
        "/mapping/hashtags/",
        "/mapping/releases/",
        "/trainer/photo-sets/",
        "/trainer/runs/",
        "/trainer/runs/new/",
        "/trainer/models/",
        "/trainer/suggest/",
        "/validation/campaigns/",
        "/validation/agreement/",
        "/jobs/",
        "/api/",
    ],
    "validator": ["/validation/vote/"],
}
LINKS = re.compile(
    r'href="(/(?:mapping/\d+/|mapping/releases/\d+/|trainer/(?:photo-sets|runs|models)/\d+/|validation/(?:campaigns|vote)/\d+/))"'
)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class Site:
    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        environment = os.environ | {"SCENETAG_VAR": folder}
        argv = [sys.executable, "-u", "manage.py", "up", "--demo", "--port", str(self.port)]
        began = time.monotonic()
        self.process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        for line in self.process.stdout:
            if "Ctrl-C stops" in line:
                break
        else:
            raise SystemExit("The site did not start")
        self.ready_seconds = time.monotonic() - began

    def stop(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        return time.monotonic() - began

    def signed_in(self, name: str) -> OpenerDirector:
        opener = build_opener(HTTPCookieProcessor())
        page = opener.open(f"{self.address}/login/").read().decode()
        match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert match
        fields = {"username": name, "password": name, "csrfmiddlewaretoken": match[1]}
        request = Request(f"{self.address}/login/", urlencode(fields).encode())  # noqa: S310
        opener.open(request).read()
        return opener

    def memory(self) -> dict[str, float]:
        """Resident megabytes of the largest web process and of the worker."""
        megabytes: dict[str, float] = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            words = " ".join(child.cmdline())
            name = "web" if "gunicorn" in words else "worker" if "celery" in words else ""
            if name:
                megabytes[name] = max(megabytes.get(name, 0), child.memory_info().rss / 2**20)
        return {name: round(value) for name, value in megabytes.items()}


def times(opener: OpenerDirector, address: str, count: int) -> np.ndarray[Any, Any]:
    """Milliseconds of `count` requests in sequence, after one that does not count."""
    milliseconds = []
    for _ in range(count + 1):
        began = time.perf_counter()
        opener.open(address).read()
        milliseconds.append((time.perf_counter() - began) * 1000)
    return np.array(milliseconds[1:])


def pages_of(site: Site, opener: OpenerDirector, pages: list[str]) -> list[str]:
    """These pages, and one page of each kind that they link to."""
    page_of_kind = {re.sub(r"\d+", "N", page): page for page in pages}
    for page in pages:
        for link in LINKS.findall(opener.open(site.address + page).read().decode()):
            page_of_kind.setdefault(re.sub(r"\d+", "N", link), link)
    return list(page_of_kind.values())


def suggest(site: Site, opener: OpenerDirector, photo: bytes) -> dict[str, Any]:
    page = opener.open(f"{site.address}/trainer/suggest/").read().decode()
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert match
    boundary = "scenetag-benchmark"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n'
    body = head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + photo + f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "X-CSRFToken": match[1],
        "Referer": site.address,
    }
    request = Request(f"{site.address}/api/v1/suggest", body, headers)  # noqa: S310
    answer: dict[str, Any] = json.load(opener.open(request))
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=40)
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        first = Site(folder)
        first.stop()
        site = Site(folder)
        result: dict[str, Any] = {
            "first_start_s": round(first.ready_seconds, 1),
            "second_start_s": round(site.ready_seconds, 1),
        }
        print(f"ready after {first.ready_seconds:.1f} s, the second time {site.ready_seconds:.1f} s\n")
        base = float(np.median(times(build_opener(), f"{site.address}/health/", count)))
        admin = site.signed_in("admin")
        photos = sorted((ROOT / "samples/campaign").glob("*.jpg"))
        answers = []
        for photo in [*photos[:2], *photos]:
            data = photo.read_bytes()
            began = time.perf_counter()
            suggest(site, admin, data)
            answers.append((time.perf_counter() - began) * 1000)
        result["suggest_median_ms"] = round(float(np.median(answers[2:])), 1)
        result["resident_mb"] = site.memory()
        print(f"{'page':<34}{'median ms':>10}{'p95 ms':>9}{'× /health/':>12}")
        worst = 0.0
        for role, pages in PAGES.items():
            opener = site.signed_in(role)
            for page in pages_of(site, opener, pages):
                latency = times(opener, site.address + page, count)
                p95 = float(np.percentile(latency, 95))
                worst = max(worst, p95)
                print(f"{page:<34}{np.median(latency):>10.1f}{p95:>9.1f}{np.median(latency) / base:>12.1f}")
        result |= {"worst_page_p95_ms": round(worst, 1), "health_median_ms": round(base, 2)}
        result["resident_mb_after_pages"] = site.memory()  # the mapping's editor loads WordNet
        result["stop_s"] = round(site.stop(), 1)
    print(f"\nsuggestion over the API: median {result['suggest_median_ms']} ms")
    print(f"resident after {len(answers)} suggestions: {result['resident_mb']} MB")
    print(f"and after all pages, WordNet among them: {result['resident_mb_after_pages']} MB")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
