"""What the database and the disk know: exact, and the same whichever process is asked."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.code_version import code_version
from jobs.models import Job, Worker
from trainer.registry.serving import active_model

log = logging.getLogger(__name__)


class Facts(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from _disk()
        yield InfoMetricFamily("scenetag_program", "What runs here.", value={"version": code_version()})
        try:
            rows = [*_jobs(), *_workers(), *_model()]
        except (DatabaseError, InterfaceError) as error:
            log.warning("The metrics lack what the database knows: %s", error)
            rows = []
        yield GaugeMetricFamily(
            "scenetag_database_up", "1 if the database answered this scrape.", value=bool(rows)
        )
        yield from rows


def _disk() -> Iterator[Metric]:
    free = GaugeMetricFamily("scenetag_disk_free_bytes", "Space for files.", labels=["folder"])
    for name in ("VAR_DIR", "MEDIA_ROOT", "MODELS_DIR", "RUNS_DIR", "PHOTO_SETS_DIR"):
        folder = Path(getattr(settings, name))
        if folder.is_dir():
            free.add_metric([name], shutil.disk_usage(folder).free)
    yield free


def _jobs() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("scenetag_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    for kind, state, count in Job.objects.order_by().values_list("kind", "state").annotate(Count("pk")):
        jobs.add_metric([kind, state], count)
    yield jobs
    queued = Job.objects.filter(state=Job.State.QUEUED)
    oldest = queued.aggregate(oldest=Min("created_at"))["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0
    yield GaugeMetricFamily("scenetag_queue_jobs", "Jobs that no worker has taken.", value=queued.count())
    yield GaugeMetricFamily("scenetag_queue_oldest_seconds", "Age of the oldest of them.", value=age)
    lost = Job.objects.aggregate(lost=Sum("leases_lost"))["lost"] or 0
    yield CounterMetricFamily("scenetag_leases_lost", "Jobs whose holder fell silent.", value=lost)


def _workers() -> Iterator[Metric]:
    workers = GaugeMetricFamily("scenetag_workers", "Workers alive, by version.", labels=["version"])
    for version, count in Worker.objects.live().order_by().values_list("version").annotate(Count("pk")):
        workers.add_metric([version], count)
    yield workers


def _model() -> Iterator[Metric]:
    model = active_model()
    if model is not None:
        facts = {"id": str(model.pk), "name": model.name, "sha256": str(model.manifest.get("sha256", ""))}
        yield InfoMetricFamily("scenetag_active_model", "What suggests.", value=facts)
