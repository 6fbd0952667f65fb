"""What do the tests cost? Files and tests by processor time, the dearest first.

    python -m benchmarks.suite tests/site

Processes that a test starts and waits for are counted; what a session's fixture takes is its first test's. By
the clock (`pytest --durations`) a test that only waits looks dear, and on a busy machine every test does.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Generator

import pytest

SHOWN = 20  # files, and tests


def spent() -> float:
    """Seconds of the processor, those of children that have ended included."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Costs:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self.tests: dict[str, float] = defaultdict(float)
        self.files: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        before = spent()
        try:
            return (yield)
        finally:
            seconds = spent() - before
            self.tests[item.nodeid] += seconds
            self.files[item.nodeid.partition("::")[0]] += seconds

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for kind, costs in (("files", self.files), ("tests", self.tests)):
            terminalreporter.section(f"{kind} by seconds of the processor, {sum(costs.values()):.1f} in all")
            for name in sorted(costs, key=costs.__getitem__, reverse=True)[:SHOWN]:
                terminalreporter.write_line(f"{costs[name]:7.2f} {name}")


if __name__ == "__main__":
    # As in `make test`: where it is set, each process compiles everything anew.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(pytest.main(["-q", "-n", "0", *sys.argv[1:]], plugins=[Costs()]))
