from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from jobs import queue
from jobs.machines import Machine
from jobs.models import Job, Shard, Worker
from people.request import Request


@require_safe
@permission_required("jobs.view_job", raise_exception=True)
def job_list(request: Request) -> HttpResponse:
    page = Paginator(Job.objects.select_related("created_by"), 50).get_page(request.GET.get("page"))
    workers = list(Worker.objects.live().order_by("name"))
    machines = [Machine(**worker.machine) for worker in workers if worker.machine]
    rows = [(job, job.misfit_among(machines)) for job in page]
    context: dict[str, Any] = {"page": page, "rows": rows, "workers": workers}
    return render(request, "jobs/_rows.html" if request.htmx else "jobs/jobs.html", context)


@require_safe
@permission_required("jobs.view_job", raise_exception=True)
def job(request: Request, pk: UUID) -> HttpResponse:
    """The page of one job. htmx gets a fragment, and reloads the whole page once the job has ended."""
    job = get_object_or_404(Job.objects.select_related("created_by"), pk=pk)
    if not request.htmx:
        return render(request, "jobs/job.html", {"job": job})
    if not job.is_live:
        return HttpResponseClientRefresh()
    return render(request, "jobs/_job.html", {"job": job})


@require_POST
@permission_required("jobs.change_job", raise_exception=True)
def cancel(request: Request, pk: UUID) -> HttpResponse:
    job = get_object_or_404(Job, pk=pk)
    if job.is_live:
        queue.cancel(job=job, by=request.user)
    else:
        words = _("“%(job)s” had already ended (%(state)s), so it was not cancelled.")
        messages.info(request, words % {"job": job.shown_title, "state": _state(job)})
    return redirect(job.url or job)


@require_POST
@permission_required("jobs.change_job", raise_exception=True)
def retry_shard(request: Request, pk: UUID, number: int) -> HttpResponse:
    shard = get_object_or_404(Shard.objects.select_related("job"), job=pk, number=number)
    if not queue.retry_shard(job=shard.job, number=number, by=request.user):
        shard.refresh_from_db(fields=["state"])
        words = _("Shard %(n)s: %(state)s. Only a failed shard can be tried again.")
        messages.info(request, words % {"n": number, "state": _state(shard)})
    return redirect(shard.job)


@require_POST
@permission_required("jobs.change_job", raise_exception=True)
def retry(request: Request, pk: UUID) -> HttpResponse:
    job = get_object_or_404(Job, pk=pk)
    if not queue.retry(job=job, by=request.user):
        words = _("“%(job)s”: %(state)s. Only a failed or cancelled job can be retried.")
        messages.info(request, words % {"job": job.shown_title, "state": _state(job)})
    return redirect(job.url or job)


def _state(row: Job | Shard) -> str:
    """In the middle of a sentence."""
    return row.get_state_display().lower()
