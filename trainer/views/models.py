"""Models: show one, make it the active one, roll back, and try the active one on a photo."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import floatformat
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from markdown_it import MarkdownIt

from formats.classes import OTHER
from formats.numbers import read_number
from jobs.models import Job
from notices.words import shown
from people.request import Request, read_form
from trainer.engine.errors import ModelError
from trainer.engine.evaluation.scenes import refusal
from trainer.engine.opening import UnreadablePhotoError
from trainer.engine.presets import PRESETS
from trainer.engine.serving.judge import BLOCKED, MOST_HASHTAGS
from trainer.forms import SuggestForm
from trainer.models import Promotion, TrainedModel
from trainer.previews import data_url
from trainer.registry import difference, promotion, serving
from trainer.registry.dependents import all_sources
from trainer.registry.promises import promise_in_words
from trainer.registry.relabel import changes_of
from trainer.runs import disk, start
from trainer.stale import stale_models

MOST_ASKED = 40  # photos of a campaign that a model answers while the page waits: two seconds or so
CARD = MarkdownIt("commonmark", {"html": False}).enable("table")  # a card's own HTML stays text
log = logging.getLogger(__name__)


@require_safe
@permission_required("trainer.view_trainedmodel", raise_exception=True)
def models(request: Request) -> HttpResponse:
    rows = TrainedModel.objects.select_related(
        "job", "run__release", "run__photo_set", "release", "derived_from__run"
    ).defer(
        *("card", "run__report", "run__recipe", "run__live", "run__right"),
        *("derived_from__manifest", "derived_from__card", "derived_from__run__report"),
        *("derived_from__run__live", "derived_from__run__right"),
    )
    page = Paginator(rows, 25).get_page(request.GET.get("page"))
    stale = stale_models(page)
    for model in page:
        model.stale = stale.get(model.pk)  # type: ignore[attr-defined]
    current = Promotion.objects.current()
    context = {
        "page": page,
        "current": current,
        "previous": promotion.previous_model(current),
        "promotions": Promotion.objects.select_related("model", "promoted_by")[:10],
        "live": any(model.job and model.job.is_live for model in page),
        "disk": disk.usage(),
    }
    return render(request, "trainer/_models.html" if request.htmx else "trainer/models.html", context)


@require_safe
@permission_required("trainer.view_trainedmodel", raise_exception=True)
def model(request: Request, pk: int) -> HttpResponse:
    model = get_object_or_404(
        TrainedModel.objects.select_related(
            *("job", "run__release", "run__photo_set", "run__job", "created_by"),
            *("release", "derived_from__run"),
        ).defer("run__report", "run__live", "run__right", "derived_from__card"),
        pk=pk,
    )
    current = Promotion.objects.current()
    manifest = model.manifest
    run = model.run
    context = {
        "model": model,
        "current": current,
        "is_active": bool(current and current.model_id == model.pk),
        "previous": promotion.previous_model(current),
        "thresholds": sorted(manifest.get("thresholds", {}).items(), key=lambda item: item[0]),
        "facts": _facts(manifest),
        "card": CARD.render(model.card),
        "times_in_ten": in_ten(manifest),
        "promise": promise_in_words(manifest),
        "never_suggests": promotion.never_suggests(model),
        "lineage": _lineage(manifest),
        "preset": PRESETS.get(run.preset) if run else None,
        "siblings": run.models.exclude(pk=model.pk).defer("card") if run else (),
        "can_export": bool(run and run.job.state == Job.State.SUCCEEDED and run.has_weights),
        "dependents": [thing for source in all_sources() for thing in source.on([model.pk])],
        "promotions": model.promotions.select_related("promoted_by")[:8],
        **_relabelling(model),
    }
    return render(request, "trainer/model.html", context)


def _relabelling(model: TrainedModel) -> dict[str, Any]:
    """Whether its labels are out of date, what can be done about it, and what its own relabelling changed."""
    stale = stale_models([model]).get(model.pk)
    children = list(
        model.derived.exclude(release=None)
        .exclude(job=None)
        .select_related("release")
        .defer("card", "manifest")
    )
    return {
        "stale": stale,
        "refusal": shown(refusal(model.manifest)),
        "relabelled": children,
        "newest_child": next((one for one in children if stale and one.release == stale.newest), None),
        "changes": changes_of(model),
    }


def _lineage(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The lineage in the manifest, as short text: an imported file may contain anything there."""
    lineage = manifest.get("lineage")
    if not isinstance(lineage, dict):
        return []
    return [
        (str(name).replace("_", " ")[:40], str(value)[:200]) for name, value in list(lineage.items())[:20]
    ]


def _facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The manifest's single values, formatted; its lists and tables are shown elsewhere on the page."""
    metrics, held_out = manifest.get("metrics", {}), manifest.get("held_out", {})
    rounding = manifest.get("int8", {})
    facts = [
        (_("accuracy"), _round(metrics.get("accuracy"))),
        (_("balanced accuracy"), _round(metrics.get("balanced_accuracy"))),
        (_("suggests for"), _percent(held_out.get("coverage"), _("%(share)s of photos"))),
        (_("suggestions that are right"), _percent(held_out.get("precision"))),
        (_("labels"), str(len(manifest.get("labels", [])))),
        (_("temperature"), _round(manifest.get("temperature"))),
        (_("checked photos"), str(manifest.get("checked_photos", ""))),
        (_("largest difference when checked"), _scientific(manifest.get("max_abs_difference"))),
        (
            _("same label with int8 matrices"),
            _percent(rounding.get("same_label"), _("%(share)s of checked photos")),
        ),
        (_("time a photo"), _milliseconds(manifest.get("milliseconds"))),
        ("SHA-256", str(manifest.get("sha256", ""))[:16]),
    ]
    return [(name, value) for name, value in facts if value]


def _round(value: object) -> str:
    return floatformat(value, 3) if isinstance(value, int | float) else ""


def _percent(value: object, of: str = "%(share)s") -> str:
    return of % {"share": f"{100 * value:.0f}\u00a0%"} if isinstance(value, int | float) else ""


def _milliseconds(value: object) -> str:
    return _("%(n)s\u00a0ms") % {"n": f"{value:.0f}"} if isinstance(value, int | float) else ""


def _scientific(value: object) -> str:
    return f"{value:.1e}".replace("-", "\u2011") if isinstance(value, int | float) else ""


def in_ten(manifest: dict[str, Any]) -> str:
    """The target precision in words: 0.9 → "9 times in 10"."""
    target = manifest.get("target_precision")
    if not isinstance(target, int | float):
        return ""
    tenths = round(target * 10)
    if abs(target * 10 - tenths) < 0.05:
        return _("%(n)s times in 10") % {"n": tenths}
    return _("%(share)s of the time") % {"share": f"{100 * target:.0f}\u00a0%"}


def _replacing(request: Request) -> int | None:
    """The promotion that was active when the page was loaded."""
    return read_number(request.POST.get("replacing"))


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.add_promotion", raise_exception=True)
def promote(request: Request, pk: int) -> HttpResponse:
    """Show the active model against this one, and ask; POST promotes it."""
    model = get_object_or_404(TrainedModel, pk=pk)
    if request.method != "POST":
        return _ask_to_promote(request, model)
    try:
        promotion.promote(
            model=model,
            by=request.user,
            replacing=_replacing(request),
            typed=request.POST.get("typed", ""),
        )
    except (start.NotReady, promotion.ActiveModelChanged) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("“%(name)s” is the active model now.") % {"name": model})
    return redirect(model)


def _ask_to_promote(request: Request, model: TrainedModel) -> HttpResponse:
    current = Promotion.objects.current()
    if not model.is_ready or (current and current.model_id == model.pk):
        return redirect(model)
    asked, is_unreadable = None, False
    if current:
        try:
            asked = difference.compare_asked(old=current.model, new=model, most=MOST_ASKED)
        except (OSError, ModelError):
            is_unreadable = True
    models = [(_("active now"), current.model)] if current else []
    rows = [(when, one, one.manifest.get("held_out", {})) for when, one in [*models, (_("this one"), model)]]
    context = {
        "model": model,
        "current": current,
        "rows": rows,
        "asked": asked,
        "is_unreadable": is_unreadable,
        "never_suggests": promotion.never_suggests(model),
    }
    return render(request, "trainer/promote.html", context)


@require_POST
@permission_required("trainer.add_promotion", raise_exception=True)
def roll_back(request: Request) -> HttpResponse:
    try:
        rollback = promotion.roll_back(by=request.user, replacing=_replacing(request))
    except (start.NotReady, promotion.ActiveModelChanged) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("“%(name)s” is the active model again.") % {"name": rollback.model})
    return redirect("trainer:models")


@require_POST
@permission_required("trainer.change_trainedmodel", raise_exception=True)
def rename(request: Request, pk: int) -> HttpResponse:
    model = get_object_or_404(TrainedModel, pk=pk)
    try:
        promotion.rename(model=model, name=request.POST.get("name", ""), was=request.POST.get("was"))
    except start.NotReady as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The model is now called “%(name)s”.") % {"name": model})
    return redirect(model)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.suggest", raise_exception=True)
def suggest(request: Request) -> HttpResponse:
    """Try the active model on a photo. The page shows the answer; the photo is not kept."""
    active = serving.active_model()
    form = SuggestForm(*read_form(request))
    context: dict[str, Any] = {"form": form, "active": active}
    status = 200
    if request.method == "POST":
        status = 422
        if active is None:
            form.add_error(None, _("No model is active, so there are no suggestions yet."))
        elif form.is_valid():
            answer = _answer(form, active)
            if answer:
                context |= answer
                status = 200
    template = "trainer/_suggestion.html" if request.htmx else "trainer/suggest.html"
    # htmx swaps in only successful responses.
    return render(request, template, context, status=200 if request.htmx else status)


def _answer(form: SuggestForm, active: TrainedModel) -> dict[str, Any] | None:
    upload = form.cleaned_data["photo"]
    content = upload.read()
    try:
        answer = next(iter(serving.suggest([content], model=active, most=MOST_HASHTAGS)))
    except (serving.NoActiveModel, ModelError) as error:
        log.error("The active model cannot be used: %s", error)
        form.add_error(
            None, _("The active model's files are missing or damaged: a trainer admin can say more.")
        )
        return None
    reason = serving.unreadable(answer)
    try:
        picture = "" if reason else data_url(content)
    except UnreadablePhotoError as error:  # it may take more memory than for the network
        reason = str(error)
    if reason:
        words = _("“%(name)s” cannot be read as a photo: %(reason)s.")
        form.add_error("photo", words % {"name": upload.name, "reason": reason})
        return None
    return {
        "answer": answer,
        "further": [name for name, _ in answer.hashtags[1:]],
        "candidates": [
            {"label": label, "share": 100 * p, "other": label == OTHER} for label, p in answer.candidates
        ],
        "times_in_ten": in_ten(active.manifest),
        "is_blocked": answer.reason == BLOCKED,
        "picture": picture,
    }
