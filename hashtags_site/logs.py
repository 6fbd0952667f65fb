"""How the site's log lines look."""

from __future__ import annotations

import copy
import logging


class Line(logging.Formatter):
    """A refusal is expected, so one line is enough; only errors of ours come with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "status_code", 500) < 500:
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)
