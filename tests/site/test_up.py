"""`manage.py up` for real: ready, served, a dead worker started again, nothing left after Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from benchmarks.site import free_port

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("up")]


@pytest.fixture
def environment(tmp_path: Path, request: pytest.FixtureRequest, django_db_setup: None) -> dict[str, str]:
    """Of an installation whose database is there: every test's database shows that migrating works."""
    variables = {
        k: v
        for k, v in os.environ.items()
        if k not in ("REDIS_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    }
    (tmp_path / "var").mkdir()
    for migrated in request.config.cache.mkdir("migrated").glob("*.sqlite3"):
        shutil.copyfile(migrated, tmp_path / "var/db.sqlite3")
    return variables | {"SCENETAG_VAR": str(tmp_path / "var")}


def until_ready(process: subprocess.Popen[str]) -> str:
    """What it prints until then."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops everything" in line:
            return "".join(lines)
    pytest.fail("`manage.py up` ended before it was ready")


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    celery_processes = []
    for child in children(process):
        with contextlib.suppress(psutil.Error):  # ended between the list and the look at it
            if "celery" in " ".join(child.cmdline()):
                celery_processes.append(child)
    return celery_processes


def test_up_serves_restarts_a_dead_worker_and_leaves_nothing_running(environment: dict[str, str]) -> None:
    port = free_port()
    argv = [sys.executable, "-u", "manage.py", "up", "--port", str(port), "--web-workers", "1"]
    errors = Path(environment["SCENETAG_VAR"], "errors.log")
    with errors.open("w") as log:
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        words = until_ready(process)
        assert urlopen(f"http://127.0.0.1:{port}/health/", timeout=5).status == 200
        # Nothing is loaded before the first administrator chooses; the link lets them in.
        assert "The catalogue is loaded" not in words
        [link] = re.findall(r"http://\S+/people/join/\S+", words)
        assert b"Your roles: administrator" in urlopen(link, timeout=5).read()  # noqa: S310
        [worker] = workers(process)
        time.sleep(
            max(0, 2.1 - (time.time() - worker.create_time()))
        )  # a part that dies at once is left dead
        worker.kill()
        deadline = time.monotonic() + 20
        while not any(celery_processes.pid != worker.pid for celery_processes in workers(process)):
            assert time.monotonic() < deadline, "the dead worker was not started again"
            time.sleep(0.1)
        before = children(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        _, alive = psutil.wait_procs(before, timeout=5)
        assert not alive
        assert not re.search("was sent SIG|terminate called|still running", errors.read_text())
    finally:
        process.kill()


def test_second_start_on_the_same_folder_is_refused(environment: dict[str, str]) -> None:
    from hashtags_site.valkey import embedded_valkey

    var = Path(environment["SCENETAG_VAR"])
    with embedded_valkey(var / "valkey.sock"):
        result = subprocess.run(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, capture_output=True, text=True
        )
    assert result.returncode == 1
    assert "already running here" in result.stderr
