"""Start training runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from jobs.models import Job
from jobs.queue import enqueue
from mapping.models import Release
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet, Sweep, TrainingRun
from trainer.runs.code_version import code_version

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

REPEATED_CLICK = timedelta(seconds=10)


class NotReady(Exception):
    """The request needs something that has not finished, or has failed."""


@transaction.atomic
def start_run(
    *,
    photo_set: PhotoSet,
    release: Release,
    preset: str,
    by: AbstractBaseUser | None,
    name: str = "",
    recipe: Mapping[str, Any] | None = None,
    based_on: TrainingRun | None = None,
) -> TrainingRun:
    """A run in the queue. The same wish of the same person within seconds is a repeated click: one run.

    `recipe` has the settings that differ from the preset's. Raises NotReady for a photo set that holds no
    photo yet, KeyError for an unknown preset, RecipeError for settings that cannot be used.
    """
    photo_set = lock_photo_set(photo_set)
    wanted = Recipe.from_dict(PRESETS[preset].recipe.as_dict() | dict(recipe or {}))
    recent = TrainingRun.objects.filter(
        photo_set=photo_set,
        release=release,
        preset=preset,
        created_by_id=by.pk if by else None,
        created_at__gte=timezone.now() - REPEATED_CLICK,
        job__state__in=Job.LIVE,
    )
    for run in recent.defer("report", "live", "right"):
        if run.recipe == wanted.as_dict():
            return run
    return create_run(
        photo_set=photo_set,
        release=release,
        preset=preset,
        recipe=wanted,
        by=by,
        name=name or f"{photo_set.name}, {PRESETS[preset].title}",
        based_on=based_on,
    )


def lock_photo_set(photo_set: PhotoSet) -> PhotoSet:
    """The photo set, until the transaction ends: clicks at once wait for each other. Raises NotReady."""
    locked = PhotoSet.objects.select_for_update(of=("self",)).select_related("job")
    photo_set = locked.get(pk=photo_set.pk)
    if photo_set.job and photo_set.job.is_live:
        raise NotReady(f"“{photo_set}” is still being registered.")
    if not photo_set.photos.exists():
        raise NotReady(f"“{photo_set}” holds no photos.")
    return photo_set


def create_run(
    *,
    photo_set: PhotoSet,
    release: Release,
    preset: str,
    recipe: Recipe,
    by: AbstractBaseUser | None,
    name: str,
    based_on: TrainingRun | None = None,
    sweep: Sweep | None = None,
) -> TrainingRun:
    """A run and its job, without asking whether there is one like it. Inside a transaction."""
    name = name[:100]
    job = enqueue(kind="trainer.train", title=f"Train “{name}”", by=by)
    run = TrainingRun.objects.create(
        name=name,
        photo_set=photo_set,
        release=release,
        preset=preset,
        recipe=recipe.as_dict(),
        job=job,
        based_on=based_on,
        sweep=sweep,
        code_version=code_version(),
        created_by_id=by.pk if by else None,
    )
    Job.objects.filter(pk=job.pk).update(url=run.get_absolute_url())
    return run
