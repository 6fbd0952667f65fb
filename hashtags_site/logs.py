"""How the site's log lines look."""

from __future__ import annotations

import copy
import logging
from datetime import UTC, datetime

from formats.json_text import to_json
from jobs import request_id


class Line(logging.Formatter):
    """A refusal is expected, so one line is enough; only errors of ours come with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "status_code", 500) < 500:
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)


class Object(Line):
    """One JSON object a line, with the id of the request that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record)
        facts: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.current(),
            **getattr(record, "facts", {}),
        }
        if "\n" in lines and (record.exc_info or record.exc_text):
            facts["traceback"] = lines.partition("\n")[2]
        return to_json({key: value for key, value in facts.items() if value != ""})
