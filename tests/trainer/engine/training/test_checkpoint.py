"""Checkpoints: the newest that can be read, whatever happened to the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.engine.training import checkpoint
from trainer.engine.training.checkpoint import CheckpointError


def test_the_one_before_the_newest_is_kept(tmp_path: Path) -> None:
    assert not checkpoint.exists(tmp_path)
    for at in range(3):
        checkpoint.save_latest(tmp_path, {"at": at})
    assert checkpoint.latest(tmp_path)["at"] == 2
    assert checkpoint.load(tmp_path / checkpoint.PREVIOUS)["at"] == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_checkpoint_is_skipped_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in range(2):
        checkpoint.save_latest(tmp_path, {"at": at})
    (tmp_path / checkpoint.NAME).write_bytes(b"half a file")
    assert checkpoint.latest(tmp_path)["at"] == 0
    assert "damaged" in capsys.readouterr().out


def test_one_lost_is_no_end_either(tmp_path: Path) -> None:
    for at in range(2):
        checkpoint.save_latest(tmp_path, {"at": at})
    (tmp_path / checkpoint.NAME).unlink()
    assert checkpoint.exists(tmp_path)
    assert checkpoint.latest(tmp_path)["at"] == 0
    checkpoint.save_latest(tmp_path, {"at": 5})
    assert checkpoint.load(tmp_path / checkpoint.PREVIOUS)["at"] == 0


def test_all_damaged_says_what_to_do(tmp_path: Path) -> None:
    for _ in range(2):
        checkpoint.save_latest(tmp_path, {})
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt cannot be read") as caught:
        checkpoint.latest(tmp_path)
    assert "Remove" in caught.value.hint


def test_a_finished_run_needs_none(tmp_path: Path) -> None:
    for _ in range(2):
        checkpoint.save_latest(tmp_path, {})
    checkpoint.remove(tmp_path)
    assert not checkpoint.exists(tmp_path)
    checkpoint.remove(tmp_path)
