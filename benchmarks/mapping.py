"""The curator's pages at 397 and at 22,000 classes: queue, save, undo, groups, table, search, over real HTTP.

    python -m benchmarks.mapping [--classes 22000] [--decisions 60]

Starts `manage.py up --demo` in a new folder and works through the queue like a curator. Then adds nouns of
WordNet as classes and 1,000 made-up hashtags, and measures again. Ratios are relative to /health/, an empty
page.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from typing import Any
from urllib.parse import urlencode
from urllib.request import OpenerDirector, Request

import numpy as np

from benchmarks.site import ROOT, Site, times

FORM = re.compile(r'id="decide"[^>]*action="([^"]+)"')
VERSION = re.compile(r'name="version" value="(\d+)"')
SENSE = re.compile(r'name="sense" value="([^"]*)" checked')
UNDO = re.compile(r'name="change" value="(\d+)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PAGES = {
    "queue": "/mapping/queue/",
    "queue, filtered": "/mapping/queue/?q=shop",
    "group page": "/mapping/groups/",
    "table": "/mapping/",
    "table, far in": "/mapping/?behind=s",
    "table, searched": "/mapping/?q=church",
    "table, differs": "/mapping/?differs=release-1",
    "one class": "/mapping/1/",
    "hashtag search": "/mapping/queue/hashtags/?find=ch",
}


def seed(classes: int) -> None:
    """Add nouns until there are this many classes. A third is confirmed, so that the suggester can learn."""
    import django

    django.setup()
    from simple_history.utils import bulk_create_with_history

    from mapping.lexicon import wordnet
    from mapping.models import Hashtag, MappingEntry, SceneClass

    nouns = wordnet.nouns()
    Hashtag.objects.bulk_create(
        Hashtag(name=f"tag{n:04d}", posts=20_000_000 + n, source="made up", counted_on="2026")
        for n in range(1000)
    )
    count = classes - SceneClass.objects.count()
    keys = [nouns.keys[n] for n in range(0, len(nouns.keys), len(nouns.keys) // count)][:count]
    scene_classes = SceneClass.objects.bulk_create(
        SceneClass(key=f"{key[0]}/{key}", name=key.split(".")[0].replace("_", " ")) for key in keys
    )
    hashtags = list(Hashtag.objects.all()[:200])
    entries = [
        MappingEntry(
            scene_class=scene,
            sense=key,
            status="confirmed" if n % 3 == 0 else "undecided",
            hashtag=hashtags[n % 200] if n % 6 == 0 else None,
        )
        for n, (scene, key) in enumerate(zip(scene_classes, keys, strict=True))
    ]
    bulk_create_with_history(entries, MappingEntry, batch_size=2000)


class Curator:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.opener: OpenerDirector = site.signed_in("curator")
        self.page = self.get("/mapping/queue/")

    def get(self, path: str) -> str:
        text: str = self.opener.open(self.site.address + path).read().decode()
        return text

    def post(self, path: str, data: dict[str, str]) -> float:
        """Milliseconds until the answer has arrived, which is the next page."""
        token = TOKEN.search(self.page)
        assert token
        headers = {"X-CSRFToken": token[1], "HX-Request": "true", "Referer": self.site.address}
        request = Request(self.site.address + path, urlencode(data).encode(), headers)  # noqa: S310
        began = time.perf_counter()
        self.page = self.opener.open(request).read().decode()
        return (time.perf_counter() - began) * 1000

    def decide(self, hashtag: str) -> float:
        action, version, sense = FORM.search(self.page), VERSION.search(self.page), SENSE.search(self.page)
        assert action
        assert version
        data = {"version": version[1], "hashtag": hashtag, "sense": html.unescape(sense[1]) if sense else ""}
        return self.post(action[1].replace("&amp;", "&"), data | {"hypernym_sense": "follows"})

    def undo(self) -> float:
        change = UNDO.search(self.page)
        assert change
        return self.post("/mapping/queue/undo/", {"change": change[1]})


def measure(site: Site, decisions: int) -> dict[str, np.ndarray[Any, Any]]:
    curator = Curator(site)
    for _ in range(3):  # loads WordNet and the suggester
        curator.decide("other")
    latencies = {
        "save, and the next class": np.array(
            [curator.decide("other" if n % 2 else "home") for n in range(decisions)]
        ),
        "undo": np.array([curator.undo() for _ in range(decisions // 2)]),
    }
    for name, path in PAGES.items():
        latencies[name] = times(curator.opener, site.address + path, 20)
    return latencies


def show(latencies: dict[str, np.ndarray[Any, Any]], base: float) -> dict[str, float]:
    print(f"{'':<28}{'median ms':>10}{'p95 ms':>9}{'worst':>9}{'× /health/':>12}")
    for name, milliseconds in latencies.items():
        median, p95 = np.median(milliseconds), np.percentile(milliseconds, 95)
        print(f"{name:<28}{median:>10.1f}{p95:>9.1f}{milliseconds.max():>9.1f}{median / base:>12.1f}")
    return {
        name: round(float(np.percentile(milliseconds, 95)), 1) for name, milliseconds in latencies.items()
    }


def run(site: Site, folder: str, classes: int, decisions: int) -> dict[str, Any]:
    curator = Curator(site)
    base = float(np.median(times(curator.opener, f"{site.address}/health/", 40)))
    print("397 classes, 20 hashtags")
    result: dict[str, Any] = {"397": show(measure(site, decisions), base)}
    environment = os.environ | {"SCENETAG_VAR": folder, "DJANGO_SETTINGS_MODULE": "hashtags_site.settings"}
    argv = [sys.executable, "-m", "benchmarks.mapping", "--seed", "--classes", str(classes)]
    subprocess.run(argv, cwd=ROOT, env=environment, check=True)
    result["suggester_ready_after_s"] = wait_for_suggestions(site)
    print(f"\n{classes:,} classes, 1,020 hashtags")
    result[str(classes)] = show(measure(site, decisions), base)
    return result | {"health_median_ms": round(base, 2), "resident_mb": site.memory()}


def wait_for_suggestions(site: Site) -> float:
    """Seconds until the queue has suggestions again in every web process. Pages answer in the meantime."""
    began, curator, successes = time.monotonic(), Curator(site), 0
    while successes < 10 and time.monotonic() - began < 300:
        successes = successes + 1 if 'data-keys="1"' in curator.get("/mapping/queue/") else 0
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=22_000)
    parser.add_argument("--decisions", type=int, default=60)
    parser.add_argument("--seed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed:
        seed(options.classes)
        return
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        site = Site(folder)
        try:
            result = run(site, folder, options.classes, options.decisions)
        finally:
            site.stop()
    print(f"\nresident: {result['resident_mb']} MB")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
