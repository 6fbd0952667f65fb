"""The housekeeping of workers calls what apps ask for."""

from __future__ import annotations

import logging

import pytest

from jobs import keeper

pytestmark = pytest.mark.django_db


def test_a_chore_that_fails_does_not_keep_others_from_being_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def fail() -> None:
        raise RuntimeError

    def do() -> None:
        done.append(1)

    monkeypatch.setattr(keeper, "_chores", [])
    keeper.every_round(fail)
    for _ in range(2):  # as if an app were made ready twice
        keeper.every_round(do)
    with caplog.at_level(logging.ERROR, "jobs.keeper"):
        keeper.keep_house()
    assert done == [1]
    assert "fail failed" in caplog.text
