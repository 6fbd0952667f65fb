"""What a run's pages show: curves, confusion matrix, galleries, and how long the next run may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.models import Job
from mapping.models import OTHER, MappingEntry
from mapping.statistics import wilson
from trainer.engine.errors import RecipeError
from trainer.engine.presets import FROZEN, PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training.schedule import rates
from trainer.models import Epoch, HeldOutPrediction, TrainingRun
from trainer.runs.charts import Chart, Point, line_chart
from trainer.runs.settings_form import differences

GALLERY = 12  # photos
MANY = 1000  # held-out photos; with more, the interval of the accuracy is narrower than ±3 points
START = 10.0  # seconds that any run takes to load PyTorch before its first photo


def epoch_charts(epochs: list[Epoch]) -> list[Chart]:
    """Charts over the epochs: loss, accuracies, learning rate, photos per second."""
    if not epochs:
        return []
    x_range = (min(1, epochs[0].number), max(epochs[-1].number, 2))

    def series(field: str) -> list[tuple[float, float]]:
        values = [(float(e.number), getattr(e, field)) for e in epochs]
        return [(number, value) for number, value in values if value is not None]

    # Training is the first line of each chart and held-out the second, so that their colours are the same.
    charts = [
        line_chart(
            gettext_noop("Loss"),
            [(_("training"), series("loss")), (_("held-out"), series("test_loss"))],
            x_title=_("epoch"),
            x_range=x_range,
        ),
        line_chart(
            gettext_noop("Accuracy"),
            [
                (_("training"), series("train_accuracy")),
                (_("held-out"), series("accuracy")),
                (_("balanced"), series("balanced_accuracy")),
            ],
            x_title=_("epoch"),
            x_range=x_range,
            percent=True,
        ),
        line_chart(
            gettext_noop("Learning rate"), [(_("rate"), series("lr"))], x_title=_("epoch"), x_range=x_range
        ),
        line_chart(
            gettext_noop("Photos per second"),
            [(_("photos"), series("photos_per_second"))],
            x_title=_("epoch"),
            x_range=x_range,
        ),
    ]
    return [chart for chart in charts if chart]


def rate_chart(recipe: Recipe) -> Chart | None:
    """The learning rate that the recipe plans for each epoch."""
    points = [(float(epoch), value) for epoch, value in enumerate(rates(recipe), start=1)]
    return line_chart(
        gettext_noop("Learning rate"),
        [(_("rate"), points)],
        x_title=_("epoch"),
        x_range=(1, max(recipe.epochs, 2)),
    )


def running_epoch(run: TrainingRun) -> dict[str, Any] | None:
    """The engine's latest report on the running epoch, with a chart of its loss; None unless it trains."""
    live = run.live
    if not run.job.is_live or "step" not in live:
        return None
    curve = [(float(point[0]), float(point[1])) for point in live.get("curve", [])]
    steps = live.get("steps") or 0
    return {
        **live,
        "epochs": run.recipe.get("epochs"),
        "percent": round(100 * live["step"] / steps) if steps else None,
        "chart": line_chart(gettext_noop("Loss, batch by batch"), [(_("loss"), curve)], x_title=_("batch"))
        if curve[1:]
        else None,
    }


def recipe_of(run: TrainingRun) -> Recipe:
    """The run's recipe in today's settings: those that an older run lacks are the preset's."""
    base = PRESETS[run.preset].recipe if run.preset in PRESETS else FROZEN
    settings = {name: value for name, value in run.recipe.items() if name in base.as_dict()}
    try:
        return Recipe.from_dict(base.as_dict() | settings)
    except RecipeError:
        return base


def ancestry(run: TrainingRun) -> dict[str, Any]:
    """How the run differs from its preset and from the run it is based on, and the runs based on it."""
    preset = PRESETS.get(run.preset)
    variants = run.variants.select_related("job").order_by("pk")
    return {
        "changed": differences(run.recipe, preset.recipe.as_dict()) if preset else [],
        "changed_from_source": differences(run.recipe, run.based_on.recipe) if run.based_on else [],
        "variants": variants.defer("report", "recipe", "live", "right")[:20],
    }


def held_out_words(recipe: Mapping[str, Any]) -> str:
    """Which photos a run holds out, by its recipe: "20 % at random, seed 0"."""
    split = str(recipe.get("split", FROZEN.split))
    if split.startswith("sun-"):
        return _("SUN397’s own partition %(number)s") % {"number": int(split.removeprefix("sun-"))}
    if split.startswith("fold-"):
        number, folds = split.removeprefix("fold-").split("-of-")
        return _("fold %(number)s of %(folds)s") % {"number": number, "folds": folds}
    share = recipe.get("test_share", FROZEN.test_share)
    words = {"share": f"{100 * share:.0f}\u00a0%", "seed": recipe.get("seed", FROZEN.seed)}
    return _("%(share)s at random, seed %(seed)s") % words


def accuracy_interval(run: TrainingRun) -> tuple[float, float] | None:
    """Wilson's 95 % interval of the accuracy; None where it is too narrow to matter, and without photos."""
    photos = run.report.get("test_photos") or 0
    if run.accuracy is None or not 0 < photos < MANY:
        return None
    return wilson(run.accuracy, photos)


def study(run: TrainingRun) -> dict[str, Any]:
    """Everything below a finished run's curves. At most eight queries, whatever the run's size."""
    report = run.report
    right = by_outcome(run.held_out.all(), right=True)
    wrong = by_outcome(run.held_out.all(), right=False)
    coverage = _coverage(run)
    return {
        "reliability": report.get("reliability", []),
        "reliability_chart": reliability_chart(run),
        "costs": scene_costs(run),
        "matrix": confusion_rows(run.get_absolute_url(), report["labels"], report["confusion"]),
        "labels": report["labels"],
        "per_label": sorted(report.get("per_label", []), key=lambda row: -row["photos"]),
        "right": right.select_related("photo__scene_class")[:GALLERY],
        "wrong": wrong.select_related("photo__scene_class")[:GALLERY],
        "coverage_chart": coverage_chart([(_("precision"), coverage)]),
        "coverage": [point for point in coverage if round(point[0], 3) in (0.2, 0.4, 0.6, 0.8, 1.0)],
    }


def reliability_chart(run: TrainingRun) -> Chart | None:
    """How often it is right at each confidence; None if that was not measured."""
    bins = run.report.get("reliability", [])
    if not bins:
        return None
    return line_chart(
        gettext_noop("Share that is right, by confidence"),
        [
            (_("measured"), [(row["confidence"], row["accuracy"]) for row in bins]),
            (_("ideal"), [(0.0, 0.0), (1.0, 1.0)]),
        ],
        x_title=_("confidence"),
        x_range=(0, 1),
        y_range=(0, 1),
        percent=True,
    )


def coverage_chart(series: Sequence[tuple[str, Sequence[Point]]]) -> Chart | None:
    return line_chart(
        gettext_noop("Precision of suggestions, by coverage"),
        series,
        x_title=_("share of photos with a suggestion"),
        x_range=(0, 1),
        percent=True,
    )


def charts_of(run: TrainingRun, target: str = "") -> list[Chart]:
    """Every chart on the run's page, as its page shows it for this target precision."""
    at_target = target_of(run, target)
    running = running_epoch(run)
    charts = [
        running["chart"] if running else None,
        *epoch_charts(list(run.epochs.all())),
        rate_chart(recipe_of(run)),  # of a run without epochs: what its recipe plans
        reliability_chart(run),
        at_target["chart"] if at_target else coverage_chart([(_("precision"), _coverage(run))]),
    ]
    return [chart for chart in charts if chart]


def _coverage(run: TrainingRun) -> list[Point]:
    return [(row["coverage"], row["precision"]) for row in run.report.get("precision_at_coverage", [])]


def scene_costs(run: TrainingRun, most: int = 12) -> list[dict[str, Any]]:
    """The scene classes whose photos are most often predicted wrongly, with their mapping entries."""
    rows = run.report.get("scene_costs", [])[:most]
    photos = run.report.get("test_photos") or 0
    errors = round(photos * (1 - (run.accuracy or 0.0))) or 1
    keys = [row["scene_class"] for row in rows]
    entries = MappingEntry.objects.filter(opinion=None, scene_class__key__in=keys).select_related(
        "scene_class"
    )
    by_key = {entry.scene_class.key: entry for entry in entries}
    return [
        {
            **row,
            "entry": by_key.get(row["scene_class"]),
            "share": row["wrong"] / errors,
            "points": 100 * row["wrong"] / photos if photos else 0.0,
            "mostly": row["taken_for_count"] > row["photos"] / 2,
        }
        for row in rows
    ]


def target_of(run: TrainingRun, text: str) -> dict[str, Any] | None:
    """The report's figures at the target precision nearest to `text` (in per cent); None if it has none."""
    rows = run.report.get("targets") or []
    if not rows:
        return None
    percent = int(text) if text.isdecimal() and len(text) < 4 else 90
    row = min(rows, key=lambda row: abs(row["target"] * 100 - percent))
    this_point = [(row["coverage"], row["precision"])] if row["precision"] is not None else []
    points = [(r["coverage"], r["precision"]) for r in rows if r["precision"] is not None]
    thresholds = sorted((label, t) for label, t in row["thresholds"].items() if t <= 1)
    return {
        **row,
        "percent": round(100 * row["target"]),
        "lowest": round(100 * rows[0]["target"]),
        "highest": round(100 * rows[-1]["target"]),
        "spoken": thresholds,
        "silent": sorted(label for label, t in row["thresholds"].items() if t > 1),
        "chart": coverage_chart([(_("all targets"), points), (_("this target"), this_point)]),
    }


def by_outcome(held_out: QuerySet[HeldOutPrediction], *, right: bool) -> QuerySet[HeldOutPrediction]:
    """The suggestions that fit, or the costly errors: a hashtag where another one or none belongs.

    A prediction of `other` suggests nothing, so it is in neither.
    """
    suggestions = held_out.exclude(predicted=OTHER)
    return suggestions.filter(true=F("predicted")) if right else suggestions.exclude(true=F("predicted"))


def confusion_rows(run_url: str, labels: list[str], counts: list[list[int]]) -> list[dict[str, Any]]:
    """A row per true label, with a cell per predicted label. `share` is in per cent of the row."""
    rows = []
    photos = reverse("trainer:run_photos", args=[run_url.rstrip("/").rpartition("/")[2]])
    for i, (true, row) in enumerate(zip(labels, counts, strict=True)):
        total = sum(row)
        cells = [
            {
                "count": count,
                "share": round(100 * count / total) if total else 0,
                "predicted": labels[j],
                "is_right": i == j,
                "is_costly": i != j and labels[j] != OTHER,
                "href": f"{photos}?{urlencode({'true': true, 'predicted': labels[j]})}",
            }
            for j, count in enumerate(row)
        ]
        rows.append({"label": true, "total": total, "cells": cells})
    return rows


def bars(per_label: Counter[str], few: int = 0) -> list[dict[str, Any]]:
    """Rows of a bar chart, the longest first. Labels with fewer than `few` photos are marked."""
    most = max(per_label.values(), default=1)
    return [
        {"label": label, "photos": n, "share": 100 * n / most, "other": label == OTHER, "few": n < few}
        for label, n in per_label.most_common()
    ]


def expected_seconds(photos: int) -> dict[str, float]:
    """Preset → seconds that a run on this many photos is likely to take, judged by the newest runs here.

    Presets that never ran here are missing.
    """
    finished_runs = TrainingRun.objects.filter(job__state=Job.State.SUCCEEDED).select_related("job")
    rates: dict[str, list[float]] = {}
    for preset, report, job in [(run.preset, run.report, run.job) for run in finished_runs[:30]]:
        count = report.get("train_photos", 0) + report.get("test_photos", 0)
        if count and job.seconds:
            rates.setdefault(preset, []).append(max(0.0, job.seconds - START) / count)
    return {preset: START + median(rates_of[:3]) * photos for preset, rates_of in rates.items()}
