"""One trainer a folder; and a supervised one ends with its supervisor, come what may."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.engine.conftest import StopsAfter, events_of
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.parent import SUPERVISED
from trainer.engine.training.lock import BusyError, only_trainer

HOLD = """
import sys
from pathlib import Path
from trainer.engine.events import StopRequest
from trainer.engine.training.lock import only_trainer
with only_trainer(Path(sys.argv[1]), StopRequest()):
    print("held", flush=True)
    sys.stdin.read()
"""
# A trainer that is deaf: stuck in a batch, it gets round to no signal. Its child loads photos.
DEAF = """
import os, signal, subprocess, sys, time
from trainer.engine import parent
parent.GRACE = 0.2
signal.signal(signal.SIGTERM, lambda *_: None)
parent.end_with_parent()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print(os.getpid(), child.pid, flush=True)
while True:
    time.sleep(100)
"""
# Each of the two ways to hear of it, with the other one switched off.
TOLD_BY = {
    "the kernel": "parent._watch = lambda supervisor: None",
    "looking": "sys.platform = 'not Linux'",
}
LISTENING = """
import os, subprocess, sys, time
from trainer.engine import parent
{}
parent.end_with_parent()
child = subprocess.Popen([sys.executable, "-c", "import os; os.read(0, 1)"], stdin=subprocess.PIPE)
print(os.getpid(), child.pid, flush=True)
time.sleep(100)
"""
SUPERVISOR = """
import os, subprocess, sys
environment = os.environ | ({sys.argv[2]: str(os.getpid())} if sys.argv[2] else {})
trainer = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True, env=environment,
    start_new_session=True,
)
print(trainer.stdout.readline(), flush=True)
sys.stdin.read()
"""


def test_a_second_trainer_waits_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_trainer(tmp_path, StopRequest()):
        with pytest.raises(BusyError) as caught, only_trainer(tmp_path, StopRequest(), patience=0.2):
            pass
        with pytest.raises(Stopped), only_trainer(tmp_path, StopsAfter(1)):
            pass
    assert caught.value.kind == "busy"
    assert [event["event"] for event in events_of(capsys.readouterr().out)] == ["waiting", "waiting"]
    with only_trainer(tmp_path, StopRequest(), patience=0):
        pass


def test_a_killed_trainer_holds_nothing_and_its_half_files_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    (tmp_path / "checkpoint.pt1234.part").write_bytes(b"half")
    with pytest.raises(BusyError), only_trainer(tmp_path, StopRequest(), patience=0):
        pass
    assert list(tmp_path.glob("*.part")), "they are the living trainer's"
    holder.kill()
    holder.communicate()
    with only_trainer(tmp_path, StopRequest(), patience=0):
        assert not list(tmp_path.glob("*.part"))


def orphaned(name: str, trainer_code: str = DEAF) -> tuple[int, int]:
    """Kill a supervisor; the pidfds of its trainer and of the trainer's child."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, trainer_code, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    trainer, child = map(int, supervisor.stdout.readline().split())
    handles = os.pidfd_open(trainer), os.pidfd_open(child)
    supervisor.kill()
    supervisor.communicate()
    return handles


@pytest.mark.integration
def test_a_deaf_trainer_ends_with_its_supervisor_and_so_do_its_loaders() -> None:
    for handle in orphaned(SUPERVISED):
        assert select.select([handle], [], [], 10)[0], "it outlived its supervisor"
        os.close(handle)


@pytest.mark.integration
@pytest.mark.parametrize("way", TOLD_BY)
def test_the_kernel_and_looking_each_end_a_trainer_without_supervisor(way: str) -> None:
    for handle in orphaned(SUPERVISED, LISTENING.format(TOLD_BY[way])):
        assert select.select([handle], [], [], 10)[0], "it outlived its supervisor"
        os.close(handle)


@pytest.mark.integration
def test_one_started_in_a_terminal_does_not() -> None:
    handles = orphaned("")
    assert not select.select(handles, [], [], 0.8)[0]
    for handle in handles:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
