"""The broker (Redis or Valkey) may be away. Nobody waits for it twice, and whoever can do without it does.

Every use of it is inside `reach()`. After one failure, it counts as away for a few seconds in this process:
a broker that hangs costs one request a second, and those after it nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

AWAY_FOR = 5.0  # seconds until the next attempt
log = logging.getLogger(__name__)
_away_until = 0.0  # by time.monotonic()


class BrokerAway(Exception):
    """The part of the site that holds uploads, counts and messages is away. Try again in a minute."""


@contextmanager
def reach() -> Iterator[None]:
    """Use the broker during a `with` block. Raises BrokerAway, at once if it was away a moment ago."""
    global _away_until
    if time.monotonic() < _away_until:
        raise BrokerAway
    try:
        yield
    except (RedisError, OperationalError, OSError) as error:
        log.warning("The broker is away: %s", error)
        _away_until = time.monotonic() + AWAY_FOR
        raise BrokerAway from error


def forget() -> None:
    """Try again at the next use. For tests."""
    global _away_until
    _away_until = 0.0
