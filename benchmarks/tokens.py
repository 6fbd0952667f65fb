"""What it costs to know a program by its token and to count its requests.

    python -m benchmarks.tokens

Five ways, in the same run and in turn, on SQLite and an embedded Valkey: the look-up alone (the baseline);
with scope and count, as the API does it; with a rate of the token's own, too; and the two ways to count that
we do not take: in the cache, by three commands, and by a row that is written per request.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

REQUESTS, ROUNDS = 300, 7
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hashtags_site.settings")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="scenetag-tokens-") as folder:
        os.environ["SCENETAG_VAR"] = folder
        import django

        django.setup()
        from hashtags_site.valkey import embedded_valkey

        with embedded_valkey(Path(folder, "valkey.sock")):
            _measure()


def _measure() -> None:
    from datetime import UTC, datetime

    from django.contrib.auth.models import User
    from django.core.cache import cache
    from django.core.management import call_command
    from django.db.models import F
    from django.test import RequestFactory
    from rest_framework.request import Request

    from people import tokens
    from people.authentication import TokenAuthentication
    from people.models import TokenUse
    from people.scopes import SCOPES

    call_command("migrate", verbosity=0)
    owner = User.objects.create_user("okru")
    token, key = tokens.make(name="x", owner=owner, scopes=SCOPES, by=None)
    limited = tokens.make(name="y", owner=owner, scopes=SCOPES, by=None, rate="99999/second")[1]
    use = TokenUse.objects.create(token=token, day=datetime.now(UTC).date(), address="x")
    door = TokenAuthentication()

    def ask(key: str) -> Request:
        request = RequestFactory().get("/api/v1/mapping/entries", HTTP_AUTHORIZATION=f"Token {key}")
        request.resolver_match = SimpleNamespace(url_name="api_entries")  # type: ignore[assignment]
        return Request(request)

    def look_up_and_write() -> None:
        door.identify(ask(key))
        TokenUse.objects.filter(pk=use.pk).update(requests=F("requests") + 1)

    def look_up_and_cache() -> None:
        door.identify(ask(key))
        cache.add("use", 0, timeout=60)
        cache.incr("use")
        cache.add("written", 1, timeout=60)

    ways: dict[str, Callable[[], object]] = {
        "look-up alone": lambda: door.identify(ask(key)),
        "scope and count": lambda: door.authenticate(ask(key)),
        "own rate, too": lambda: door.authenticate(ask(limited)),
        "count in the cache": look_up_and_cache,
        "a row per request": look_up_and_write,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(REQUESTS):
                way()
            times[name].append((time.perf_counter() - began) / REQUESTS)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    base = medians["look-up alone"]
    print(f"{'way':20}  ms a request  ratio")
    for name, seconds in medians.items():
        print(f"{name:20}  {1000 * seconds:12.2f}  {seconds / base:5.2f}")
    print(json.dumps({name: round(seconds / base, 2) for name, seconds in medians.items()}))


if __name__ == "__main__":
    main()
