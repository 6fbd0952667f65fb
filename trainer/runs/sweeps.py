"""Launches sweeps: runs of a table of the thesis, or of one recipe over several splits or seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from formats.texts import joined_texts
from jobs import queue as jobs
from jobs.models import Job
from mapping.models import Release
from trainer.engine.errors import RecipeError
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet, Sweep, TrainingRun
from trainer.runs.start import REPEATED_CLICK, check_photos, create_run, lock_photo_set

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MOST = 120  # runs of one sweep: these alone take weeks on a GPU
SPLITS: dict[str, tuple[str, ...]] = {
    "sun": tuple(f"sun-{n:02d}" for n in range(1, 11)),
    "fold5": tuple(f"fold-{n}-of-5" for n in range(1, 6)),
    "fold10": tuple(f"fold-{n}-of-10" for n in range(1, 11)),
}


@dataclass(frozen=True)
class PlannedRun:
    preset: str
    recipe: Recipe
    words: str  # what distinguishes it from the other runs of its preset


def plan(*, presets: Sequence[str], splits: str, seeds: int, changes: Mapping[str, Any]) -> list[PlannedRun]:
    """The runs of a sweep, in the order of the presets: each preset with each split and each seed.

    Raises RecipeError for no runs or too many, and, naming the preset, for a change that does not suit it.
    """
    runs = []
    for name in (name for name in PRESETS if name in presets):
        base = PRESETS[name].recipe.as_dict() | dict(changes)
        for split in SPLITS.get(splits, ("",)):
            for seed in range(seeds):
                own_settings: dict[str, Any] = {"split": split} if split else {}
                if seeds > 1:
                    own_settings["seed"] = seed
                try:
                    recipe = Recipe.from_dict(base | own_settings)
                except RecipeError as error:
                    title = _(PRESETS[name].title)
                    reason = joined_texts(title, error.reason, by=": ")
                    raise RecipeError(error.field, reason) from error
                words = ", ".join([split] * bool(split) + [f"seed {seed}"] * (seeds > 1))
                runs.append(PlannedRun(name, recipe, words))
    if not runs:
        raise RecipeError("presets", _("choose at least one"))
    if len(runs) > MOST:
        raise RecipeError(
            "presets",
            _("these are %(n)s runs; a sweep has at most %(most)s") % {"n": len(runs), "most": MOST},
        )
    return runs


@transaction.atomic
def start_sweep(
    *,
    photo_set: PhotoSet,
    release: Release,
    planned_runs: Sequence[PlannedRun],
    name: str,
    by: AbstractBaseUser | None,
) -> Sweep:
    """Put all runs into the queue, or none. A repeated click within seconds gives the same sweep.

    Raises NotReady for photos that are missing or cannot be divided as the recipes say.
    """
    photo_set = lock_photo_set(photo_set)
    recipes = [(one.preset, one.recipe.as_dict()) for one in planned_runs]
    recent = Sweep.objects.filter(
        created_by_id=by.pk if by else None, created_at__gte=timezone.now() - REPEATED_CLICK
    )
    for sweep in recent:
        runs = sweep.runs.filter(photo_set=photo_set, release=release).order_by("pk")
        if list(runs.values_list("preset", "recipe")) == recipes:
            return sweep
    check_photos(photo_set, release, [one.recipe for one in planned_runs])
    sweep = Sweep.objects.create(name=name[:100], created_by_id=by.pk if by else None)
    for one in planned_runs:
        title = PRESETS[one.preset].title
        create_run(
            photo_set=photo_set,
            release=release,
            preset=one.preset,
            recipe=one.recipe,
            by=by,
            name=f"{title}, {one.words}" if one.words else title,
            sweep=sweep,
        )
    return sweep


def cancel_rest(*, sweep: Sweep, by: AbstractBaseUser | None) -> int:
    """Cancel waiting and running runs; returns how many."""
    live = Job.objects.live().filter(run__sweep=sweep)
    for job in live:
        jobs.cancel(job=job, by=by)
    return len(live)


def retry_ended(*, sweep: Sweep, by: AbstractBaseUser | None) -> int:
    """Queue failed and cancelled runs again; returns how many."""
    jobs_to_retry = Job.objects.filter(run__sweep=sweep, state__in=(Job.State.FAILED, Job.State.CANCELLED))
    return sum(jobs.retry(job=job, by=by) for job in jobs_to_retry.order_by("run__pk"))


def summaries(runs: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """Mean and standard deviation (n − 1) of both accuracies, for presets with several finished runs."""
    rows = []
    for name in dict.fromkeys(run.preset for run in runs):
        finished_runs = [run for run in runs if run.preset == name and run.accuracy is not None]
        count = sum(run.preset == name for run in runs)
        if count > 1 and len(finished_runs) > 1:
            accuracy = [run.accuracy or 0.0 for run in finished_runs]
            balanced = [run.balanced_accuracy or 0.0 for run in finished_runs]
            rows.append(
                {
                    "title": PRESETS[name].title if name in PRESETS else name,
                    "runs": len(finished_runs),
                    "planned": count,
                    "accuracy": mean(accuracy),
                    "accuracy_sd": stdev(accuracy),
                    "balanced": mean(balanced),
                    "balanced_sd": stdev(balanced),
                }
            )
    return rows
