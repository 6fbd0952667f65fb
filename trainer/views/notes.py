"""Rename a run, and write notes and tags on it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from people.request import Request, read_form
from trainer.forms import NotesForm
from trainer.models import TrainingRun
from trainer.runs import notes


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.change_trainingrun", raise_exception=True)
def run_notes(request: Request, pk: int) -> HttpResponse:
    runs = TrainingRun.objects.only("name", "notes").prefetch_related("tags")
    run = get_object_or_404(runs, pk=pk)
    own_tags = [tag.name for tag in run.tags.all()]
    form = NotesForm(*read_form(request), run=run, own_tags=own_tags)
    now = notes.digest(run)
    seen = request.POST.get("seen", now)
    context = {"run": run, "form": form, "own_tags": own_tags, "seen": seen}
    if request.method != "POST":
        return render(request, "trainer/run_notes.html", context)
    if not form.is_valid():
        return render(request, "trainer/run_notes.html", context, status=422)
    try:
        has_changed = notes.describe_run(run=run, seen=seen, by=request.user, **form.read())
    except notes.NotesChanged:
        return render(
            request, "trainer/run_notes.html", context | {"is_stale": True, "seen": now}, status=409
        )
    messages.success(request, _("Saved.") if has_changed else _("Nothing has changed."))
    return redirect(run)
