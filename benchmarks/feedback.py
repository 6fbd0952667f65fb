"""A million rows of feedback: how quickly the endpoint adds to them, and the page In use shows them.

    python -m benchmarks.feedback [--rows 1000000] [--batches 30]
    python scripts/with_postgres.py python -m benchmarks.feedback

A network's answers of a year: 20 hashtags, two models, a tenth of the suggestions replaced. The rows are put
into the tables first. Then batches of 1,000 new events go through the endpoint's own code, JSON and token
included, without a web server between, and the page is asked for 30 days and for a year. The baseline is
/health/, which shows next to nothing. The database is that of DATABASE_URL, by default SQLite in a new
folder. Processor time is that of this process: with SQLite it includes the database.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

BATCH = 1_000
EVENTS = ("shown", "accepted", "dismissed", "replaced")
SHARES = (0.4, 0.4, 0.1, 0.1)


def median_ms(ask: Callable[[], Any], times: int) -> tuple[float, float]:
    """The medians of wall and processor time of some calls after one that does not count, in milliseconds."""
    taken = []
    for _ in range(times + 1):
        began, worked = time.perf_counter(), time.process_time()
        ask()
        taken.append((time.perf_counter() - began, time.process_time() - worked))
    wall, processor = (1000 * statistics.median(column) for column in zip(*taken[1:], strict=True))
    return round(wall, 1), round(processor, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="before the first batch")
    parser.add_argument("--batches", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as folder:
        os.environ |= {
            "SCENETAG_VAR": folder,
            "DJANGO_SETTINGS_MODULE": "hashtags_site.settings",
            "FEEDBACK_DAYS": "400",
            "FEEDBACK_RATE": "9999999/minute",
            "LOG_LEVEL": "ERROR",
        }
        import django

        django.setup()
        measure(options.rows, options.batches)


def measure(rows: int, batches: int) -> None:
    from django.conf import settings
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.utils import timezone
    from rest_framework.authtoken.models import Token

    from hashtags_site.valkey import embedded_valkey
    from mapping.files.catalogue import load_catalogue
    from mapping.models import Hashtag
    from serving.answer_ids import Answer, make_id, make_key
    from serving.feedback import Event, keep
    from serving.models import Feedback
    from trainer.models import TrainedModel

    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", verbosity=0)
    call_command("setup_roles", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    load_catalogue()
    accounts = {}
    for role in ("network", "viewer"):
        accounts[role] = User.objects.create(username=role)
        accounts[role].groups.add(Group.objects.get(name=role))
    token = Token.objects.create(user=accounts["network"]).key
    models = [TrainedModel.objects.create(name=name, manifest={"labels": []}) for name in ("Old", "New")]
    hashtags = list(Hashtag.objects.values_list("name", flat=True)[:20])
    chance = random.Random(0)
    now = timezone.now()
    began_at = now - timedelta(days=364)

    def draw(at: float) -> tuple[Answer, str, str]:
        """An answer, `at` being 0 a year ago and 1 now; what became of it, and the hashtag used instead."""
        hashtag = chance.choice(hashtags)
        kind = chance.choices(EVENTS, SHARES)[0]
        key = make_key(began_at + timedelta(days=364) * at)
        answer = Answer(key, models[at > 0.5].pk, accounts["network"].pk, 0, hashtag, 0.9)
        used = chance.choice([one for one in hashtags if one != hashtag]) if kind == "replaced" else ""
        return answer, kind, used

    def fill() -> None:
        for done in range(0, rows, 10 * BATCH):
            drawn = [draw(at / rows) for at in range(done, min(rows, done + 10 * BATCH))]
            events = [Event(answer, kind, answer.given_at, used) for answer, kind, used in drawn]
            keep(events=events, account=accounts["network"])

    def batch() -> dict[str, Any]:
        """New answers of the last day."""
        events = []
        for _ in range(BATCH):
            answer, kind, used = draw(1 - chance.random() / 365)
            answer_id = make_id(
                model=answer.model,
                account=answer.account,
                hashtag=answer.hashtag,
                confidence=answer.confidence,
                at=answer.given_at,
            )
            event = {"answer": answer_id, "event": kind, "at": answer.given_at.isoformat()}
            events.append(event | ({"hashtag": used} if used else {}))
        return {"events": events}

    network, viewer = Client(headers={"authorization": f"Token {token}"}), Client()
    viewer.force_login(accounts["viewer"])
    with embedded_valkey(settings.VALKEY_SOCKET):
        fill()
        seconds = processor = 0.0
        body = ""
        for _ in range(batches):
            body = json.dumps(batch())
            began, worked = time.perf_counter(), time.process_time()
            response = network.post("/api/v1/feedback", body, content_type="application/json")
            seconds += time.perf_counter() - began
            processor += time.process_time() - worked
            assert response.json()["changed"] == BATCH, response.content[:500]
        began = time.perf_counter()
        response = network.post("/api/v1/feedback", body, content_type="application/json")
        repeated = time.perf_counter() - began
        assert response.json()["changed"] == 0
        assert Feedback.objects.count() == rows + batches * BATCH
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        pages = {
            "health": "/health/",
            "30 days": "/in-use/?days=30",
            "a year": "/in-use/?days=365",
            "a year of one model": f"/in-use/?days=365&model={models[0].pk}",
            "a year as CSV": "/in-use/acceptance.csv?days=365",
        }

        def ask(path: str) -> None:
            assert viewer.get(path).status_code == 200

        times = {name: median_ms(lambda path=path: ask(path), 5) for name, path in pages.items()}  # type: ignore[misc]
    result: dict[str, Any] = {
        "database": connection.vendor,
        "rows": rows,
        "written_per_s": round(batches * BATCH / seconds),
        "written_per_processor_s": round(batches * BATCH / processor),
        "repeated_per_s": round(BATCH / repeated),
        "ms_wall_and_processor": times,
        "times_health": {name: round(ms[0] / times["health"][0], 1) for name, ms in times.items()},
    }
    print(f"{connection.vendor}: {rows:,} rows, {result['written_per_s']:,} more written a second, ", end="")
    print(f"{result['written_per_processor_s']:,} a second of the processor, ", end="")
    print(f"{result['repeated_per_s']:,} a second if they are known")
    for name, ms in times.items():
        ratio = result["times_health"][name]
        print(f"{name:<22}{ms[0]:>9.1f} ms, processor {ms[1]:>7.1f} ms{ratio:>9.1f} × health")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
