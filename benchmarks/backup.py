"""Backup, restore and the move to another database, for a million votes.

    python -m benchmarks.backup [--votes 1000000]
    python scripts/with_postgres.py python -m benchmarks.backup         with the move to PostgreSQL

In a new folder on SQLite. The baseline of every ratio is a plain copy of the database's file, which would be
torn if anybody voted meanwhile. During the backup somebody writes every 10 ms: the longest wait is told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = 1_000
SEED = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {most})
INSERT INTO {table}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--votes", type=int, default=1_000_000)
    options = parser.parse_args()
    postgres = os.environ.pop("DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="scenetag-backup-") as name:
        folder = Path(name)
        os.environ |= {"SCENETAG_VAR": str(folder / "var"), "METRICS_DIR": str(folder / "metrics")}
        print(json.dumps(measure(folder, options.votes, postgres)))


def measure(folder: Path, votes: int, postgres: str) -> dict[str, float]:
    manage("migrate", "-v0")
    manage("setup_roles")
    database = folder / "var/db.sqlite3"
    seed(database, votes)
    seconds = {"plain copy": timed(lambda: shutil.copyfile(database, folder / "copy"))}
    seconds["start of a program"] = timed(lambda: manage("check"))
    with Writer(database) as writer:
        seconds["backup"] = timed(lambda: manage("backup", folder / "kept"))
    seconds["restore --check"] = timed(lambda: manage("restore", folder / "kept", "--check"))
    seconds["restore --force"] = timed(lambda: manage("restore", folder / "kept", "--force"))
    seconds["move to SQLite"] = timed(lambda: manage("move_to", f"sqlite:///{folder / 'other'}"))
    if postgres:
        seconds["move to PostgreSQL"] = timed(lambda: manage("move_to", postgres))
        os.environ["DATABASE_URL"] = postgres
        seconds["backup of PostgreSQL"] = timed(lambda: manage("backup", folder / "kept"))
    print(f"{votes:,} votes, {database.stat().st_size / 1e6:,.0f} MB")
    for what, value in seconds.items():
        print(f"{what:22} {value:7.1f} s   {value / seconds['plain copy']:7.1f} × a plain copy")
    print(f"writes during the backup: {writer.count}, the longest waited {1000 * writer.longest:.0f} ms")
    facts = {what.replace(" ", "_"): round(value, 2) for what, value in seconds.items()}
    return facts | {"votes": votes, "writes": writer.count, "longest_write_ms": round(1000 * writer.longest)}


def manage(*arguments: object) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{arguments}: {result.stderr[-2000:]}")


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def seed(database: Path, votes: int) -> None:
    """Photos × people, each pair with a vote: rows as the site writes them, without its counts."""
    people = -(-votes // PHOTOS)
    with sqlite3.connect(database) as connection:
        fill(connection, "auth_user", {"id": "i + 1", "username": "'voter' || i"}, people)
        fill(connection, "mapping_hashtag", {"id": "i + 1", "name": "'tag' || i"}, 20)
        photo = {"id": "i + 1", "sha256": "printf('%064d', i)", "file": "'x.jpg'", "name": "i || '.jpg'"}
        fill(connection, "validation_photo", photo, PHOTOS)
        vote = {
            "id": "i + 1",
            "photo_id": f"i % {PHOTOS} + 1",
            "hashtag_id": "i % 20 + 1",
            "person_id": f"i / {PHOTOS} + 1",
            "answer": "CASE i % 5 WHEN 0 THEN 'does_not_fit' ELSE 'fits' END",
            "request_id": "printf('%032x', i)",
            "seconds": "2.5",
            "campaign_id": "NULL",
            "would_post": "NULL",
        }
        fill(connection, "validation_vote", vote, votes)


def fill(connection: sqlite3.Connection, table: str, values: dict[str, str], most: int) -> None:
    """Rows with these values by the number i; what must not be empty gets its kind's simplest value."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    for _, name, kind, is_needed, *_ in columns:
        if is_needed and name not in values:
            values[name] = "'2026-11-29 12:00:00'" if kind == "datetime" else "''" if "char" in kind else "0"
    statement = SEED.format(most=most, table=f"{table} ({', '.join(values)})")
    connection.execute(f"{statement} SELECT {', '.join(values.values())} FROM n")  # noqa: S608


class Writer(threading.Thread):
    """Writes one row again and again, as a voter does, until the block ends."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database, self.done = database, threading.Event()
        self.count, self.longest = 0, 0.0

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        connection = sqlite3.connect(self.database, timeout=60, isolation_level=None)
        while not self.done.wait(0.01):
            began = time.perf_counter()
            connection.execute("UPDATE validation_vote SET seconds = seconds + 0.01 WHERE id = 1")
            self.longest = max(self.longest, time.perf_counter() - began)
            self.count += 1
        connection.close()


if __name__ == "__main__":
    main()
