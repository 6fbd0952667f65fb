"""The caches in Redis."""

from __future__ import annotations

import pytest
import redis
from django.core.cache import caches


@pytest.mark.parametrize("name", ["default", "shared"])
def test_no_use_makes_a_client_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = caches[name]
    cache.set("n", 1)
    monkeypatch.setattr(redis.Redis, "__init__", lambda *a, **k: pytest.fail("a new client"))
    cache.incr("n")
    assert cache.get("n") == 2
    assert cache.delete("n")
