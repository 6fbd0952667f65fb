"""Starts training runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.code_version import code_version
from jobs.machines import Needs
from jobs.models import Job
from jobs.queue import enqueue
from mapping.models import Release
from trainer.engine.errors import RecipeError
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet, Sweep, TrainingRun
from trainer.runs.notes import job_title
from trainer.runs.same import SameRunExists, find_same_run
from trainer.runs.settings_form import ONE_MACHINE
from trainer.runs.splits import CannotSplit, check_splits

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

REPEATED_CLICK = timedelta(seconds=10)
# Bytes that each process takes before it has a network to speak of: docs/measured.md, several processes.
LEAST_MEMORY = 400_000_000


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
    despite: int | None = None,
) -> TrainingRun:
    """Put a run into the queue. The same request of the same person within seconds, a repeated click, gives
    the same run.

    `recipe` has the settings that differ from the preset's; `despite` is the same run that the person has
    seen and does not mind. Raises NotReady for photos that are missing or cannot be divided, SameRunExists,
    KeyError for an unknown preset, RecipeError for settings that cannot be used.
    """
    photo_set = lock_photo_set(photo_set)
    full_recipe = Recipe.from_dict(PRESETS[preset].recipe.as_dict() | dict(recipe or {}))
    same = find_same_run(photo_set, release, full_recipe)
    if same and (despite is None or same.pk > despite):
        is_mine = same.created_by_id == (by.pk if by else None) and same.preset == preset
        is_recent = same.job.is_live and same.created_at >= timezone.now() - REPEATED_CLICK
        if is_mine and (is_recent or despite is not None):
            return same
        raise SameRunExists(same)
    check_photos(photo_set, release, [full_recipe])
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


def check_photos(photo_set: PhotoSet, release: Release, recipes: Iterable[Recipe]) -> None:
    """Raises NotReady if the photos cannot be divided as the recipes say."""
    try:
        check_splits(photo_set, release, recipes)
    except CannotSplit as error:
        raise NotReady(str(error)) from error


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
    """Create a run and its job inside a transaction, without looking for a run like it.

    Raises RecipeError for a recipe of several machines, which no worker can train.
    """
    if recipe.nodes > 1:
        raise RecipeError("nodes", ONE_MACHINE)
    name = name[:100]
    job = enqueue(kind="trainer.train", title=job_title(name), by=by, needs=needs_of(recipe))
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


def needs_of(recipe: Recipe) -> Needs:
    """What a run needs of a worker's machine."""
    return Needs(
        processes=recipe.processes,
        only_gpus=recipe.kind == "finetune" and recipe.precision == "fp16",
        memory=recipe.processes * LEAST_MEMORY,
    )
