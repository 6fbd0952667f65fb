"""The card of a model trained here: what it is, what it learned from, how good it is, in Markdown."""

from __future__ import annotations

from typing import Any

from trainer.engine.backbones import BACKBONES
from trainer.models import TrainingRun


def run_card(run: TrainingRun, manifest: dict[str, Any]) -> str:
    """Every figure is the run's or the export's own: nothing here is typed by hand."""
    report = run.report
    recipe = manifest.get("recipe", run.recipe)
    lines = [
        "## Data",
        f"Photo set “{run.photo_set.name}”, labels of {run.release} ({_note(run)}). "
        f"{report.get('train_photos', 0):,} photos to learn from, {report.get('test_photos', 0):,} held out.",
        "",
        "## Measured on the held-out photos",
        f"- accuracy {run.accuracy:.3f}" if run.accuracy is not None else "",
        f"- balanced accuracy {run.balanced_accuracy:.3f} (the mean of each hashtag's recall)"
        if run.balanced_accuracy is not None
        else "",
        *(
            f"- when it suggests for {point['coverage']:.0%} of the photos, {point['precision']:.0%} fit"
            for point in report.get("precision_at_coverage", [])
            if round(point["coverage"], 3) in (0.2, 0.4, 0.6)
        ),
        "",
        "## Limits",
        "It knows only the scenes of its photo set. Photos of faces, food, text or drawings are outside "
        "what it was measured on; it should answer them with silence, and sometimes will not.",
        "",
        "## Recipe",
        *(f"- {key}: {value}" for key, value in sorted(recipe.items())),
        *_licences(recipe),
    ]
    return "\n".join(lines)


def _licences(recipe: dict[str, Any]) -> list[str]:
    """Of the pretrained weights in the model."""
    name = "backbone" if recipe.get("kind") == "frozen" else "network"
    backbones = [BACKBONES[part] for part in str(recipe.get(name, "")).split("+") if part in BACKBONES]
    if not backbones or (name == "network" and recipe.get("weights") != "imagenet"):
        return []
    rows = (f"- weights of {item.title}: {item.licence} ({item.source})" for item in backbones)
    return ["", "## Licences", *rows]


def lineage(run: TrainingRun) -> dict[str, Any]:
    """Where a model comes from, in words that mean something on another installation too."""
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
