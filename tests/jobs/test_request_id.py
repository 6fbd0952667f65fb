"""The id of a request goes on into the job that it starts, and into the job's programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from jobs import queue, registry, request_id
from jobs.lease import Lease
from jobs.models import Job
from jobs.processes import Event, run_process

SHOW = "from trainer.engine.events import emit; emit('shown')"


@pytest.mark.django_db
def test_job_and_its_program_know_the_request(run_jobs: Callable[[], list[Job]]) -> None:
    events: list[Event] = []
    ids: list[str] = []

    def handle(lease: Lease) -> None:
        ids.append(request_id.current())
        run_process(lease, [sys.executable, "-c", SHOW], events.append)

    registry.register("test.shown", handle)
    with request_id.carried("of-the-request"):
        queue.enqueue(kind="test.shown", title="x", by=None)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    assert ids == ["of-the-request"]
    assert events == [{"event": "shown", "request_id": "of-the-request"}]
    assert request_id.current() == ""


def test_engine_in_a_terminal_belongs_to_no_request() -> None:
    environment = {key: value for key, value in os.environ.items() if key != request_id.VARIABLE}
    result = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, check=True)
    assert json.loads(result.stdout) == {"event": "shown"}
