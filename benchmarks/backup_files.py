"""What the lists of files cost a backup of a site with many photos: memory, time, bytes.

    python -m benchmarks.backup_files [--files 1000000]

The photos are made up; the lists are real, with every question that a backup, its pruning and a restore ask.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from hashtags_site.backup.lists import Entry, FileList, Stock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    files = parser.parse_args().files
    before = peak()
    with tempfile.TemporaryDirectory(prefix="scenetag-lists-") as name:
        facts = measure(Path(name), files)
    print(json.dumps(facts | {"files": files, "memory_mb": round(peak() - before, 1)}))


def measure(folder: Path, files: int) -> dict[str, float]:
    began = time.perf_counter()
    with closing(FileList(folder / "first", new=True)) as first:
        for entry in entries(files):
            first.add(entry)
    facts = {"first_seconds": round(time.perf_counter() - began, 1)}
    facts["list_mb"] = round((folder / "first").stat().st_size / 1e6)

    began = time.perf_counter()
    with (
        closing(Stock((entry.sha256, entry.size) for entry in entries(files))) as stock,
        closing(FileList(folder / "first")) as first,
        closing(FileList(folder / "second", new=True)) as second,
    ):
        for entry in entries(files):
            old = first.find(entry.root, entry.path)
            if old and stock.has(old.sha256, old.size):
                second.add(old)
        facts["second_seconds"] = round(time.perf_counter() - began, 1)
        began = time.perf_counter()
        stock.take_out(folder / "first")
        facts["pruning_seconds"] = round(time.perf_counter() - began, 1)
    return facts


def entries(files: int) -> Iterator[Entry]:
    for number in range(files):
        digest = sha256(str(number).encode()).hexdigest()
        yield Entry("media", f"photos/{number // 1000:06d}/{digest[:32]}.jpg", digest, 200_000, number)


def peak() -> float:
    """MB of 10^6 bytes, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
