"""Voting in a large campaign: the next photo, a vote, and the pages of the campaign, over real HTTP.

    python scripts/with_postgres.py python -m benchmarks.crowd [--photos 100000] [--votes 1000000]
    python -m benchmarks.crowd --votes 100000        the same on SQLite

Starts `manage.py up --demo` in a new folder and writes a half-finished campaign directly into the database.
Two people vote: a new one, and one who has already answered the next 10,000 open questions, the worst case
for skipping what somebody has seen. Ratios are relative to /health/, an empty page. Targets at p95 on
PostgreSQL: next photo 100 ms, vote 100 ms, dashboard 1 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.mapping import show
from benchmarks.site import ROOT, Site, times
from benchmarks.voting import Voter, seed_campaign

HEAVY = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed:
        import django

        django.setup()
        print(json.dumps(seed_campaign(options.photos, options.votes, heavy=HEAVY)))
        return
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        site = Site(folder)
        try:
            result = measure(site, folder, options)
        finally:
            site.stop()
    print(json.dumps(result))


def measure(site: Site, folder: str, options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    facts_of_data = in_the_database(folder, options)
    print(
        f"{options.photos:,} photos and {options.votes:,} votes written in {time.monotonic() - began:.0f} s"
    )
    campaign = facts_of_data["campaign"]
    latencies: dict[str, Any] = {}
    for name in ("validator", "heavy"):
        voter = Voter(site, campaign, name)
        looks, votes = vote(voter, options.requests)
        latencies |= {f"next photo, {name}": looks, f"vote, {name}": votes}
    validator, admin = site.signed_in("validator"), site.signed_in("admin")
    query = f"?campaign={campaign}"
    pages = {
        "ballot": (validator, f"/validation/vote/{campaign}/"),
        "what to vote on": (validator, "/validation/vote/"),
        "dashboard": (admin, f"/validation/agreement/{query}"),
        "all campaigns": (admin, "/validation/agreement/"),
        "photos behind a bar": (admin, f"/validation/agreement/photos/{query}&said=does_not_fit"),
        "what to mend": (admin, f"/validation/agreement/{campaign}/mend/"),
        "people": (admin, f"/validation/campaigns/{campaign}/people/"),
        "campaign page": (admin, f"/validation/campaigns/{campaign}/"),
        "campaigns": (admin, "/validation/campaigns/"),
        "home": (admin, "/"),
    }
    for name, (opener, path) in pages.items():
        latencies[name] = times(opener, site.address + path, 10)
    base = float(np.median(times(admin, f"{site.address}/health/", 40)))
    database = "PostgreSQL" if "DATABASE_URL" in os.environ else "SQLite"
    facts = {"database": database, "photos": options.photos, "votes": options.votes}
    return facts | facts_of_data | show(latencies, base) | {"resident_mb": site.memory()}


def in_the_database(folder: str, options: argparse.Namespace) -> dict[str, Any]:
    environment = os.environ | {"SCENETAG_VAR": folder, "DJANGO_SETTINGS_MODULE": "hashtags_site.settings"}
    argv = [sys.executable, "-m", "benchmarks.crowd", "--seed"]
    argv += ["--photos", str(options.photos), "--votes", str(options.votes)]
    process = subprocess.run(argv, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    facts: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return facts


def vote(voter: Voter, count: int) -> tuple[Any, Any]:
    """Milliseconds of `count` requests for a question and as many votes, in turn, without the first."""
    look_times, vote_times = [], []
    for _ in range(count + 1):
        began = time.perf_counter()
        (question,) = voter.next()
        look_times.append((time.perf_counter() - began) * 1000)
        fields = voter.ballot(question, "fits")
        began = time.perf_counter()
        status, reply = voter.send(fields)
        vote_times.append((time.perf_counter() - began) * 1000)
        assert status == 200, reply
        assert reply["kept"], reply
    return np.array(look_times[1:]), np.array(vote_times[1:])


if __name__ == "__main__":
    main()
