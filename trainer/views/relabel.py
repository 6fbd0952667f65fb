"""Relabel a model with the newest release."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from formats.numbers import read_number
from people.request import Request
from trainer.models import TrainedModel
from trainer.registry.relabel import relabel_model
from trainer.runs.start import NotReady


@require_POST
@permission_required("trainer.add_trainedmodel", raise_exception=True)
def relabel(request: Request, pk: int) -> HttpResponse:
    """The new model's page shows the difference, and it is promoted there."""
    model = get_object_or_404(TrainedModel.objects.select_related("release"), pk=pk)
    release = read_number(request.POST.get("release")) or 0
    try:
        return redirect(relabel_model(model=model, release=release, by=request.user))
    except NotReady as error:
        messages.error(request, str(error))
        return redirect(model)
