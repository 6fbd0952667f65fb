"""`manage.py doctor` and its page: each part that is not in order is named, with what to do about it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from hashtags_site import health
from hashtags_site.doctor import checks
from hashtags_site.doctor.findings import FAIL, OK, WARN, Check, Examiner, Finding
from jobs.code_version import code_version
from jobs.models import Job, Worker
from tests.conftest import RealValkey
from tests.trainer.conftest import _own_folders, active_model, model_for, tiny_model
from trainer.models import TrainedModel

__all__ = ["_own_folders", "active_model", "model_for", "tiny_model"]


def examined() -> tuple[dict[str, Any], int]:
    out, code = StringIO(), 0
    try:
        call_command("doctor", "--json", stdout=out)
    except SystemExit as end:
        code = int(str(end.code))
    return json.loads(out.getvalue()), code


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_whole_site_has_no_failure(valkey: RealValkey) -> None:
    report, code = examined()
    assert [one for one in report["findings"] if one["verdict"] == FAIL] == []
    assert (report["status"], code) == (OK, 0)
    assert {check.part for check in checks.CHECKS} <= {one["part"] for one in report["findings"]}
    assert [one for one in report["findings"] if one["verdict"] == WARN and not one["advice"]] == []


@pytest.mark.django_db(transaction=True)
def test_part_that_is_away_ends_the_command_with_1(valkey: RealValkey) -> None:
    valkey.stop()
    try:
        report, code = examined()
    finally:
        valkey.start()
    failed = [one for one in report["findings"] if one["verdict"] == FAIL]
    assert ([one["part"] for one in failed], code) == (["broker"], 1)
    assert "REDIS_URL" in failed[0]["advice"]


def test_part_that_hangs_is_told_and_not_started_again() -> None:
    end, begun = threading.Event(), []

    def hang() -> Finding:
        begun.append(1)
        end.wait()
        return Finding("hung", OK, "It answers.")

    examiner = Examiner(
        [Check("hung", hang, "Look."), Check("whole", lambda: Finding("whole", OK, "Yes."), "")]
    )
    for _ in range(2):
        hung, whole = examiner.examine(0.5)
        assert (hung.verdict, hung.advice) == (FAIL, "Look.")
        assert whole == Finding("whole", OK, "Yes.")
    assert len(begun) == 1
    end.set()


@pytest.mark.django_db
def test_missing_migration_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = health.needed_migrations()
    monkeypatch.setattr(checks, "needed_migrations", lambda: needed | {("jobs", "9999_of_tomorrow")})
    found = checks.look_at_migrations()
    assert (found.verdict, "jobs.9999_of_tomorrow" in found.fact) == (FAIL, True)
    monkeypatch.setattr(checks, "needed_migrations", lambda: needed - {("jobs", "0001_initial")})
    found = checks.look_at_migrations()
    assert (found.verdict, "jobs.0001_initial" in found.fact) == (WARN, True)


@pytest.mark.django_db
def test_worker_with_old_code_is_named() -> None:
    Worker.objects.create(name="new:1", seen_at=timezone.now(), version=code_version())
    assert [one.verdict for one in checks.look_at_workers()] == [OK]
    Worker.objects.create(name="old:2", seen_at=timezone.now(), version="0123456789")
    [found] = checks.look_at_workers()
    assert (found.verdict, "old:2 has version 0123456789" in found.fact) == (WARN, True)


@pytest.mark.django_db
def test_jobs_that_wait_need_a_worker() -> None:
    job = Job.objects.create(kind="x", title="Waiting for days")
    Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert [one.verdict for one in checks.look_at_workers()] == [FAIL]
    Worker.objects.create(name="new:1", seen_at=timezone.now(), version=code_version())
    _, queue = checks.look_at_workers()
    assert (queue.verdict, "“Waiting for days” has waited for 2,880 min" in queue.fact) == (WARN, True)


@pytest.mark.postgres
@pytest.mark.django_db
def test_clock_that_runs_ahead_is_told() -> None:
    assert checks.look_at_clock().verdict == OK
    Worker.objects.create(name="ahead:1", seen_at=timezone.now() + timedelta(minutes=1))
    assert checks.look_at_clock().verdict == FAIL


def test_damaged_model_is_told(active_model: TrainedModel) -> None:
    file = active_model.folder / "model.onnx"
    active_model.manifest["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    active_model.save()
    (active_model.folder / "manifest.json").write_text(json.dumps(active_model.manifest))
    assert checks.look_at_model().verdict == OK
    file.write_bytes(file.read_bytes() + b"x")
    found = checks.look_at_model()
    assert (found.verdict, "its SHA-256 differs" in found.fact) == (FAIL, True)
    file.unlink()
    assert checks.look_at_model().verdict == FAIL


def test_folder_that_takes_no_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "RUNS_DIR", "/proc/self")  # not even root can write there
    [found] = checks.look_at_storage()
    assert (found.verdict, "/proc/self" in found.advice) == (FAIL, True)


def test_low_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LOW_BYTES", 10**18)
    assert checks.look_at_disk().verdict == WARN
    monkeypatch.setattr(checks, "FREE_BYTES", 10**18)
    assert checks.look_at_disk().verdict == FAIL


@pytest.mark.django_db(transaction=True)
def test_admin_reads_it_in_the_browser(client_for: Callable[..., Client]) -> None:
    admin = client_for("admin")
    assert "/health/doctor/" in admin.get("/jobs/").content.decode()
    page = admin.get("/health/doctor/").content.decode()
    assert "No worker is running." in page
    assert "celery -A hashtags_site worker" in page
    viewer = client_for("viewer")
    assert viewer.get("/health/doctor/").status_code == 403
    assert "/health/doctor/" not in viewer.get("/jobs/").content.decode()
