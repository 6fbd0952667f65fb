"""Training runs: list them, watch one, look at its results, export it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from jobs.models import Job
from mapping.models import OTHER
from mapping.views.exchange import download
from mapping.views.figures import figure_file
from people.request import Request
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, TrainedModel, TrainingRun
from trainer.photosets.registration import photos_per_label
from trainer.registry.export import export_run, read_target
from trainer.runs import boards, downloads, start, study
from trainer.runs.comparison import settings_with_effect
from trainer.runs.figures import label_figure, run_figure
from trainer.runs.filter import RunFilter
from trainer.stale import stale_runs


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def runs(request: Request) -> HttpResponse:
    run_filter = RunFilter(request.GET)
    rows = run_filter.rows(TrainingRun.objects.select_related("job", "photo_set", "release"))
    rows = rows.defer("report", "recipe", "live", "right", "photo_set__report")
    rows = rows.prefetch_related("tags", Prefetch("models", TrainedModel.objects.defer("manifest", "card")))
    page = Paginator(rows, 25).get_page(request.GET.get("page"))
    for run in page:
        run.preset_title = _(PRESETS[run.preset].title) if run.preset in PRESETS else run.preset  # type: ignore[attr-defined]
    context = {
        "page": page,
        "live": any(run.job.is_live for run in page),
        "filter": run_filter,
        "any_photos": bool(page) or PhotoSet.objects.with_photos().exists(),
    }
    return render(request, "trainer/_runs.html" if request.htmx else "trainer/runs.html", context)


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def run(request: Request, pk: int) -> HttpResponse:
    """The page of a run. For htmx only its epochs, while it trains, or its figures at a target precision."""
    run = get_object_or_404(
        TrainingRun.objects.select_related("job", "photo_set", "release", "created_by", "based_on", "sweep")
        .defer("right", "photo_set__report", "based_on__report", "based_on__live", "based_on__right")
        .prefetch_related("tags"),
        pk=pk,
    )
    epochs = list(run.epochs.all())
    context: dict[str, Any] = {
        "run": run,
        "epochs": epochs,
        "charts": study.epoch_charts(epochs),
        "figures": f"{run.get_absolute_url()}figures/",
        "running": study.running_epoch(run),
    }
    if request.htmx and "target" in request.GET:
        context["target"] = study.target_of(run, request.GET["target"])
        context["chosen_promise"] = request.GET.get("promise", "")
        return render(request, "trainer/_target.html", context)
    if request.htmx:
        return render(request, "trainer/_epochs.html", context)
    preset = PRESETS.get(run.preset)
    context |= {
        "preset": preset,
        "thesis": preset.thesis if preset else None,
        "has_board": boards.has_logs(run),
        "settings": settings_with_effect(run.recipe),
        **study.ancestry(run),
        "held_out": study.held_out_words(run.recipe),
        "accuracy_interval": study.accuracy_interval(run),
        "stale": stale_runs([run]).get(run.pk),
        "model": TrainedModel.objects.select_related("job").filter(run=run).first(),
        "is_finished": run.job.state == Job.State.SUCCEEDED and "confusion" in run.report,
    }
    if context["is_finished"]:
        context |= study.study(run)
        context["target"] = study.target_of(run, request.GET.get("target", ""))
    return render(request, "trainer/run.html", context)


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def figure(request: Request, pk: int, name: str, kind: str) -> HttpResponse:
    """A chart of the run's page or labels ("posts", "photos") as a file; kind is "svg" or "csv"."""
    run = get_object_or_404(TrainingRun.objects.select_related("photo_set", "release", "job"), pk=pk)
    if name not in ("posts", "photos"):
        return figure_file(run_figure(run, name, request.GET.get("target", "")), kind)
    labels = dict(run.release.labels.values_list("scene_key", "label"))
    per_label, _ = photos_per_label(run.photo_set, labels)
    return figure_file(label_figure(run, name, per_label), kind)


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def download_run(request: Request, pk: int, name: str) -> HttpResponse:
    """A finished run's report as JSON, or its predictions or confusion matrix as CSV."""
    run = get_object_or_404(TrainingRun.objects.only("report"), pk=pk)
    content = downloads.read(run, name)
    if content is None:
        raise Http404
    return download(content, "application/json" if name == "report.json" else "text/csv", f"run-{pk}-{name}")


@require_safe
@permission_required("trainer.view_trainingrun", raise_exception=True)
def run_photos(request: Request, pk: int) -> HttpResponse:
    """The held-out photos behind a cell of the confusion matrix, a row of it, or a gallery."""
    run = get_object_or_404(TrainingRun, pk=pk)
    held_out = run.held_out.select_related("photo__scene_class")
    true, predicted = request.GET.get("true", ""), request.GET.get("predicted", "")
    outcome, scene = request.GET.get("outcome", ""), request.GET.get("scene", "")
    if scene:
        of_scene = Q(photo__scene_class__key=scene) | Q(photo__label_folder=scene)
        held_out = held_out.filter(of_scene)
    if true:
        held_out = held_out.filter(true=true)
    if predicted:
        held_out = held_out.filter(predicted=predicted)
    if outcome in ("right", "wrong"):
        held_out = study.by_outcome(held_out, right=outcome == "right")
    context = {
        "run": run,
        "page": Paginator(held_out, 48).get_page(request.GET.get("page")),
        "true": true,
        "predicted": predicted,
        "outcome": outcome,
        "scene": scene,
        "labels": run.report.get("labels", []),
    }
    context["words"] = _shown_words(context["page"].paginator.count, scene, true, predicted, outcome)
    return render(request, "trainer/run_photos.html", context)


def _shown_words(count: int, scene: str, true: str, predicted: str, outcome: str) -> str:
    """How many photos are shown, and which."""
    words = ngettext("%(n)s photo", "%(n)s photos", count) % {"n": intcomma(count)}
    if scene:
        words = _("%(photos)s of the class %(scene)s") % {"photos": words, "scene": scene}
    if true:
        words = _("%(photos)s of %(label)s") % {"photos": words, "label": _tag(true)}
    if predicted:
        words = _("%(photos)s predicted as %(label)s") % {"photos": words, "label": _tag(predicted)}
    if outcome == "right":
        words = _("%(photos)s with a suggestion that is right") % {"photos": words}
    elif outcome == "wrong":
        words = _("%(photos)s with a suggestion that is wrong") % {"photos": words}
    return _("%(photos)s, most confident first.") % {"photos": words}


def _tag(label: str) -> str:
    return label if label == OTHER else f"#{label}"


@require_POST
@permission_required("trainer.add_trainedmodel", raise_exception=True)
def export(request: Request, pk: int) -> HttpResponse:
    run = get_object_or_404(TrainingRun.objects.select_related("job"), pk=pk)
    target = read_target(request.POST.get("target_precision"))
    try:
        promise = request.POST.get("promise", "none")
        return redirect(export_run(run=run, by=request.user, target_precision=target, promise=promise))
    except start.NotReady as error:
        messages.error(request, str(error))
        return redirect(run)
