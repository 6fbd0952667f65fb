"""What do the tests cost? Files and tests by processor time, dearest first, and the tests that wait longest.

    python -m benchmarks.suite tests/site

Every process that a test starts is counted, those that live on, such as Chromium, included; what a session's
fixture takes is its first test's. By the clock (`pytest --durations`) a test that only waits looks dear, and
on a busy machine every test does: there, what a test waits for is mostly the processor.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Generator

import psutil
import pytest

SHOWN = 20  # files, and tests


def spent() -> float:
    """Seconds of the processor of this process and all below it, those that have ended included.

    Who has ended is in the sum of the process that waited for it, as Chromium's zygote does for its pages.
    """
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Costs:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self.tests: dict[str, float] = defaultdict(float)
        self.files: dict[str, float] = defaultdict(float)
        self.waits: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        before, began = spent(), time.monotonic()
        try:
            return (yield)
        finally:
            # Less than nothing: a process that had cost something was ended, and nobody waited for it.
            elapsed, seconds = time.monotonic() - began, max(0.0, spent() - before)
            self.tests[item.nodeid] += seconds
            self.files[item.nodeid.partition("::")[0]] += seconds
            self.waits[item.nodeid] += max(0.0, elapsed - seconds)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        processor = "by seconds of the processor"
        self._show(terminalreporter, f"files {processor}", self.files)
        self._show(terminalreporter, f"tests {processor}", self.tests)
        self._show(terminalreporter, "tests by seconds of waiting", self.waits)

    def _show(self, reporter: pytest.TerminalReporter, title: str, seconds: dict[str, float]) -> None:
        reporter.section(f"{title}, {sum(seconds.values()):.1f} in all")
        for name in sorted(seconds, key=seconds.__getitem__, reverse=True)[:SHOWN]:
            reporter.write_line(f"{seconds[name]:7.2f} {name}")


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = (
        "hashtags_site.settings_test"  # not the site's, as other benchmarks
    )
    # As in `make test`: where it is set, each process compiles everything anew.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(pytest.main(["-q", "-n", "0", *sys.argv[1:]], plugins=[Costs()]))
