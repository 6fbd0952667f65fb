"""The caches in Redis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.core.cache import caches
from django.test import Client

from tests.conftest import _cache


@pytest.mark.parametrize("name", ["default", "shared"])
def test_no_use_makes_a_client_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = caches[name]
    cache.set("n", 1)
    monkeypatch.setattr(redis.Redis, "__init__", lambda *a, **k: pytest.fail("a new client"))
    cache.incr("n")
    assert cache.get("n") == 2
    assert cache.delete("n")


def test_a_page_asks_only_for_the_site_and_when_the_person_was_seen(
    client_for: Callable[..., Client],
) -> None:
    client = client_for("viewer")
    client.get("/mapping/")
    before = lookups()
    assert client.get("/mapping/").status_code == 200
    assert lookups() - before == 2


def lookups() -> int:
    """Which Valkey has answered."""
    return int(_cache.info("commandstats")["cmdstat_get"]["calls"])
