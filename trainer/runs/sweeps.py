"""Sweeps: a table of the thesis, or one recipe over several splits or seeds, launched together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from jobs import queue as jobs
from jobs.models import Job
from mapping.models import Release
from trainer.engine.errors import RecipeError
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet, Sweep, TrainingRun
from trainer.runs.start import REPEATED_CLICK, create_run, lock_photo_set

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MOST = 120  # runs of one sweep: weeks of a GPU already
SPLITS: dict[str, tuple[str, ...]] = {
    "sun": tuple(f"sun-{n:02d}" for n in range(1, 11)),
    "fold5": tuple(f"fold-{n}-of-5" for n in range(1, 6)),
    "fold10": tuple(f"fold-{n}-of-10" for n in range(1, 11)),
}


@dataclass(frozen=True)
class Planned:
    preset: str
    recipe: Recipe
    words: str  # what tells it from the others of its preset


def plan(*, presets: Sequence[str], splits: str, seeds: int, changes: Mapping[str, Any]) -> list[Planned]:
    """The runs of a sweep, in the presets' order: each preset, over each split, by each seed.

    Raises RecipeError, whose message names the preset, where a change does not go with one, or for too many.
    """
    planned = []
    for name in (name for name in PRESETS if name in presets):
        base = PRESETS[name].recipe.as_dict() | dict(changes)
        for split in SPLITS.get(splits, ("",)):
            for seed in range(seeds):
                own: dict[str, Any] = {"split": split} if split else {}
                if seeds > 1:
                    own["seed"] = seed
                try:
                    recipe = Recipe.from_dict(base | own)
                except RecipeError as error:
                    words = error.message.removeprefix(f"{error.field}: ")
                    raise RecipeError(error.field, f"{PRESETS[name].title}: {words}") from error
                words = ", ".join([split] * bool(split) + [f"seed {seed}"] * (seeds > 1))
                planned.append(Planned(name, recipe, words))
    if not planned:
        raise RecipeError("presets", "choose one at least")
    if len(planned) > MOST:
        raise RecipeError("presets", f"these are {len(planned)} runs; {MOST} are the most at once")
    return planned


@transaction.atomic
def start_sweep(
    *,
    photo_set: PhotoSet,
    release: Release,
    planned: Sequence[Planned],
    name: str,
    by: AbstractBaseUser | None,
) -> Sweep:
    """All runs in the queue, or none. The same wish of the same person within seconds is one sweep.

    Raises NotReady for a photo set that holds no photo yet.
    """
    photo_set = lock_photo_set(photo_set)
    recipes = [(one.preset, one.recipe.as_dict()) for one in planned]
    recent = Sweep.objects.filter(
        created_by_id=by.pk if by else None, created_at__gte=timezone.now() - REPEATED_CLICK
    )
    for sweep in recent:
        runs = sweep.runs.filter(photo_set=photo_set, release=release).order_by("pk")
        if list(runs.values_list("preset", "recipe")) == recipes:
            return sweep
    sweep = Sweep.objects.create(name=name[:100], created_by_id=by.pk if by else None)
    for one in planned:
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
    ended = Job.objects.filter(run__sweep=sweep, state__in=(Job.State.FAILED, Job.State.CANCELLED))
    return sum(jobs.retry(job=job, by=by) for job in ended.order_by("run__pk"))


def summaries(runs: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """Where a preset was run several times: mean and standard deviation (n − 1) of both accuracies."""
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
                    "asked": count,
                    "accuracy": mean(accuracy),
                    "accuracy_sd": stdev(accuracy),
                    "balanced": mean(balanced),
                    "balanced_sd": stdev(balanced),
                }
            )
    return rows
