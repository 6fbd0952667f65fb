"""Spans of requests, jobs and the engine reach a collector, with their parents and without personal data."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from kombu import Connection
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from formats import spans
from jobs import queue, registry
from jobs.lease import Lease
from jobs.models import Job
from jobs.processes import run_process
from jobs.request_id import carried
from jobs.tasks import run_job
from tests.conftest import api_key
from tests.trainer.engine.serving.test_suggester import RED, Make, make_model
from trainer.programs import engine_command

pytest.importorskip("opentelemetry.exporter")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["make_model"]
ID = "of-the-request"


class Collector:
    """A fake of an OpenTelemetry collector: it keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def spans(self) -> dict[str, Any]:
        """By name."""
        spans._made().force_flush()
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return {
            span.name: span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Collector]:
    """From now on everything has spans, which go there."""
    kept = Collector()

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Keep) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        settings.MIDDLEWARE = [
            settings.MIDDLEWARE[0],
            "hashtags_site.tracing.Trace",
            *settings.MIDDLEWARE[1:],
        ]
        forget()
        yield kept
        spans._made().shutdown()
        server.shutdown()
    monkeypatch.undo()
    forget()


def forget() -> None:
    """As a process that has just started."""
    spans.is_on.cache_clear()
    spans._made.cache_clear()


def facts_of(span: Any) -> dict[str, str]:
    """As text, whatever their type."""
    values = ((fact.key, fact.value) for fact in span.attributes)
    return {key: str(getattr(value, value.WhichOneof("value"))) for key, value in values}


def test_request_tells_its_route_and_nothing_of_people(
    collector: Collector, client_for: Callable[..., Client]
) -> None:
    response = client_for("curator", "ann.secret").get(
        "/mapping/hashtags/secret/?q=secret", REMOTE_ADDR="192.0.2.77"
    )
    client_for("curator", "ann.secret").get(reverse("mapping:hashtags"), {"q": "secret"})
    made = collector.spans()
    assert response.status_code == 404
    assert facts_of(made["GET"])["http.response.status_code"] == "404"
    facts = facts_of(made["GET /mapping/hashtags/"])
    assert facts.pop("scenetag.request_id")
    assert facts == {
        "http.request.method": "GET",
        "http.route": "/mapping/hashtags/",
        "http.response.status_code": "200",
        "scenetag.account": "person",
    }
    for private in (b"secret", b"192.0.2.77", b"sessionid"):
        assert not any(private in body for body in collector.bodies), private


def test_programs_and_guests_are_told_apart(
    collector: Collector, client_for: Callable[..., Client], user_for: Callable[..., User]
) -> None:
    guest = user_for("validator", "guest")
    guest.set_unusable_password()
    guest.save()
    client = Client()
    client.force_login(guest, "django.contrib.auth.backends.ModelBackend")
    client.get(reverse("home"))
    key = api_key(user_for("network"))
    Client().post(reverse("api_suggest"), HTTP_AUTHORIZATION=f"Token {key}")
    client_for("stranger").get(reverse("login"))
    accounts = {name: facts_of(span).get("scenetag.account") for name, span in collector.spans().items()}
    assert accounts == {"GET /": "guest", "POST /api/v1/suggest": "program", "GET /login/": "nobody"}


@pytest.mark.django_db
def test_job_its_message_and_its_program_belong_to_the_request(
    collector: Collector,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    make_model: Make,
    tmp_path: Path,
) -> None:
    model, photo = make_model(), tmp_path / "red.png"
    Image.new("RGB", (40, 40), RED).save(photo)

    def handle(lease: Lease) -> None:
        run_process(lease, engine_command("predict", model, photo), lambda event: None)

    registry.register("test.engine", handle)
    with spans.request_span(ID, "GET"), carried(ID), django_capture_on_commit_callbacks(execute=True):
        job = queue.enqueue(kind="test.engine", title="x", by=None)
    _deliver(job)
    job.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED
    made = collector.spans()
    request, task, work = (made[name] for name in ("GET", "jobs.run", "job test.engine"))
    assert task.parent_span_id == request.span_id
    assert work.parent_span_id == task.span_id
    engine = made["engine predict"]
    assert engine.parent_span_id == work.span_id
    assert made["decode"].parent_span_id == made["network"].parent_span_id == engine.span_id
    assert len({span.trace_id for span in made.values()}) == 1


def _deliver(job: Job) -> None:
    """As a worker does, with the message that is in Valkey."""
    with (
        Connection(django_settings.CELERY_BROKER_URL) as connection,
        connection.SimpleQueue("celery") as messages,
    ):
        message = messages.get(timeout=10)
        message.ack()
    assert message.payload[0] == [str(job.pk)]
    run_job.push_request(**message.headers)
    try:
        run_job.run(str(job.pk))
    finally:
        run_job.pop_request()


@pytest.mark.django_db
def test_job_finds_its_request_without_a_message(
    collector: Collector, run_jobs: Callable[[], list[Job]]
) -> None:
    """Lost messages are sent again by a worker, and a slot's holder takes jobs whose message another had."""

    def fail(lease: Lease) -> None:
        raise ZeroDivisionError

    registry.register("test.fails", fail)
    with spans.request_span(ID, "GET"):
        Job.objects.create(kind="test.fails", title="x", request_id=ID)
    run_jobs()
    made = collector.spans()
    assert made["job test.fails"].parent_span_id == made["GET"].span_id
    assert made["job test.fails"].trace_id == made["GET"].trace_id


def test_error_tells_its_class_only(collector: Collector) -> None:
    with pytest.raises(ValueError, match="secret"), spans.span("failing"):
        raise ValueError("secret of ann")
    failing = collector.spans()["failing"]
    assert facts_of(failing) == {"error.type": "ValueError"}
    assert not any(b"secret" in body for body in collector.bodies)


@pytest.mark.parametrize("name", ["", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_nothing_is_imported_while_it_is_off(name: str) -> None:
    code = "import sys; from formats import spans; list(spans.each('x', [1])); print(*sys.modules)"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    environment = clean | ({name: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"} if name else {})
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert b"formats.spans" in result.stdout
    assert b"opentelemetry" not in result.stdout
    assert "hashtags_site.tracing.Trace" not in django_settings.MIDDLEWARE
