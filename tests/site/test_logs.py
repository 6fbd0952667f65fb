"""Log lines as JSON, with the id of the request that they belong to."""

from __future__ import annotations

import json
import logging
import sys

from hashtags_site.logs import Object
from jobs import request_id


def record(**more: object) -> logging.LogRecord:
    facts = {
        "name": "site",
        "levelno": logging.WARNING,
        "levelname": "WARNING",
        "msg": "%s “x”",
        "args": ("An",),
    }
    return logging.makeLogRecord(facts | more)


def test_line_is_an_object_with_the_request() -> None:
    with request_id.carried("abc123"):
        line = json.loads(Object().format(record(facts={"status": 200})))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "site",
        "message": "An “x”",
        "request_id": "abc123",
        "status": 200,
    }


def test_error_stays_on_one_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        text = Object().format(record(exc_info=sys.exc_info()))
    assert "\n" not in text
    assert "ValueError: first\nsecond" in json.loads(text)["traceback"]
    refusal = Object().format(record(exc_info=(ValueError, ValueError("x"), None), status_code=403))
    assert "traceback" not in json.loads(refusal)
