"""Trials of a second model: everybody who may look sees them, trainer admins start and stop them."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from people.request import Request, read_form
from serving import trials as acts
from serving.forms import TrialForm
from serving.models import Trial
from trainer.models import Promotion

PAST = 10  # trials that have ended


@require_http_methods(["GET", "HEAD"])
@permission_required("serving.view_trial", raise_exception=True)
def trials(request: Request) -> HttpResponse:
    return _page(request, TrialForm(), status=200)


@require_POST
@permission_required("serving.add_trial", raise_exception=True)
def start_trial(request: Request) -> HttpResponse:
    form = TrialForm(*read_form(request))
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        trial = acts.start_trial(**form.choice(), by=request.user)
    except acts.Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The trial “%(trial)s” is running.") % {"trial": trial})
    return redirect("serving:trials")


@require_POST
@permission_required("serving.change_trial", raise_exception=True)
def stop_trial(request: Request, pk: int) -> HttpResponse:
    trial = get_object_or_404(Trial.objects.select_related("champion", "challenger"), pk=pk)
    was_running = acts.stop_trial(trial=trial, by=request.user)
    words = (
        _("The trial “%(trial)s” is stopped.")
        if was_running
        else _("The trial “%(trial)s” was stopped already.")
    )
    messages.success(request, words % {"trial": trial})
    return redirect("serving:trials")


def _page(request: Request, form: TrialForm, *, status: int) -> HttpResponse:
    current = Promotion.objects.current()
    rows = Trial.objects.select_related("champion", "challenger", "started_by")
    shown = [*rows.filter(stopped_at=None), *rows.exclude(stopped_at=None)[:PAST]]
    context = {
        "form": form,
        "current": current,
        "rows": [
            (
                trial,
                acts.read_result(trial) if trial.kind == Trial.Kind.ANSWERS else None,
                acts.read_comparison(trial) if trial.kind == Trial.Kind.SHADOW else None,
            )
            for trial in shown
        ],
    }
    return render(request, "serving/trials.html", context, status=status)
