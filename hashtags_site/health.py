"""How the site is: disk, database and broker, each asked at most once a second and waited for briefly.

Strangers may ask, so it costs next to nothing, and says no more than a word for each part.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from jobs.broker import BrokerAway, reach

PATIENCE = 1.5  # seconds that a check may take; nobody waits longer, and after them nobody waits at all
FRESH = 1.0  # seconds for which an answer is given again
FREE_BYTES = 200 * 2**20  # below that the disk counts as full
IN_ORDER = "ok"


class Trouble(Exception):
    """One word about what is wrong with a part."""


def check_disk() -> str:
    """The folders that the site writes to have space and take a file. Raises Trouble."""
    folders = [Path(settings.FILE_UPLOAD_TEMP_DIR), Path(settings.VAR_DIR), Path(settings.MEDIA_ROOT)]
    for folder in folders:
        if not folder.is_dir():
            continue  # no photo was kept yet
        try:
            if shutil.disk_usage(folder).free < FREE_BYTES:
                raise Trouble("full")
            try_to_write(folder)
        except OSError as error:
            raise Trouble("unwritable") from error
    return "writable"


def try_to_write(folder: Path) -> None:
    """Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")


def check_migrations() -> str:
    """The database has what this program needs. Raises Trouble."""
    try:
        if needed_migrations() - MigrationRecorder(connection).applied_migrations().keys():
            raise Trouble("pending")
    finally:
        connection.close()
    return "applied"


@cache
def needed_migrations() -> frozenset[tuple[str, str]]:
    """App and name of every migration of this program, which change only with it."""
    return frozenset(MigrationLoader(None).disk_migrations)


def check_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()  # this thread's own
    return "answers"


def check_broker() -> str:
    with reach(), redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, retry=None) as client:
        client.ping()
    return "answers"


@dataclass(frozen=True)
class Verdict:
    status: str
    word: str


class Part:
    """A check that runs in a thread of its own. One that hangs is not started again meanwhile."""

    def __init__(self, check: Callable[[], str], *, is_vital: bool) -> None:
        self.check, self.is_vital = check, is_vital
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=check.__name__)
        self.answer: Future[Verdict] | None = None
        self.asked = 0.0

    def ask(self) -> None:
        is_old = time.monotonic() - self.asked > FRESH
        if self.answer is None or (self.answer.done() and is_old):
            self.asked = time.monotonic()
            self.answer = self.thread.submit(self._run)

    def wait(self) -> Verdict:
        assert self.answer
        try:
            return self.answer.result(max(0, self.asked + PATIENCE - time.monotonic()))
        except TimeoutError:
            return Verdict("failed", "silent")

    def _run(self) -> Verdict:
        try:
            return Verdict(IN_ORDER, self.check())
        except Trouble as trouble:
            return Verdict("failed", str(trouble))
        except BrokerAway:
            return Verdict("failed", "away")
        except Exception:  # whatever it is, the site cannot use this part
            return Verdict("failed", "broken")


class Health:
    """Without its vital parts the site answers nobody. Without the broker, jobs and imports wait."""

    def __init__(self) -> None:
        self.parts = {
            "disk": Part(check_disk, is_vital=True),
            "database": Part(check_database, is_vital=True),
            "broker": Part(check_broker, is_vital=False),
        }

    def report(self) -> tuple[dict[str, object], bool]:
        """What /health/ says, and whether the site can do its work."""
        for part in self.parts.values():
            part.ask()
        verdicts = {name: part.wait() for name, part in self.parts.items()}
        is_useful = all(
            verdicts[name].status == IN_ORDER for name, part in self.parts.items() if part.is_vital
        )
        is_whole = all(verdict.status == IN_ORDER for verdict in verdicts.values())
        status = IN_ORDER if is_whole else "degraded" if is_useful else "failed"
        parts = {name: {"status": one.status, "word": one.word} for name, one in verdicts.items()}
        return {"status": status, **parts}, is_useful


class Readiness(Health):
    """For what starts or upgrades the site: it is not done before every part is there."""

    def __init__(self) -> None:
        self.parts = {
            "storage": Part(check_disk, is_vital=True),
            "database": Part(check_database, is_vital=True),
            "migrations": Part(check_migrations, is_vital=True),
            "broker": Part(check_broker, is_vital=True),
        }
