"""Delete a run, a model or a sweep: a page lists what would be deleted, and asks for confirmation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from people.request import Request
from trainer import deleting
from trainer.deleting import Plan, PlanChanged, Refused
from trainer.models import Sweep, TrainedModel, TrainingRun

Deletable = TrainingRun | TrainedModel | Sweep


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.delete_trainedmodel", raise_exception=True)
def delete_model(request: Request, pk: int) -> HttpResponse:
    models = TrainedModel.objects.defer("manifest", "card")
    return _delete(request, pk, models, "model", deleting.plan_model, deleting.delete_model, "trainer:models")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(("trainer.delete_trainingrun", "trainer.delete_trainedmodel"), raise_exception=True)
def delete_run(request: Request, pk: int) -> HttpResponse:
    runs = TrainingRun.objects.defer("report", "live", "right")
    return _delete(request, pk, runs, "run", deleting.plan_run, deleting.delete_run, "trainer:runs")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(("trainer.delete_trainingrun", "trainer.delete_trainedmodel"), raise_exception=True)
def delete_sweep(request: Request, pk: int) -> HttpResponse:
    sweeps = Sweep.objects.all()
    return _delete(request, pk, sweeps, "sweep", deleting.plan_sweep, deleting.delete_sweep, "trainer:sweeps")


def _delete(
    request: Request,
    pk: int,
    rows: Any,
    kind: str,
    plan: Callable[[Any], Plan],
    delete: Callable[..., None],
    afterwards: str,
) -> HttpResponse:
    if request.method == "POST" and not rows.filter(pk=pk).exists():
        messages.info(request, _gone(kind))
        return redirect(afterwards)
    target: Deletable = get_object_or_404(rows, pk=pk)
    page = partial(render, request, "trainer/model_delete.html")
    context = {"target": target, "url": target.get_absolute_url(), "kind": kind, "back": afterwards}
    context["list_title"] = {"model": _("Models"), "run": _("Runs"), "sweep": _("Sweeps")}[kind]
    if request.method != "POST":
        return page(context | {"plan": plan(target)})
    name = str(target)
    try:
        delete(**{kind: target}, seen=request.POST.get("seen", ""), by=request.user)
    except PlanChanged as changed:
        return page(context | {"plan": changed.plan, "changed": str(changed)}, status=409)
    except Refused:
        return page(context | {"plan": plan(target)}, status=409)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": name})
    return redirect(afterwards)


def _gone(kind: str) -> str:
    words = {
        "model": _("This model is deleted already."),
        "run": _("This run is deleted already."),
        "sweep": _("This sweep is deleted already."),
    }
    return words[kind]
