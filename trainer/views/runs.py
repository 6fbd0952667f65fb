"""Training runs: start one, watch it, look at what it learned."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs.models import Job
from mapping.models import OTHER, Release
from trainer import registry, results, services
from trainer.engine.presets import DEFAULT_PRESET, PRESETS
from trainer.forms import RunForm
from trainer.models import PhotoSet, TrainedModel, TrainingRun
from trainer.photosets import photos_per_label

Row = TypeVar("Row", PhotoSet, Release)
FEW = 10  # photos of a label under which a fifth of them says little


@require_GET
@permission_required("trainer.view_trainingrun", raise_exception=True)
def runs(request: HttpRequest) -> HttpResponse:
    rows = TrainingRun.objects.select_related("job", "photo_set", "release")
    rows = rows.defer("report", "recipe", "live", "right", "photo_set__report")
    rows = rows.prefetch_related(Prefetch("models", TrainedModel.objects.defer("manifest", "card")))
    page = Paginator(rows, 25).get_page(request.GET.get("page"))
    for run in page:
        run.preset_title = PRESETS[run.preset].title if run.preset in PRESETS else run.preset  # type: ignore[attr-defined]
    context = {
        "page": page,
        "live": any(run.job.is_live for run in page),
        "any_photos": bool(page) or PhotoSet.objects.with_photos().exists(),
    }
    return render(request, "trainer/_runs.html" if request.htmx else "trainer/runs.html", context)  # type: ignore[attr-defined]


@permission_required("trainer.add_trainingrun", raise_exception=True)
def new_run(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        form = RunForm(request.POST)
        if form.is_valid():
            try:
                return redirect(services.start_run(by=request.user, **form.cleaned_data))  # type: ignore[arg-type]
            except services.NotReady as error:
                form.add_error("photo_set", str(error))
        return render(request, "trainer/new_run.html", _new_run_context(form), status=422)
    newest = PhotoSet.objects.with_photos().first()
    initial = {
        "photo_set": request.GET.get("photo_set") or (newest.pk if newest else None),
        "release": request.GET.get("release") or Release.objects.values_list("pk", flat=True).first(),
        "preset": request.GET.get("preset") or DEFAULT_PRESET,
        "name": request.GET.get("name", ""),
    }
    form = RunForm(initial=initial)
    template = "trainer/_run_form.html" if request.htmx else "trainer/new_run.html"  # type: ignore[attr-defined]
    return render(request, template, _new_run_context(form))


def _new_run_context(form: RunForm) -> dict[str, Any]:
    photo_sets, releases = list(PhotoSet.objects.with_photos()), list(Release.objects.all())
    photo_set = _chosen(form["photo_set"].value(), photo_sets)
    release = _chosen(form["release"].value(), releases)
    context: dict[str, Any] = {
        "form": form,
        "chosen_preset": form["preset"].value(),
        "photo_sets": photo_sets,
        "releases": releases,
        "photo_set": photo_set,
        "release": release,
    }
    if photo_set and release:
        labels = dict(release.labels.values_list("scene_key", "label"))
        per_label, left_out = photos_per_label(photo_set, labels)
        context |= {
            "photos": per_label.total(),
            "hashtags": len(per_label.keys() - {OTHER}),
            "bars": results.bars(per_label, few=FEW),
            "left_out": left_out.total(),
            "left_out_classes": len(left_out),
            "enough": len(per_label) > 1,
        }
    seconds = results.expected_seconds(context.get("photos", 0))
    context["presets"] = [{"preset": p, "seconds": seconds.get(p.name)} for p in PRESETS.values()]
    return context


def _chosen(value: object, rows: list[Row]) -> Row | None:
    return next((row for row in rows if str(row.pk) == str(value)), None)


@require_GET
@permission_required("trainer.view_trainingrun", raise_exception=True)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of a run; to htmx its epochs, as long as it trains."""
    shown = get_object_or_404(
        TrainingRun.objects.select_related("job", "photo_set", "release", "created_by"), pk=pk
    )
    epochs = list(shown.epochs.all())
    context: dict[str, Any] = {"run": shown, "epochs": epochs, "charts": results.epoch_charts(epochs)}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "trainer/_epochs.html", context)
    context |= {
        "preset": PRESETS.get(shown.preset),
        "model": TrainedModel.objects.select_related("job").filter(run=shown).first(),
        "finished": shown.job.state == Job.State.SUCCEEDED and "confusion" in shown.report,
    }
    if context["finished"]:
        context |= results.study(shown)
    return render(request, "trainer/run.html", context)


@require_GET
@permission_required("trainer.view_trainingrun", raise_exception=True)
def run_photos(request: HttpRequest, pk: int) -> HttpResponse:
    """The held-out photos behind a cell of the confusion matrix, a row of it, or a gallery."""
    shown = get_object_or_404(TrainingRun, pk=pk)
    held_out = shown.held_out.select_related("photo__scene_class")
    true, predicted = request.GET.get("true", ""), request.GET.get("predicted", "")
    outcome = request.GET.get("outcome", "")
    if true:
        held_out = held_out.filter(true=true)
    if predicted:
        held_out = held_out.filter(predicted=predicted)
    if outcome in ("right", "wrong"):
        held_out = results.by_outcome(held_out, right=outcome == "right")
    context = {
        "run": shown,
        "page": Paginator(held_out, 48).get_page(request.GET.get("page")),
        "true": true,
        "predicted": predicted,
        "outcome": outcome,
        "labels": shown.report.get("labels", []),
    }
    return render(request, "trainer/run_photos.html", context)


@require_POST
@permission_required("trainer.add_trainedmodel", raise_exception=True)
def export(request: HttpRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(TrainingRun.objects.select_related("job"), pk=pk)
    target = registry.read_target(request.POST.get("target_precision"))
    try:
        return redirect(registry.export_run(run=shown, by=request.user, target_precision=target))  # type: ignore[arg-type]
    except services.NotReady as error:
        messages.error(request, str(error))
        return redirect(shown)
