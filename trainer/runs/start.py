"""Starts training runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.code_version import code_version
from jobs.models import Job
from jobs.queue import enqueue
from mapping.models import Release
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet, Sweep, TrainingRun

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

REPEATED_CLICK = timedelta(seconds=10)


class NotReady(Exception):
    """The request needs something that is not there yet, or cannot be used; the message says what."""


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
    """Put a run into the queue. The same request of the same person within seconds, a repeated click, gives
    the same run.

    `recipe` has the settings that differ from the preset's. Raises NotReady for a photo set without photos,
    KeyError for an unknown preset, RecipeError for settings that cannot be used.
    """
    photo_set = lock_photo_set(photo_set)
    full_recipe = Recipe.from_dict(PRESETS[preset].recipe.as_dict() | dict(recipe or {}))
    recent = TrainingRun.objects.filter(
        photo_set=photo_set,
        release=release,
        preset=preset,
        created_by_id=by.pk if by else None,
        created_at__gte=timezone.now() - REPEATED_CLICK,
        job__state__in=Job.LIVE,
    )
    for run in recent.defer("report", "live", "right"):
        if run.recipe == full_recipe.as_dict():
            return run
    return create_run(
        photo_set=photo_set,
        release=release,
        preset=preset,
        recipe=full_recipe,
        by=by,
        name=name or f"{photo_set.name}, {PRESETS[preset].title}",
        based_on=based_on,
    )


def lock_photo_set(photo_set: PhotoSet) -> PhotoSet:
    """Lock the photo set until the transaction ends, so that simultaneous clicks wait for each other.

    Raises NotReady.
    """
    rows = PhotoSet.objects.select_for_update(of=("self",)).select_related("job")
    photo_set = rows.get(pk=photo_set.pk)
    if photo_set.job and photo_set.job.is_live:
        raise NotReady(_("“%(name)s” is still being registered.") % {"name": photo_set})
    if not photo_set.photos.exists():
        raise NotReady(_("“%(name)s” holds no photos.") % {"name": photo_set})
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
    """Create a run and its job inside a transaction, without looking for a run like it."""
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
