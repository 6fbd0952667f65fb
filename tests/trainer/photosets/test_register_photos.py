"""The command register_photos."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import DjangoCaptureOnCommitCallbacks

from jobs import work
from jobs.lease import Cancelled, Lease, claim
from jobs.models import Job
from tests.trainer.conftest import jpeg, write
from trainer.models import PhotoSet
from trainer.photosets import registration

pytestmark = pytest.mark.django_db


def test_command_registers_any_folder_and_prints_the_counts(
    classes: object, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PHOTO_ROOTS", [])
    write(folder / "x/nowhere/1.jpg", jpeg())
    call_command("register_photos", str(folder), name="SUN")
    out = capsys.readouterr().out
    assert "40 photos of 4 classes" in out
    assert "1 skipped, unknown class folder: x/nowhere/" in out
    with pytest.raises(CommandError, match="exists already"):
        call_command("register_photos", str(folder), name="SUN")


def test_command_fails_with_a_reason(classes: object, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no"):
        call_command("register_photos", str(tmp_path / "gone"), name="SUN")
    with pytest.raises(CommandError, match="not a tar"):
        call_command("register_photos", str(write(tmp_path / "t.tar", b"x")), name="SUN")


def test_command_does_the_work_before_any_worker_can(
    classes: object,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside a running site a delivery comes first and finds nothing to claim, so none is sent."""
    deliveries: list[object] = []
    monkeypatch.setattr(current_app, "send_task", lambda *given, **_: deliveries.append(given))
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        call_command("register_photos", str(folder), name="SUN")
    assert "“SUN” is ready: 40 photos of 4 classes." in capsys.readouterr().out
    assert (deliveries, caplog.messages) == ([], [])
    with django_capture_on_commit_callbacks(execute=True):
        call_command("register_photos", str(folder), name="later", no_wait=True)
    assert "“later” is queued" in capsys.readouterr().out
    assert len(deliveries) == 1
    assert PhotoSet.objects.get(name="later").job.state == Job.State.QUEUED  # type: ignore[union-attr]


def test_command_waits_for_the_storage_and_for_a_worker(
    classes: object, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = folder.with_name("unmounted")
    check, looks = registration._check, 0

    def unmounted(root: Path, path: str) -> Any:
        if folder.exists() and not looks:
            folder.rename(away)
        return check(root, path)

    def look(seconds: float) -> None:
        """At the first look a worker has the job and finds nothing, at the second the folder is back."""
        nonlocal looks
        looks += 1
        if looks == 1:
            assert claim(Job.objects.get().pk)
        else:
            away.rename(folder)
            Job.objects.update(state=Job.State.QUEUED, lease_until=None)

    monkeypatch.setattr(registration, "_check", unmounted)
    monkeypatch.setattr(registration, "_threads", lambda: 1)
    monkeypatch.setattr(time, "sleep", look)
    call_command("register_photos", str(folder), name="SUN")
    assert looks == 2
    assert "“SUN” is ready: 40 photos" in capsys.readouterr().out


def test_command_fails_if_somebody_cancels(
    classes: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(lease: Lease) -> None:
        raise Cancelled

    monkeypatch.setattr(work, "handler_of", lambda kind: cancelled)
    with pytest.raises(CommandError, match="“SUN” is not ready: It was cancelled"):
        call_command("register_photos", str(folder), name="SUN")
