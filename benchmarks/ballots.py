"""What one judged photo costs the server: the vote, and the question that takes its place.

    python -m benchmarks.ballots [--photos 400] [--votes 150] [--profile]
    python scripts/with_postgres.py python -m benchmarks.ballots

A guest and a member vote in turns, through the whole WSGI application but without a network. The baseline
sends the vote and asks for the next questions in two requests; the page does both in one. Milliseconds are
processor time of the application's thread. On PostgreSQL those of the database's processes are a column of
their own; SQLite is part of the application.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import os
import pstats
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np

AHEAD = 4  # questions that a page holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--votes", type=int, default=150, help="per way of voting, half of them of a guest")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenetag-ballots-") as name:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "hashtags_site.settings",
            "SCENETAG_VAR": name,
            "LOG_LEVEL": "WARNING",
            "GUEST_VOTES_RATE": "100000/minute",
        }
        import django

        django.setup()
        from django.conf import settings

        from hashtags_site.valkey import embedded_valkey

        with embedded_valkey(settings.VALKEY_SOCKET):
            print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    from django.db import connection

    from hashtags_site.wsgi import application

    people = seed(options.photos)
    ways = {"two requests": False, "one request": True}
    # In turns, so that both ways meet the same campaign. The first votes compile and fill caches.
    for is_one in ways.values():
        for person in people:
            for _ in range(5):
                person.judge(application, is_one, Costs())
    costs = {way: Costs() for way in ways}
    profile = cProfile.Profile()
    for number in range(options.votes):
        for way, is_one in ways.items():
            if options.profile and is_one:
                profile.enable()
            people[number % len(people)].judge(application, is_one, costs[way])
            profile.disable()
    if options.profile:
        pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(70)
    base = costs["two requests"].mean
    result: dict[str, Any] = {"database": connection.vendor, "photos": options.photos}
    print(f"{connection.vendor:<16}{'ms':>7}{'database ms':>13}{'queries':>9}{'requests':>10}{'ratio':>7}")
    for way, cost in costs.items():
        row = {
            "ms": round(cost.mean, 1),
            "p95_ms": round(float(np.percentile(cost.ms, 95)), 1),
            "database_ms": round(cost.database_ms / len(cost.ms), 1),
            "queries": round(float(np.mean(cost.queries)), 1),
            "requests": cost.requests / len(cost.ms),
            "ratio": round(cost.mean / base, 2),
        }
        result[way] = row
        print(
            f"{way:<16}{row['ms']:>7}{row['database_ms']:>13}{row['queries']:>9}{row['requests']:>10.0f}"
            f"{row['ratio']:>7}"
        )
    return result


@dataclass
class Costs:
    ms: list[float] = field(default_factory=list)  # of a judged photo
    queries: list[int] = field(default_factory=list)
    database_ms: float = 0.0
    requests: int = 0

    @property
    def mean(self) -> float:
        return float(np.mean(self.ms))


class Person:
    """Somebody with a session, who holds AHEAD questions."""

    def __init__(self, campaign: int, cookie: str) -> None:
        self.base, self.cookie = f"/validation/vote/{campaign}", cookie
        self.waiting: list[dict[str, Any]] = []
        self.answered: set[tuple[int, int]] = set()

    def judge(self, application: Any, is_one: bool, costs: Costs) -> None:
        if not self.waiting:
            self._take(self._ask(application, "GET", f"{self.base}/next/", {"n": AHEAD}))
        question = self.waiting.pop(0)
        self.answered.add((question["photo"], question["hashtag"]))
        fields = {"photo": question["photo"], "hashtag": question["hashtag"], "answer": "fits"}
        fields |= {"request_id": str(uuid4()), "seconds": 2}
        before, database = time.thread_time(), database_seconds()
        if is_one:
            reply = self._ask(application, "POST", f"{self.base}/votes/", fields | {"n": AHEAD})
            fresh = reply["next"]
        else:
            self._ask(application, "POST", f"{self.base}/votes/", fields)
            fresh = self._ask(application, "GET", f"{self.base}/next/", {"n": AHEAD})
        costs.ms.append((time.thread_time() - before) * 1000)
        costs.database_ms += (database_seconds() - database) * 1000
        costs.requests += 1 if is_one else 2
        self._take(fresh)
        costs.queries.append(_count.take())

    def _take(self, fresh: dict[str, Any]) -> None:
        known = {(one["photo"], one["hashtag"]) for one in self.waiting} | self.answered
        self.waiting += [one for one in fresh["questions"] if (one["photo"], one["hashtag"]) not in known]

    def _ask(self, application: Any, method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        body = urlencode(fields)
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost",
            "HTTP_ACCEPT": "application/json",
            "HTTP_COOKIE": f"sessionid={self.cookie}; csrftoken={TOKEN}",
            "wsgi.input": io.BytesIO(body.encode() if method == "POST" else b""),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
        }
        if method == "POST":
            environ |= {"CONTENT_TYPE": "application/x-www-form-urlencoded", "HTTP_X_CSRFTOKEN": TOKEN}
            environ["CONTENT_LENGTH"] = str(len(body))
        else:
            environ["QUERY_STRING"] = body
        statuses: list[str] = []
        from django.db import connection

        with connection.execute_wrapper(_count):
            response = application(environ, lambda status, *_: statuses.append(status))
            content = b"".join(response)
        response.close()
        if not statuses[0].startswith("200"):
            raise SystemExit(f"{path}: {statuses[0]} {content[:300]!r}")
        reply: dict[str, Any] = json.loads(content)
        return reply


TOKEN = "a" * 32


class Count:
    """Counts the queries of Django's connection."""

    number = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.number += 1
        return execute(sql, params, many, context)

    def take(self) -> int:
        number, self.number = self.number, 0
        return number


_count = Count()


def database_seconds() -> float:
    """Processor time of this connection's server process; 0 for SQLite, which is in our own."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    nanoseconds = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def seed(photos: int) -> list[Person]:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from benchmarks.voting import bulk_predictions
    from hashtags_site.roles import setup_roles
    from mapping.models import Hashtag
    from trainer.models import TrainedModel
    from validation.campaigns.questions import make_questions
    from validation.models import Campaign, GoldAnswer, Photo, Question
    from validation.people import guests

    call_command("migrate", verbosity=0)
    setup_roles()
    Hashtag.objects.bulk_create(
        Hashtag(name=f"place{number}", posts=50_000_000, source="benchmark", counted_on="2026")
        for number in range(20)
    )
    model = TrainedModel.objects.create(name="Given answers", manifest={"sha256": "0"})
    campaign = Campaign.objects.create(
        name="Many", model=model, votes_per_photo=3, extra_votes=2, audience="link", gold_share=0.05
    )
    rows = Photo.objects.bulk_create(
        Photo(sha256=f"{number:064d}", file=f"{number}.jpg", name=f"{number}.jpg", width=640, height=480)
        for number in range(photos)
    )
    campaign.photos.set(rows)
    bulk_predictions(model, rows)
    make_questions(campaign=campaign)
    for one in Question.objects.filter(campaign=campaign)[:20]:
        GoldAnswer.objects.create(photo_id=one.photo_id, hashtag_id=one.hashtag_id, fits=True)
    member = User.objects.create(username="member", last_login=timezone.now())
    member.groups.add(Group.objects.get(name="validator"))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as its autovacuum does in use
    people = []
    for user in (guests.make_guest(campaign=campaign), member):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        people.append(Person(campaign.pk, str(session.session_key)))
    return people


if __name__ == "__main__":
    main()
