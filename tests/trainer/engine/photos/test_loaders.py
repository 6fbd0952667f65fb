"""A process that reads photos dies: training reads on, starts anew, or ends; it never waits for ever."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from torch.utils.data import Dataset

from trainer.engine.errors import LoaderDied
from trainer.engine.photos.loaders import rows

STUCK = """
import multiprocessing, os, signal, sys, time
from trainer.engine.photos.loaders import noticed
if __name__ == "__main__":
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    with noticed([child.sentinel], seconds=0.1):
        os.kill(child.pid, signal.SIGKILL)
        os.read(os.pipe()[0], 1)  # for ever: half a batch is all there is
"""
ENDS = """
import multiprocessing, time
from trainer.engine.photos.loaders import noticed
child = multiprocessing.get_context("fork").Process(target=int)
child.start()
with noticed([child.sentinel], seconds=60):
    child.join()
print("whole")
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.integration
def test_a_trainer_stuck_on_a_dead_loader_ends_and_says_why() -> None:
    done = run(STUCK)
    assert done.returncode == 1, done.stderr
    event = json.loads(done.stdout)
    assert (event["event"], event["kind"]) == ("error", "loader")


@pytest.mark.integration
def test_loaders_that_end_in_time_end_nothing_else() -> None:
    done = run(ENDS)
    assert (done.returncode, done.stdout) == (0, "whole\n")


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, at: int) -> int:
        return at


class Deadly(Numbers):
    def __getitem__(self, at: int) -> Any:
        if at == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return at


PAIRS = [[at, at + 1] for at in range(0, 64, 2)]


@pytest.mark.integration
def test_batches_come_in_order_and_a_death_has_its_own_error() -> None:
    assert list(rows(Numbers(), PAIRS, 2)) == PAIRS
    with pytest.raises(LoaderDied):
        list(rows(Deadly(), PAIRS, 2))
    assert not [process for process in multiprocessing.active_children() if "DataLoader" in process.name]


@pytest.mark.integration
def test_a_server_that_does_not_answer_is_a_dead_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed just while it starts a loader, the server of loaders answers with the end of its pipe."""
    from multiprocessing import forkserver

    def broken(*args: Any) -> int:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(forkserver, "read_signed", broken)
    with pytest.raises(LoaderDied, match="EOF"):
        list(rows(Numbers(), PAIRS, 1))
