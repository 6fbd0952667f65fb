"""Sweeps: launch one, watch its table beside the thesis's, cancel or retry its runs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.models import Job
from mapping.models import Release
from notices.words import shown
from people.request import Request, read_form
from trainer.engine.errors import RecipeError
from trainer.engine.presets import PRESETS
from trainer.forms import SweepForm
from trainer.models import PhotoSet, Sweep
from trainer.runs import sweeps
from trainer.runs.settings_form import differences
from trainer.runs.start import NotReady


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def sweep_list(request: Request) -> HttpResponse:
    rows = (
        Sweep.objects.select_related("created_by")
        .annotate(
            count=Count("runs"),
            done=Count("runs", filter=Q(runs__job__state=Job.State.SUCCEEDED)),
            live=Count("runs", filter=Q(runs__job__state__in=Job.LIVE)),
        )
        .order_by("-created_at", "-pk")
    )
    page = Paginator(rows, 25).get_page(request.GET.get("page"))
    return render(request, "trainer/sweeps.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.add_trainingrun", raise_exception=True)
def new_sweep(request: Request) -> HttpResponse:
    table = request.GET.get("table", "")
    names = [p.name for p in PRESETS.values() if p.thesis and str(p.table) == table]
    form = SweepForm(*read_form(request), initial={"presets": names, "seeds": 1})
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(_start(request, form))
        except RecipeError as error:
            field = error.field if error.field in form.fields else None
            form.add_error(field, shown(error.reason))
        except NotReady as error:
            form.add_error("photo_set", str(error))
    ready = PhotoSet.objects.with_photos().exists() and Release.objects.exists()
    groups = [
        (_("Table 3 of the thesis"), [p for p in PRESETS.values() if p.table == 3]),
        (_("Table 4 of the thesis"), [p for p in PRESETS.values() if p.table == 4]),
        (_("Everyday"), [p for p in PRESETS.values() if not p.table]),
    ]
    context = {"form": form, "groups": groups, "preset_names": form["presets"].value() or [], "ready": ready}
    status = 422 if form.errors else 200
    return render(request, "trainer/new_sweep.html", context, status=status)


def _start(request: Request, form: SweepForm) -> Sweep:
    """Raises RecipeError and NotReady."""
    data = form.cleaned_data
    changes = {name: data[name] for name in form.CHANGES if data[name] not in (None, "")}
    planned_runs = sweeps.plan(
        presets=data["presets"], splits=data["splits"], seeds=data["seeds"] or 1, changes=changes
    )
    return sweeps.start_sweep(
        photo_set=data["photo_set"],
        release=data["release"],
        planned_runs=planned_runs,
        name=data["name"] or f"{data['photo_set']}: {form.default_name()}",
        by=request.user,
    )


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def sweep(request: Request, pk: int) -> HttpResponse:
    """The sweep's table; for htmx only its rows, while one of the runs trains or waits."""
    sweep = get_object_or_404(Sweep.objects.select_related("created_by"), pk=pk)
    runs = list(
        sweep.runs.select_related("job", "photo_set", "release")
        .defer("report", "live", "right", "photo_set__report")
        .order_by("pk")
    )
    rows: list[dict[str, Any]] = []
    for run in runs:
        preset = PRESETS.get(run.preset)
        thesis = preset.thesis if preset else None
        changed = differences(run.recipe, preset.recipe.as_dict()) if preset else []
        gap = _gap(run.balanced_accuracy, thesis)
        rows.append({"run": run, "thesis": thesis, "gap": gap, "changed": changed})
    context = {
        "sweep": sweep,
        "rows": rows,
        "first": runs[0] if runs else None,
        "has_thesis": any(row["thesis"] for row in rows),
        "summaries": sweeps.summaries(runs),
        "live": any(run.job.is_live for run in runs),
        "n_ended": sum(run.job.state in (Job.State.FAILED, Job.State.CANCELLED) for run in runs),
        "done": sum(run.job.state == Job.State.SUCCEEDED for run in runs),
    }
    return render(request, "trainer/_sweep.html" if request.htmx else "trainer/sweep.html", context)


def _gap(balanced: float | None, thesis: Any) -> str:
    """By how many percentage points our balanced accuracy is above the thesis's, with a sign."""
    if balanced is None or thesis is None:
        return ""
    return f"{100 * (balanced - thesis.balanced_accuracy):+.1f}".replace("-", "−")


@require_POST
@permission_required("jobs.change_job", raise_exception=True)
def cancel(request: Request, pk: int) -> HttpResponse:
    sweep = get_object_or_404(Sweep, pk=pk)
    count = sweeps.cancel_rest(sweep=sweep, by=request.user)
    if not count:
        messages.info(request, _("Every run of this sweep had already ended: nothing to cancel."))
    return redirect(sweep)


@require_POST
@permission_required("jobs.change_job", raise_exception=True)
def retry(request: Request, pk: int) -> HttpResponse:
    sweep = get_object_or_404(Sweep, pk=pk)
    count = sweeps.retry_ended(sweep=sweep, by=request.user)
    if not count:
        messages.info(request, _("No run of this sweep has failed or been cancelled."))
    return redirect(sweep)
