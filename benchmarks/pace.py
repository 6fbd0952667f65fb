"""Voters with a second of thought: how long a vote takes them, and how many votes a second there can be.

    python -m benchmarks.pace [--voters 50] [--seconds 60] [--photos 4000]
    python scripts/with_postgres.py python -m benchmarks.pace

Real HTTP to `manage.py up --demo`: gunicorn as deployed. Everybody uses a guest's link, thinks (at random, a
second on average), sends a vote, and gets the next questions with its answer. Then nobody thinks: saturation.

The voters are threads of this process and share the machine with the site. So its processor time is counted
apart: "votes/s, clients elsewhere" divides by the share of the processors that was left to the site. That
does not mend the waiting times, which are then a little too long. "Busy" is the load of others before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil

from benchmarks import voters
from benchmarks.site import Site


@dataclass
class Thinker(voters.Voter):
    """A voter that keeps to the clock."""

    cuts: float = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    answered: set[tuple[int, int]] = field(default_factory=set)

    def work(self, until: float, thought: float) -> None:
        self.votes = []
        while time.monotonic() < until:
            if thought:
                time.sleep(self.chance.expovariate(1 / thought))
            if not self.waiting:
                self.take(json.loads(self.ask("GET", f"{self.page}next/?n=2")[1]))
            if not self.waiting:
                return
            self.send(self.waiting.pop(0))

    def send(self, question: dict[str, Any]) -> None:
        fields: dict[str, Any] = {
            "photo": question["photo"],
            "hashtag": question["hashtag"],
            "answer": "fits",
        }
        self.answered.add((question["photo"], question["hashtag"]))
        fields |= {"request_id": str(uuid4()), "seconds": 2, "n": 2}
        began = time.perf_counter()
        status, body, _ = self.ask("POST", f"{self.page}votes/", fields)
        self.votes.append((time.perf_counter() - began) * 1000)
        if status == 200:
            self.take(json.loads(body).get("next") or {"questions": []})

    def take(self, fresh: dict[str, Any]) -> None:
        known = {(one["photo"], one["hashtag"]) for one in self.waiting} | self.answered
        self.waiting += [one for one in fresh["questions"] if (one["photo"], one["hashtag"]) not in known]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two measurements")
    parser.add_argument("--photos", type=int, default=4000)
    options = parser.parse_args()
    os.environ |= voters.RATES
    busy = psutil.cpu_percent(3)
    with tempfile.TemporaryDirectory(prefix="scenetag-pace-") as name:
        os.environ["PHOTO_ROOTS"] = name
        voters.make_photos(Path(name) / "new", range(1))  # what seed takes in
        site = Site(name)
        try:
            result = measure(site, Path(name), options)
        finally:
            site.stop()
    print(json.dumps(result | {"busy_before": busy / 100}))


def measure(site: Site, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    facts = voters.in_the_database(folder, ["--seed", "--photos", str(options.photos)])
    crowd = [Thinker(site.port, random.Random(number)) for number in range(options.voters)]
    for voter in crowd:
        voter.join(facts["link"])
    database = "PostgreSQL" if "DATABASE_URL" in os.environ else "SQLite"
    result: dict[str, Any] = {"database": database, "voters": options.voters}
    for name, thought in (("a second of thought", 1.0), ("no thought", 0.0)):
        result[name] = figures = vote(crowd, options.seconds, thought)
        print(f"{database}, {options.voters} voters, {name}: {figures}")
    return result


def vote(crowd: list[Thinker], seconds: float, thought: float) -> dict[str, float]:
    """Let all of them vote at once. The first fifth of the time does not count for the waiting times."""
    began, before = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(len(crowd)) as threads:
        list(threads.map(lambda voter: voter.work(began + seconds, thought), crowd))
    taken = time.monotonic() - began
    ours = (time.process_time() - before) / (taken * (psutil.cpu_count() or 1))
    waits = np.concatenate([voter.votes[len(voter.votes) // 5 :] for voter in crowd])
    pace = sum(len(voter.votes) for voter in crowd) / taken
    return {
        "p50_ms": round(float(np.percentile(waits, 50)), 1),
        "p95_ms": round(float(np.percentile(waits, 95)), 1),
        "votes_per_s": round(pace, 1),
        "clients_share": round(ours, 3),
        "votes_per_s_clients_elsewhere": round(pace / (1 - ours), 1),
        "errors": sum(n for one in crowd for status, n in one.statuses.items() if status >= 500),
    }


if __name__ == "__main__":
    main()
