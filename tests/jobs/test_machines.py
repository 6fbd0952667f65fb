"""Workers take only jobs that fit their machine; what fits none says so; GPUs are held by one job each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs import machines, queue, registry, work
from jobs.lease import Lease
from jobs.machines import Machine, Needs, as_json, misfit
from jobs.models import Job, Worker
from jobs.slots import hold_gpus

State = Job.State
pytestmark = pytest.mark.django_db
SMALL = Machine(cores=2, memory=8 * 10**9)
LARGE = Machine(gpus=["A", "B"], cores=16, memory=64 * 10**9)


@pytest.fixture
def fake_gpus(settings: Settings) -> Iterator[Callable[[int], None]]:
    """Pretends that this machine has so many GPUs."""

    def pretend(count: int) -> None:
        settings.FAKE_GPUS = count

    yield pretend
    pretend(0)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Titles and GPUs of the jobs of the kind "train", which has two slots, in the order they were done."""
    done: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))
    registry.register("train", lambda lease: done.append((lease.job.title, lease.gpus)), slots=2)
    return done


def queued(title: str, processes: int) -> Job:
    return queue.enqueue(kind="train", title=title, by=None, needs=Needs(processes))


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(2), ""),
        (Needs(2, only_gpus=True), ""),
        (Needs(3), "It needs 3 GPUs, or cores where there is no GPU; the largest worker has 2."),
        (Needs(3, only_gpus=True), "It needs 3 GPUs; the largest worker has 2."),
        (Needs(memory=64_970_000_000), "It needs 65.0 GB of memory; the largest worker has 64.0 GB."),
    ],
)
def test_what_fits_no_machine_says_what_is_missing(needs: Needs, words: str) -> None:
    assert misfit(needs, [SMALL, LARGE]) == words
    assert misfit(needs, []) == ""  # another message says that no worker runs


def test_a_worker_takes_the_oldest_job_that_fits(
    ran: list[tuple[str, list[str]]], fake_gpus: Callable[[int], None]
) -> None:
    fake_gpus(2)
    jobs = [queued("large", 3), queued("two", 2), queued("one", 1)]
    work.run(job_id=str(jobs[0].pk))
    assert ran == [("two", ["0", "1"]), ("one", ["0"])]
    jobs[0].refresh_from_db()
    assert (jobs[0].state, jobs[0].token) == (State.QUEUED, 0)


def test_jobs_at_once_have_other_gpus_and_one_that_needs_more_is_not_overtaken(
    ran: list[tuple[str, list[str]]], fake_gpus: Callable[[int], None]
) -> None:
    fake_gpus(2)

    def handler(lease: Lease) -> None:
        ran.append((lease.job.title, lease.gpus))
        if lease.job.title == "first":
            work.run(job_id=str(queued("beside", 1).pk))
            queued("both", 2)
            work.run(job_id=str(queued("last", 1).pk))

    registry.register("train", handler, slots=2)
    work.run(job_id=str(queued("first", 1).pk))
    assert ran == [("first", ["0"]), ("beside", ["1"]), ("both", ["0", "1"]), ("last", ["0"])]


def test_gpus_are_taken_all_or_none() -> None:
    with hold_gpus(["0", "1", "2"], 2) as two:
        assert two == ["0", "1"]
        with hold_gpus(["0", "1", "2"], 2) as none, hold_gpus(["0", "1", "2"], 1) as one:
            assert none is None
            assert one == ["2"]
    with hold_gpus(["0"], 1) as again:
        assert again == ["0"]


def test_pages_show_what_workers_have_and_which_job_fits_none(client_for: Callable[..., Client]) -> None:
    job = queued("Huge", 3)
    page = client_for("viewer").get(f"/jobs/{job.pk}/").content.decode()
    assert "No worker can take it" not in page
    for name, machine in (("small:1", SMALL), ("large:2", LARGE)):
        Worker.objects.create(name=name, seen_at=timezone.now(), machine=as_json(machine))
    page = client_for("viewer").get(f"/jobs/{job.pk}/").content.decode()
    assert (
        "No worker can take it. It needs 3 GPUs, or cores where there is no GPU; the largest worker has 2."
        in page
    )
    page = client_for("viewer").get("/jobs/").content.decode()
    assert "No worker can take it. It needs 3 GPUs" in page
    assert "A, B" in page
    assert "large:2" in page


def test_a_worker_says_what_it_has(fake_gpus: Callable[[int], None]) -> None:
    fake_gpus(1)
    from jobs.keeper import keep_house

    keep_house()
    machine = Machine(**Worker.objects.get().machine)
    assert machine.gpus == ["fake GPU 0"]
    assert min(machine.cores, machine.memory, machine.disk_free) > 0


def test_gpus_that_could_not_be_listed_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, answer = tmp_path / "nvidia-smi", tmp_path / "answer"
    program.write_text(f"#!/bin/sh\nread line < {answer} && echo $line\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machines, "_silent_until", 0.0)
    machines._listed_gpus.cache_clear()
    assert machines.gpus() == []
    answer.write_text("0, H200\n")
    assert machines.gpus() == []  # not at once: a program that hangs would hold up every heartbeat
    monkeypatch.setattr(machines, "_silent_until", 0.0)
    assert machines.gpus() == [("0", "H200")]
    answer.unlink()
    assert machines.this_machine().gpus == ["H200"]
    machines._listed_gpus.cache_clear()
