"""/metrics: who may read it, what it counts over all processes, and that the dashboard shows just that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from jobs.models import Job, Worker
from tests.trainer.conftest import _own_folders, active_model, jpeg, model_for, tiny_model
from trainer.models import TrainedModel

__all__ = ["_own_folders", "active_model", "model_for", "tiny_model"]
pytestmark = pytest.mark.django_db
TOKEN = {"Authorization": "Bearer let-me-read"}


@pytest.fixture
def read(settings: Settings) -> Callable[[], dict[str, float]]:
    """The samples as Prometheus reads them: name{label="value",…} → value."""
    settings.METRICS_TOKEN = "let-me-read"

    def scrape() -> dict[str, float]:
        text = Client().get("/metrics", headers=TOKEN).content.decode()
        return {
            sample.name + "".join(f" {k}={v}" for k, v in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return scrape


def test_strangers_are_refused_by_default(client: Client, client_for: Callable[..., Client]) -> None:
    answer = client.get("/metrics")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401
    assert client_for("viewer").get("/metrics").status_code == 403
    assert client_for("admin").get("/metrics").status_code == 200


def test_token_opens_it(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "let-me-read"
    assert client.get("/metrics", headers=TOKEN).status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer let-me-rea"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Basic let-me-read"}).status_code == 401


def test_network_opens_it_but_never_through_a_proxy(client: Client, settings: Settings) -> None:
    settings.METRICS_NETWORKS = [ip_network("10.0.0.0/8")]
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
    passed_on = {"X-Forwarded-For": "203.0.113.9"}
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3", headers=passed_on).status_code == 401


def test_what_happens_is_counted(
    active_model: TrainedModel, client_for: Callable[..., Client], read: Callable[[], dict[str, float]]
) -> None:
    before = read()
    network = client_for("network")
    for colour in ((255, 0, 0), (0, 0, 255)):  # a beach, and other
        photo = SimpleUploadedFile("x.jpg", jpeg(colour), "image/jpeg")
        assert network.post("/api/v1/suggest", {"photo": photo}).status_code == 200
    after = read()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown("scenetag_suggestions_total hashtag=beach outcome=suggested") == 1
    assert grown("scenetag_suggestions_total hashtag= outcome=silent") == 1
    assert grown("scenetag_requests_total method=POST status=200 view=api_suggest") == 2
    assert grown("scenetag_request_seconds_count view=api_suggest") == 2
    assert grown("scenetag_photo_seconds_count part=decode") == 2
    assert grown("scenetag_photo_seconds_count part=network") == 2
    assert grown("scenetag_networks_total cache=kept") >= 1
    sha256 = active_model.manifest["sha256"]
    assert after[f"scenetag_active_model_info id={active_model.pk} name=Colours sha256={sha256}"] == 1


def test_all_processes_are_added_up(read: Callable[[], dict[str, float]]) -> None:
    name = "scenetag_votes_total answer=fits"
    before = read().get(name, 0)
    code = "import prometheus_client as p; p.Counter('scenetag_votes', '', ['answer']).labels('fits').inc(5)"
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(settings.METRICS_DIR)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert read()[name] - before == 5


@pytest.mark.postgres
def test_what_the_database_knows_is_read_from_it(read: Callable[[], dict[str, float]]) -> None:
    job = Job.objects.create(kind="trainer.train", title="x", leases_lost=3)
    Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(hours=1))
    Worker.objects.create(name="w:1", seen_at=timezone.now(), version="abc")
    Worker.objects.create(name="w:2", seen_at=timezone.now() - timedelta(hours=1), version="abc")
    samples = read()
    assert samples["scenetag_jobs kind=trainer.train state=queued"] == 1
    assert samples["scenetag_queue_jobs"] == 1
    assert 3600 <= samples["scenetag_queue_oldest_seconds"] < 3700
    assert samples["scenetag_leases_lost_total"] == 3
    assert samples["scenetag_workers version=abc"] == 1
    assert samples["scenetag_database_up"] == 1
    assert samples["scenetag_disk_free_bytes folder=VAR_DIR"] > 0


def test_dashboard_asks_only_for_metrics_that_exist(
    active_model: TrainedModel, client_for: Callable[..., Client], read: Callable[[], dict[str, float]]
) -> None:
    from validation.voting.votes import VOTES

    VOTES.labels("fits").inc(0)
    photo = SimpleUploadedFile("x.jpg", jpeg(), "image/jpeg")
    client_for("network").post("/api/v1/suggest", {"photo": photo})
    Job.objects.create(kind="x", title="x")
    Worker.objects.create(name="w:1", seen_at=timezone.now())
    there = {name.split(" ")[0] for name in read()}
    dashboard: dict[str, Any] = json.loads((settings.BASE_DIR / "deploy/grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"scenetag_\w+", target["expr"])
    }
    assert asked - there == set()
    shown = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in asked}
    exist = {
        re.sub(r"_(bucket|sum|count|created)$", "", name) for name in there if name.startswith("scenetag_")
    }
    assert exist - shown == set()  # and shows all of them


def test_request_has_an_id_and_its_job_too(
    client_for: Callable[..., Client],
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent = {"X-Request-ID": "from-the-proxy.1"}
    first, second = (client_for("viewer").get("/jobs/", headers=sent)["X-Request-ID"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{32}", first)  # without a proxy anybody could have sent it
    assert first != second
    settings.PROXIES = 1
    assert client_for("viewer").get("/jobs/", headers=sent)["X-Request-ID"] == "from-the-proxy.1"
    odd = {"X-Request-ID": 'x" level=ERROR'}
    assert client_for("viewer").get("/jobs/", headers=odd)["X-Request-ID"] != odd["X-Request-ID"]
