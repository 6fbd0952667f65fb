"""TensorBoard of a run: a real one, behind our sign-in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from django.test import Client
from django.urls import reverse

from trainer.deleting import delete_run, plan_run
from trainer.models import TrainingRun
from trainer.runs import boards


@pytest.fixture
def logged(run: TrainingRun) -> TrainingRun:
    """A run with one scalar in its logs."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(boards.logs_of(run)))
    value = Summary.Value(tag="loss/train", simple_value=0.5)
    writer.add_event(Event(step=1, wall_time=time.time(), summary=Summary(value=[value])))
    writer.close()
    return run


@pytest.fixture
def ended() -> Iterator[None]:
    yield
    for child in psutil.Process().children():
        if boards.PROGRAM in child.cmdline():
            child.kill()
            child.wait()


@pytest.mark.integration
@pytest.mark.usefixtures("ended")
def test_it_opens_once_shows_the_run_and_ends_with_it(
    logged: TrainingRun,
    client_for: Callable[..., Client],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    client = client_for("viewer")
    board = reverse("trainer:board", args=[logged.pk])
    assert client.get(board).url == logged.get_absolute_url()  # type: ignore[attr-defined]
    answer = client.post(reverse("trainer:open_board", args=[logged.pk]))
    assert (answer.status_code, answer["Location"]) == (302, board)
    port = boards.port_of(logged)
    client.post(reverse("trainer:open_board", args=[logged.pk]))
    assert port is not None
    assert boards.port_of(logged) == port

    page = client.get(board)
    assert page.status_code == 200
    assert b"<tb-webapp>" in b"".join(page.streaming_content)  # type: ignore[attr-defined]
    assert "script-src" in page["Content-Security-Policy"]
    tags = client.get(f"{board}data/plugin/scalars/tags")
    assert "loss/train" in str(json.loads(b"".join(tags.streaming_content)))  # type: ignore[attr-defined]
    requests = json.dumps([{"plugin": "scalars", "tag": "loss/train"}])
    series = client.post(f"{board}data/plugin/timeseries/timeSeries", {"requests": requests})
    points = json.loads(b"".join(series.streaming_content))  # type: ignore[attr-defined]
    assert points[0]["runToSeries"]["."][0]["value"] == 0.5
    # Another run's address is not served by this one's program.
    assert client.get(f"/runs/{logged.pk + 1}/tensorboard/").status_code == 404

    program = psutil.Process(json.loads(boards._state(logged.pk).read_text())["pid"])
    with django_capture_on_commit_callbacks(execute=True):
        delete_run(run=logged, seen=plan_run(logged).digest, by=None)
    assert boards.port_of(logged) is None
    assert not list(boards._state(logged.pk).parent.glob(f"{logged.pk}.*"))
    program.wait(30)


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("nobody", 403)])
def test_only_people_who_may_see_runs_can_open_it(
    role: str, status: int, run: TrainingRun, client_for: Callable[..., Client]
) -> None:
    client = client_for(role)
    for answer in (
        client.get(reverse("trainer:board", args=[run.pk])),
        client.post(reverse("trainer:board", args=[run.pk])),
        client.post(reverse("trainer:open_board", args=[run.pk])),
    ):
        assert answer.status_code == status
    assert boards.port_of(run) is None


def test_without_logs_it_says_so(run: TrainingRun, client_for: Callable[..., Client]) -> None:
    answer = client_for("viewer").post(reverse("trainer:open_board", args=[run.pk]), follow=True)
    assert "no TensorBoard logs yet" in answer.content.decode()
