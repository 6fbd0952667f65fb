"""What a check finds, and the checks run side by side within a time that no part can stretch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from queue import Empty, Queue

from django.db import connections
from django.utils import translation
from django.utils.translation import gettext as _

OK, WARN, FAIL = "ok", "warn", "fail"
SECONDS = 8.0  # for all checks together


@dataclass(frozen=True)
class Finding:
    """part: what was looked at. fact: what is the case. advice: what to do about it; empty if nothing is."""

    part: str
    verdict: str
    fact: str
    advice: str = ""

    @property
    def title(self) -> str:
        """The part in the reader's language; `part` is its key."""
        return _(self.part)

    @property
    def word(self) -> str:
        return {OK: _("ok"), WARN: _("warn"), FAIL: _("fail")}[self.verdict]

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """look: finds one thing or several. advice: for when it raises an error or does not end."""

    part: str
    look: Callable[[], Finding | Iterable[Finding]]
    advice: str


class Examiner:
    """Runs checks in threads of their own. One that hangs is not started again while it does."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self.checks = tuple(checks)
        self.lock = threading.Lock()
        self.hanging: set[str] = set()

    def examine(self, seconds: float = SECONDS) -> list[Finding]:
        """The findings in the order of the checks, after `seconds` at the latest."""
        answers: Queue[tuple[str, list[Finding]]] = Queue()
        with self.lock:
            waiting = {check.part for check in self.checks} - self.hanging
            self.hanging |= waiting
        for check in self.checks:
            if check.part in waiting:
                # Daemons: a part that hangs does not keep the program from ending.
                threading.Thread(
                    target=self._run, args=(check, answers, translation.get_language()), daemon=True
                ).start()
        found: dict[str, list[Finding]] = {}
        deadline = time.monotonic() + seconds
        while waiting:
            try:
                part, findings = answers.get(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                break
            found[part] = findings
            waiting.discard(part)
        return [one for check in self.checks for one in found.get(check.part) or [_silent(check, seconds)]]

    def _run(self, check: Check, answers: Queue[tuple[str, list[Finding]]], language: str) -> None:
        try:
            with translation.override(language):  # a thread does not inherit it
                findings = check.look()
                result = [findings] if isinstance(findings, Finding) else list(findings)
        except Exception as error:  # whatever it is, this part cannot be used
            words = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
            result = [Finding(check.part, FAIL, reason[:300], _(check.advice))]
        finally:
            connections.close_all()  # this thread's own
            with self.lock:
                self.hanging.discard(check.part)
        answers.put((check.part, result))


def _silent(check: Check, seconds: float) -> Finding:
    return Finding(
        check.part, FAIL, _("It does not answer within %(n)s s.") % {"n": f"{seconds:g}"}, _(check.advice)
    )


def has_failed(findings: Iterable[Finding]) -> bool:
    return any(finding.verdict == FAIL for finding in findings)
