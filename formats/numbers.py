"""Whole numbers in addresses and forms: the ids of rows, and what else a database counts."""

from __future__ import annotations

import re

LARGEST = 2**63 - 1  # that a database stores
PLAIN = re.compile("[0-9]{1,18}")


def read_number(text: str | None) -> int | None:
    """The number that the text is, of 1 to 18 digits; None for anything else, which no row has."""
    return int(text) if text and PLAIN.fullmatch(text) else None
