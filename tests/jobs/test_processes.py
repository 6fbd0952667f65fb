"""Programs that are run for a job: their events, failures and cancellation."""

from __future__ import annotations

import json
import sys
from typing import Any

import psutil
import pytest

from formats.storage import StorageFailure
from jobs import queue
from jobs.lease import Busy, Cancelled, Died, JobError, Lease, claim
from jobs.processes import StandingProgram, run_process
from tests.conftest import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease() -> Lease:
    own_lease = claim(queue.enqueue(kind="test", title="t", by=None).pk)
    assert own_lease
    return own_lease


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_events_arrive_in_order_and_other_output_is_ignored(lease: Lease) -> None:
    events: list[dict[str, Any]] = []
    run_process(
        lease,
        python("print('{\"event\": \"a\"}'); print('noise'); print('[1]'); print('{\"event\": \"b\"}')"),
        events.append,
    )
    assert [e["event"] for e in events] == ["a", "b"]


def test_failure_has_the_programs_own_message(lease: Lease) -> None:
    code = 'print(\'{"event": "error", "message": "No weights", "hint": "Get them"}\'); raise SystemExit(3)'
    with pytest.raises(JobError, match="No weights") as error:
        run_process(lease, python(code), lambda e: None)
    assert error.value.hint == "Get them"


def test_failure_without_a_message_shows_the_end_of_stderr(lease: Lease) -> None:
    with pytest.raises(JobError, match="ZeroDivisionError"):
        run_process(lease, python("1/0"), lambda e: None)


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 11)",
        "raise SystemExit(143)",
        'print(\'{"event": "error", "kind": "loader"}\'); raise SystemExit(1)',
    ],
)
def test_program_ended_from_outside_died_and_hints_at_memory(lease: Lease, code: str) -> None:
    with pytest.raises(Died) as error:
        run_process(lease, python(code), lambda e: None)
    assert "memory" in error.value.hint


def test_program_that_reports_busy_raises_busy(lease: Lease) -> None:
    event = {"event": "error", "kind": "busy", "message": "Locked"}
    code = f"print({json.dumps(event)!r}); raise SystemExit(1)"
    with pytest.raises(Busy, match="Locked"):
        run_process(lease, python(code), lambda e: None)


def test_program_that_reports_a_full_disk_raises_storage_failure(lease: Lease) -> None:
    event = {"event": "error", "kind": "disk", "message": "No space left on device"}
    code = f"print({json.dumps(event)!r}); raise SystemExit(1)"
    with pytest.raises(StorageFailure, match="No space left"):
        run_process(lease, python(code), lambda e: None)


def test_killed_program_whose_child_holds_the_pipe_is_noticed(lease: Lease) -> None:
    code = (
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "os.kill(os.getpid(), 9)"
    )
    with pytest.raises(Died):
        run_process(lease, python(code), lambda e: None)


def test_cancel_ends_the_program_and_its_children(lease: Lease) -> None:
    code = (
        "import json, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(json.dumps({'event': 'up', 'child': child.pid}))\n"
        "time.sleep(600)"
    )
    child_pids: list[int] = []

    def on_event(event: dict[str, Any]) -> None:
        child_pids.append(event["child"])
        queue.cancel(job=lease.job, by=None)

    with pytest.raises(Cancelled):
        run_process(lease, python(code), on_event)
    child = child_pids[0]

    def is_gone() -> bool:
        return not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE

    wait_for(is_gone, 5, "the program's child outlived it")


def test_the_program_sees_only_the_gpus_of_its_job(lease: Lease) -> None:
    lease.gpus = ["1", "3"]
    events: list[dict[str, Any]] = []
    code = "import json, os; print(json.dumps({'event': os.environ['CUDA_VISIBLE_DEVICES']}))"
    run_process(lease, python(code), events.append)
    assert [event["event"] for event in events] == ["1,3"]


def test_a_process_of_the_program_that_was_killed_is_a_death(lease: Lease) -> None:
    words = "Process 2 of 2 was ended from outside (SIGKILL)."
    code = f'print(\'{{"event": "error", "kind": "killed", "message": "{words}"}}\'); exit(137)'
    with pytest.raises(Died, match="Process 2 of 2"):
        run_process(lease, python(code), lambda event: None)


STANDING = """
import json, os, sys
for line in sys.stdin:
    if json.loads(line).get("die"):
        os.kill(os.getpid(), 9)
    print(json.dumps({"event": "answered", "pid": os.getpid(), "asked": json.loads(line)}), flush=True)
"""


def test_standing_program_answers_one_request_after_another(lease: Lease) -> None:
    answers: list[dict[str, Any]] = []
    program = StandingProgram(python(STANDING))
    for number in (1, 2):
        program.ask(lease, {"number": number}, answers.append)
    assert [answer["asked"] for answer in answers] == [{"number": 1}, {"number": 2}]
    assert len({answer["pid"] for answer in answers}) == 1
    program.close()
    program.close()
    assert not psutil.pid_exists(answers[0]["pid"])


@pytest.mark.parametrize("code", [STANDING, "import os; os.kill(os.getpid(), 9)"])
def test_standing_program_that_is_killed_has_died(lease: Lease, code: str) -> None:
    program = StandingProgram(python(code))
    with pytest.raises(Died, match="SIGKILL"):
        program.ask(lease, {"die": True}, lambda e: None)
