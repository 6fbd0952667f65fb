"""What a database says, by names that every version since 25 November 2026 has. They run this file, too.

It uses `_base_manager` and `values_list` only, so that neither managers nor methods of any version matter.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps

ROWS = {
    "people": ("auth.User", ("username", "is_active", "groups__name")),
    "hashtags": ("mapping.Hashtag", ("name", "posts", "source")),
    "decisions": ("mapping.MappingEntry", ("scene_class__key", "hashtag__name", "sense", "status")),
    "releases": ("mapping.ReleaseLabel", ("release__number", "scene_key", "label")),
    "scene photos": ("trainer.ScenePhoto", ("photo_set__name", "scene_class__key", "path", "sha256")),
    "runs": ("trainer.TrainingRun", ("name", "release__number", "job__state", "balanced_accuracy")),
    "epochs": ("trainer.Epoch", ("run__name", "number", "loss", "balanced_accuracy")),
    "models": ("trainer.TrainedModel", ("name", "run__name", "card", "promotions__pk")),
    "campaigns": ("validation.Campaign", ("name", "model__name", "is_open", "photos__sha256")),
    "predictions": ("validation.Prediction", ("photo__sha256", "hashtag__name", "confidence", "reason")),
    "votes": ("validation.Vote", ("photo__sha256", "hashtag__name", "person__username", "answer")),
    "intakes": ("validation.IntakeFile", ("intake__name", "name", "state", "photo__sha256")),
    "questions": ("validation.Question", ("campaign__name", "photo__sha256", "hashtag__name", "fits")),
    "counts": ("validation.Participation", ("person__username", "fits", "does_not_fit", "skips")),
}


def figures() -> dict[str, list[list[Any]]]:
    """All rows of what matters, sorted."""
    return {what: _rows(*where) for what, where in ROWS.items()}


def _rows(label: str, fields: tuple[str, ...]) -> list[list[Any]]:
    rows = apps.get_model(label)._base_manager.order_by().values_list(*fields)
    return sorted(([*row] for row in rows), key=repr)
