"""Finds the run that a launch would repeat."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from jobs.models import Job
from mapping.models import Release
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet, TrainingRun
from trainer.runs.comparison import LATER, has_effect

ALIKE = (*Job.LIVE, Job.State.SUCCEEDED)  # a failed or cancelled run is no reason not to start one


class SameRunExists(Exception):
    """A run with the same photos, labels, settings and seed is there already."""

    def __init__(self, run: TrainingRun) -> None:
        super().__init__(_("“%(run)s” has the same photos, labels, settings and seed.") % {"run": run})
        self.run = run


def find_same_run(photo_set: PhotoSet, release: Release, recipe: Recipe) -> TrainingRun | None:
    """The newest run that waits, trains or has succeeded, and that learns just the same."""
    wanted = _with_effect(recipe.as_dict())
    runs = TrainingRun.objects.filter(photo_set=photo_set, release=release, job__state__in=ALIKE)
    rows = runs.order_by("-pk").values_list("pk", "recipe").iterator()
    pk = next((pk for pk, other in rows if _with_effect(other) == wanted), None)
    if pk is None:
        return None
    return TrainingRun.objects.select_related("job", "created_by").defer("report", "live", "right").get(pk=pk)


def _with_effect(recipe: dict[str, Any]) -> dict[str, Any]:
    recipe = LATER | recipe
    return {name: value for name, value in recipe.items() if has_effect(name, recipe)}
