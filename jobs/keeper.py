"""What every worker does beside its work: says it is alive, and looks after jobs nobody holds.

A thread of the worker rather than a process of its own: one thing less to run, and where no worker is,
nobody could take the jobs anyway. All of it is safe to do from several workers at once.
"""

from __future__ import annotations

import logging
import threading

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from jobs import lease, queue
from jobs.models import Worker

EVERY = 5.0  # seconds
log = logging.getLogger(__name__)


def keep_house() -> None:
    """One round. Called every few seconds by each worker."""
    lease.renew_long_steps()  # first: what follows may fail
    Worker.objects.update_or_create(name=lease.worker_name(), defaults={"seen_at": timezone.now()})
    queue.requeue_expired()
    queue.requeue_left_behind()
    queue.resend_forgotten()


def _rounds() -> None:
    while not lease.stopping.is_set():
        try:
            close_old_connections()
            keep_house()
        except Exception:  # a database that is away for a minute must not end the housekeeping
            log.exception("Housekeeping failed; it goes on in %s s", EVERY)
        lease.stopping.wait(min(EVERY, settings.JOB_LEASE.total_seconds() / 4))


@worker_ready.connect
def _start(**_: object) -> None:
    threading.Thread(target=_rounds, name="keeper", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    # Handlers notice at their next beat and give their job back, so that a restart loses no time.
    lease.stopping.set()
    try:
        Worker.objects.filter(name=lease.worker_name()).delete()
    except Exception:
        log.exception("Could not sign off")
