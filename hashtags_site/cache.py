"""The caches in Redis. What counts for rate limits is in this process's memory while Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from django.utils.functional import cached_property

from jobs.broker import BrokerAway, reach

MOST_ENTRIES = 10_000  # in memory: more than a flood of addresses can push out in a minute


def _either(name: str) -> Callable[..., Any]:
    def use(self: FallbackCache, *args: Any, **kwargs: Any) -> Any:
        try:
            with reach():
                return getattr(self.shared, name)(*args, **kwargs)
        except BrokerAway:
            return getattr(self.own, name)(*args, **kwargs)

    return use


class OneClient(RedisCacheClient):
    """Django makes a client for each use; making one takes longer than the use itself."""

    @cached_property
    def _one(self) -> Any:
        return super().get_client(write=True)  # there is one server: REDIS_URL

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        return self._one


class SharedCache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = OneClient


class FallbackCache(BaseCache):
    """Of several processes, each counts for itself meanwhile: limits are looser then, but they are there."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.shared = SharedCache(server, params)
        self.own = LocMemCache("fallback", {"MAX_ENTRIES": MOST_ENTRIES})

    add, get, set, touch, delete, incr, has_key, clear = map(
        _either, ("add", "get", "set", "touch", "delete", "incr", "has_key", "clear")
    )
