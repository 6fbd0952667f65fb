"""Start training runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from jobs.models import Job
from jobs.services import enqueue
from mapping.models import Release
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, TrainingRun

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

REPEATED_CLICK = timedelta(seconds=10)


class NotReady(Exception):
    """What is asked for needs something that has not ended yet, or not well."""


@transaction.atomic
def start_run(
    *,
    photo_set: PhotoSet,
    release: Release,
    preset: str,
    by: AbstractBaseUser | None,
    name: str = "",
) -> TrainingRun:
    """A run in the queue. The same wish of the same person within seconds is a repeated click: one run.

    Raises NotReady for a photo set that holds no photo yet, KeyError for an unknown preset.
    """
    recipe = PRESETS[preset]
    # Two clicks at once wait here for each other.
    locked = PhotoSet.objects.select_for_update(of=("self",)).select_related("job")
    photo_set = locked.get(pk=photo_set.pk)
    if photo_set.job and photo_set.job.is_live:
        raise NotReady(f"“{photo_set}” is still being registered.")
    if not photo_set.photos.exists():
        raise NotReady(f"“{photo_set}” holds no photos.")
    again = TrainingRun.objects.filter(
        photo_set=photo_set,
        release=release,
        preset=preset,
        created_by_id=by.pk if by else None,
        created_at__gte=timezone.now() - REPEATED_CLICK,
        job__state__in=Job.LIVE,
    ).first()
    if again:
        return again
    name = (name or f"{photo_set.name}, {recipe.title}")[:100]
    job = enqueue(kind="trainer.train", title=f"Train “{name}”", by=by)
    run = TrainingRun.objects.create(
        name=name,
        photo_set=photo_set,
        release=release,
        preset=preset,
        recipe=recipe.recipe.as_dict(),
        job=job,
        created_by_id=by.pk if by else None,
    )
    Job.objects.filter(pk=job.pk).update(url=run.get_absolute_url())
    return run
