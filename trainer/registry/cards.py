"""The card of a model trained here, in Markdown: what it was trained on and how good it is."""

from __future__ import annotations

import re
from typing import Any

from mapping.models import Release
from trainer.engine.backbones import BACKBONES
from trainer.models import TrainedModel, TrainingRun
from trainer.registry.promises import promise_of
from trainer.runs.comparison import has_effect


def run_card(run: TrainingRun, manifest: dict[str, Any]) -> str:
    """The card's text. Every figure comes from the run or the export; none is typed by hand."""
    report = run.report
    recipe = manifest.get("recipe", run.recipe)
    lines = [
        "## Data",
        f"Photo set “{run.photo_set.name}”, labels of {run.release} ({_note(run)}). "
        f"{report.get('train_photos', 0):,} training photos, {report.get('test_photos', 0):,} held out.",
        "",
        "## Measured on the held-out photos",
        f"- accuracy {run.accuracy:.3f}" if run.accuracy is not None else "",
        f"- balanced accuracy {run.balanced_accuracy:.3f} (the mean of each hashtag's recall)"
        if run.balanced_accuracy is not None
        else "",
        *(
            f"- when it suggests for {100 * point['coverage']:.0f} % of the photos, "
            f"{100 * point['precision']:.0f} % fit"
            for point in report.get("precision_at_coverage", [])
            if round(point["coverage"], 3) in (0.2, 0.4, 0.6)
        ),
        *(("", "## Promise", promise) if (promise := promise_of(manifest)) else ()),
        "",
        "## Limits",
        "It knows only the scenes of its photo set. Photos of faces, food, text or drawings are outside "
        "what it was measured on; it should stay silent about them, but sometimes it will not.",
        "",
        "## Recipe",
        *(f"- {key}: {value}" for key, value in sorted(recipe.items()) if has_effect(key, recipe)),
        *_licences(recipe),
    ]
    return "\n".join(lines)


def relabelled_card(source: TrainedModel, release: Release, manifest: dict[str, Any]) -> str:
    """The card of a model that has another's network and the labels of a release."""
    held_out, metrics = manifest["held_out"], manifest["metrics"]
    precision = held_out["precision"]
    lines = [
        "## Data",
        f"The network of “{source.name}”, not trained again. Its scene classes are added up by the labels of "
        f"{release} ({release.note or 'no note'}). {metrics['train_photos']:,} training photos have a label "
        f"there, {metrics['test_photos']:,} of those held out.",
        "",
        "## Measured on the held-out photos, by their new labels",
        f"- accuracy {metrics['accuracy']:.3f}",
        f"- balanced accuracy {metrics['balanced_accuracy']:.3f} (the mean of each hashtag's recall)",
        f"- it suggests for {100 * held_out['coverage']:.0f} % of the photos"
        + (f", of which {100 * precision:.0f} % fit" if precision is not None else ""),
        *_objections(manifest["relabelled"].get("people")),
        *(("", "## Promise", promise) if (promise := promise_of(manifest)) else ()),
    ]
    return "\n".join([*lines, *_licences(manifest.get("recipe", {}))])


def _objections(people: dict[str, Any] | None) -> list[str]:
    if not people or not people["raised"]:
        return []
    names = ", ".join(
        f"#{row['hashtag']} {row['before']:.2f} → {_threshold(row['after'])}" for row in people["raised"]
    )
    return [f"- votes of the campaign “{people['name']}” have raised thresholds: {names}"]


def _threshold(value: float) -> str:
    return f"{value:.2f}" if value <= 1 else "never"


def _licences(recipe: dict[str, Any]) -> list[str]:
    """The licences of the pretrained weights in the model."""
    name = "backbone" if recipe.get("kind") == "frozen" else "network"
    backbones = [BACKBONES[part] for part in str(recipe.get(name, "")).split("+") if part in BACKBONES]
    if not backbones or (name == "network" and recipe.get("weights") != "imagenet"):
        return []
    rows = (f"- weights of {item.title}: {item.licence} ({item.source})" for item in backbones)
    return ["", "## Licences", *rows]


def card_with_promise(card: str, promise: str) -> str:
    """This card with a promise, which it says first, instead of its own."""
    sections = re.split(r"(?m)^(?=## )", card)
    kept = "".join(one for one in sections if not one.startswith("## Promise\n"))
    return f"## Promise\n{promise}\n\n{kept}"


def lineage(run: TrainingRun) -> dict[str, Any]:
    """Where a model comes from, in names that also make sense on another installation."""
    return {
        "run": run.name,
        "trained": run.created_at.date().isoformat(),
        "photo_set": run.photo_set.name,
        "release": f"{run.release} ({_note(run)})",
        "recipe": run.preset,
        "code_version": run.code_version,
    }


def _note(run: TrainingRun) -> str:
    return run.release.note or "no note"
