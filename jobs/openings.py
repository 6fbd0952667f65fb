"""Which job of a kind with slots this machine could do now: the oldest that fits it, if it finds a free slot
and, where it needs them, free GPUs.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from uuid import UUID

from django.utils import timezone

from jobs.machines import Needs, gpus, this_machine
from jobs.models import Job
from jobs.queue import RESEND_AFTER
from jobs.registry import with_slots
from jobs.slots import hold_gpus, slot


def oldest_that_fits(kind: str, without: Collection[UUID] = ()) -> Job | None:
    """The oldest queued job of the kind that fits this machine."""
    jobs = Job.objects.filter(kind=kind, state=Job.State.QUEUED).exclude(pk__in=without)
    machine = this_machine()
    ordered = jobs.order_by("created_at").only("pk", "needs")
    return next((job for job in ordered if not job.needs or machine.fits(Needs(**job.needs))), None)


def gpus_for(job: Job) -> AbstractContextManager[list[str] | None]:
    """One GPU for each process of the job, if the machine has any and the job says what it needs."""
    ids = [number for number, _ in gpus()]
    return hold_gpus(ids, job.needs.get("processes", 0) if ids else 0)


def tried_just_now() -> set[UUID]:
    """The queued jobs that could not be done a moment ago, because of the storage or of another process. They
    are sent again by themselves: no helper need make room for them.
    """
    tried = Job.objects.filter(state=Job.State.QUEUED, tried_at__gte=timezone.now() - RESEND_AFTER)
    return set(tried.values_list("pk", flat=True))


def startable() -> Job | None:
    """A queued job that would find its slot and GPUs free, if it started here now. None of those that were
    tried just now.
    """
    kinds = dict(with_slots())
    queued, tried = Job.objects.filter(state=Job.State.QUEUED, kind__in=kinds).order_by(), tried_just_now()
    for kind in queued.values_list("kind", flat=True).distinct():
        if job := oldest_that_fits(kind, tried):
            with slot(kind, kinds[kind]) as own_slot, gpus_for(job) as own_gpus:
                if own_slot and own_gpus is not None:
                    return job
    return None
