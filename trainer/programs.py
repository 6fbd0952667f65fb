"""How the web application starts the engine: always in a process of its own."""

from __future__ import annotations

import sys


def engine_command(*arguments: object) -> list[str]:
    """The command line of the engine, for subprocess."""
    return [sys.executable, "-m", "trainer.engine", *map(str, arguments)]
