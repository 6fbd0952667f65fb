"""The id of the request that work belongs to: in log lines, in the job that it started, and in the programs
of that job.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLE = "SCENETAG_REQUEST_ID"  # the environment of programs: trainer.engine.events
FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """Empty outside requests and jobs."""
    return _current.get()


def new() -> str:
    return uuid.uuid4().hex


@contextmanager
def carried(request_id: str) -> Iterator[None]:
    token = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(token)
