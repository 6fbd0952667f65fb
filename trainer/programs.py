"""How the web application starts the engine: always as a program of its own."""

from __future__ import annotations

import sys


def engine(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "trainer.engine", *map(str, arguments)]
