"""The housekeeping thread of each worker: it reports that the worker is alive and requeues abandoned jobs.

It is a thread rather than a process of its own: this is one thing less to run, and without a worker nobody
could take the jobs anyway. Several workers can safely do it at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections, transaction
from django.urls import reverse
from django.utils import timezone

from formats.texts import Text
from jobs import crew, lease, machines, queue, shards
from jobs.code_version import code_version
from jobs.models import Worker
from notices.announcements import announce

EVERY = 5.0  # seconds
GONE = timedelta(minutes=1)  # a worker silent for this long has died, or its machine has
NEWS = timedelta(days=1)  # of one that fell silent before that, nobody is told
log = logging.getLogger(__name__)
_chores: list[Callable[[], object]] = []
_threads: list[int] = []  # how many this worker has, once it has started


def every_round(chore: Callable[[], object]) -> None:
    """Have workers call this in each round, several at once perhaps. Apps do so in AppConfig.ready()."""
    if chore not in _chores:
        _chores.append(chore)


def keep_house() -> None:
    """One round of housekeeping. Each worker calls it every few seconds."""
    lease.renew_long_steps()  # first, because the other steps may fail
    facts = {
        "seen_at": timezone.now(),
        "version": code_version(),
        "machine": machines.as_json(machines.this_machine()),
    }
    Worker.objects.update_or_create(name=lease.worker_name(), defaults=facts)
    queue.requeue_expired()
    queue.requeue_left_behind()
    queue.resend_forgotten()
    shards.requeue_expired()
    if _has_free_thread():
        crew.call_helpers()
    forget_gone_workers()
    for chore in _chores:
        try:
            chore()
        except Exception:  # one that fails must not keep the others from being done
            log.exception("%s failed", chore.__qualname__)


def forget_gone_workers() -> None:
    """Delete the rows of workers that fell silent without signing off, and tell of each once. A worker that
    was only held up writes its row again."""
    now = timezone.now()
    for worker in Worker.objects.filter(seen_at__lt=now - GONE):
        with transaction.atomic():
            is_mine, _ = Worker.objects.filter(pk=worker.pk, seen_at=worker.seen_at).delete()
            if is_mine and worker.seen_at >= now - NEWS:
                seen = worker.seen_at.isoformat(timespec="seconds")
                announce(
                    "worker.gone",
                    title=Text(
                        "The worker %(worker)s has been silent since %(seen)s", worker=worker.name, seen=seen
                    ),
                    url=reverse("jobs:jobs"),
                    worker=worker.name,
                    seen_at=seen,
                )


def _rounds() -> None:
    while not lease.stopping.is_set():
        try:
            close_old_connections()
            keep_house()
        except Exception:  # a database that is down for a minute must not end the housekeeping
            log.exception("Housekeeping failed; next try in %s s", EVERY)
        lease.stopping.wait(min(EVERY, settings.JOB_LEASE.total_seconds() / 4))


def _has_free_thread() -> bool:
    from celery.worker.state import active_requests  # only where a worker runs

    return not _threads or len(active_requests) < _threads[0]


@worker_ready.connect
def _start(sender: Any = None, **_: object) -> None:
    _threads[:] = [sender.pool.limit]
    code_version()  # kept from now on: an upgrade changes the files, but not what this process runs
    threading.Thread(target=_rounds, name="keeper", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    # Handlers notice this at their next beat and give their job back, so that a restart loses no time.
    lease.stopping.set()
    try:
        Worker.objects.filter(name=lease.worker_name()).delete()
    except Exception:
        log.exception("Could not sign off")
