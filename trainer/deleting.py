"""Deletes runs and models with everything that depends on them.

A plan lists it all for the person first. Then everything in it is deleted, or nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext

from formats.storage import StorageFailure
from jobs.models import Job
from trainer.models import Epoch, HeldOutPrediction, Promotion, Sweep, TrainedModel, TrainingRun
from trainer.registry.dependents import Thing, all_sources
from trainer.runs import boards
from trainer.runs.teachers import NAMED
from trainer.shared import Tree, is_shared, names_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

GONE = ".gone"  # suffix of a folder whose row is deleted, until the folder is deleted too
log = logging.getLogger(__name__)


class Refused(Exception):
    """A run or model cannot be deleted now; the message says why."""


class PlanChanged(Exception):
    """The dependents have changed since the person saw the plan. `plan` is the new one."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(_("Something changed since this page was shown. Nothing was deleted."))
        self.plan = plan


@dataclass(frozen=True)
class Plan:
    """What would be deleted (`goes`) and kept (`stays`). `refusal`: why nothing may be deleted now."""

    runs: tuple[int, ...]
    models: tuple[int, ...]
    goes: tuple[Thing, ...]
    stays: tuple[Thing, ...]
    refusal: str

    @property
    def digest(self) -> str:
        """Identifies exactly this plan."""
        content = (self.runs, self.models, [(thing.key, thing.count) for thing in self.goes])
        return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def plan_model(model: TrainedModel) -> Plan:
    return _plan([], [model.pk])


def plan_run(run: TrainingRun) -> Plan:
    """The run, its models, and what depends on them."""
    return _plan([run.pk], list(run.models.values_list("pk", flat=True)))


def plan_sweep(sweep: Sweep) -> Plan:
    runs = list(sweep.runs.values_list("pk", flat=True))
    return _plan(runs, list(TrainedModel.objects.filter(run__in=runs).values_list("pk", flat=True)))


def delete_model(*, model: TrainedModel, seen: str, by: AbstractBaseUser | None) -> None:
    """Delete a model with the campaigns and predictions that depend on it; votes stay.

    `seen` is the digest of the plan that the person agreed to. A missing model is no error. Raises
    PlanChanged, and Refused for the active model and for one that is being exported or predicted with.
    """
    with transaction.atomic():
        _lock([], [model.pk])
        if TrainedModel.objects.filter(pk=model.pk).exists():
            _delete(plan_model(model), seen, by)


def delete_run(*, run: TrainingRun, seen: str, by: AbstractBaseUser | None) -> None:
    """Delete a run with its models, as delete_model does. Raises Refused while the run is live."""
    with transaction.atomic():
        _lock([run.pk], run.models.values_list("pk", flat=True))
        if TrainingRun.objects.filter(pk=run.pk).exists():
            _delete(plan_run(run), seen, by)


def delete_sweep(*, sweep: Sweep, seen: str, by: AbstractBaseUser | None) -> None:
    """Delete a sweep with all of its runs, as delete_run does."""
    with transaction.atomic():
        runs = list(sweep.runs.values_list("pk", flat=True))
        _lock(runs, TrainedModel.objects.filter(run__in=runs).values_list("pk", flat=True))
        if Sweep.objects.select_for_update().filter(pk=sweep.pk).exists():
            _delete(plan_sweep(sweep), seen, by)
            sweep.delete()


def _plan(runs: Sequence[int], models: Sequence[int]) -> Plan:
    things = [
        *_models_of(runs, models),
        *(thing for source in all_sources() for thing in source.on(models)),
        _thing("promotions", Promotion.objects.filter(model__in=models).count()),
        _thing("epochs", Epoch.objects.filter(run__in=runs).count()),
        _thing("answers", HeldOutPrediction.objects.filter(run__in=runs).count()),
    ]
    return Plan(
        runs=tuple(sorted(runs)),
        models=tuple(sorted(models)),
        goes=tuple(thing for thing in things if thing.count and not thing.stays),
        stays=tuple(thing for thing in things if thing.count and thing.stays),
        refusal=_refusal(runs, models),
    )


def _models_of(runs: Sequence[int], models: Sequence[int]) -> list[Thing]:
    """The models that are deleted with their run. A model that is deleted alone is not listed."""
    if not runs:
        return []
    rows = TrainedModel.objects.filter(pk__in=models).defer("manifest", "card")
    return [Thing((_("model"), _("models")), 1, m.name, m.get_absolute_url(), f"model {m.pk}") for m in rows]


def _thing(key: str, count: int) -> Thing:
    nouns = {
        "promotions": ngettext("promotion in the history", "promotions in the history", count),
        "epochs": npgettext("of a run", "epoch", "epochs", count),
        "answers": ngettext("answer about a held-out photo", "answers about held-out photos", count),
    }
    return Thing((nouns[key], nouns[key]), count, key=key)


def _refusal(runs: Sequence[int], models: Sequence[int]) -> str:
    current = Promotion.objects.current()
    if current and current.model_id in models:
        return _("“%(name)s” is the active model: promote another one or roll back first.") % {
            "name": current.model
        }
    if run := TrainingRun.objects.filter(pk__in=runs, job__state__in=Job.LIVE).only("name").first():
        return _("“%(name)s” is queued or training: cancel it first.") % {"name": run}
    if model := TrainedModel.objects.filter(pk__in=models, job__state__in=Job.LIVE).only("name").first():
        return _("“%(name)s” is being exported: cancel that first.") % {"name": model}
    if model := TrainedModel.objects.filter(derived_from__in=models, job__state__in=Job.LIVE).first():
        return _("“%(name)s” is being made of it: wait, or cancel that first.") % {"name": model}
    if run := _pupil(models):
        return _("“%(name)s” learns from it: wait, or cancel that first.") % {"name": run}
    return next((reason for source in all_sources() if (reason := source.refusal(models))), "")


def _pupil(models: Sequence[int]) -> TrainingRun | None:
    """A run to come that learns from one of the models."""
    for run in TrainingRun.objects.filter(job__state__in=Job.LIVE, recipe__has_key="teacher"):
        match = NAMED.fullmatch(str(run.recipe["teacher"]).strip().lower())
        if match and int(match[1]) in models:
            return run
    return None


def _lock(runs: Iterable[int], models: Iterable[int]) -> None:
    """Make promotions, campaigns and retries wait for this deletion, and this deletion for them."""
    runs, models = list(runs), list(models)
    list(TrainedModel.objects.select_for_update().order_by("pk").values_list("pk"))  # as promote does
    list(TrainingRun.objects.select_for_update().filter(pk__in=runs).values_list("pk"))
    for jobs in (Job.objects.filter(run__in=runs), Job.objects.filter(model__in=models)):
        list(jobs.select_for_update(of=("self",)).values_list("pk"))


def _delete(plan: Plan, seen: str, by: AbstractBaseUser | None) -> None:
    if plan.refusal:
        raise Refused(plan.refusal)
    if plan.digest != seen:
        raise PlanChanged(plan)
    log.info("%s deletes runs %s and models %s", by, plan.runs, plan.models)
    runs = TrainingRun.objects.filter(pk__in=plan.runs)
    models = TrainedModel.objects.filter(pk__in=plan.models)
    jobs = [*runs.values_list("job", flat=True), *models.values_list("job", flat=True)]
    folders = [_runs_dir() / str(pk) for pk in plan.runs] + [_models_dir() / str(pk) for pk in plan.models]
    for source in all_sources():
        source.remove(plan.models)
    Promotion.objects.filter(model__in=plan.models).delete()
    models.delete()
    HeldOutPrediction.objects.filter(run__in=plan.runs).delete()
    runs.delete()
    Job.objects.filter(pk__in=jobs).delete()
    trees = [("runs", pk) for pk in plan.runs] + [("models", pk) for pk in plan.models]
    transaction.on_commit(lambda: _remove_folders(folders))
    transaction.on_commit(lambda: _end_boards(plan.runs))
    transaction.on_commit(lambda: _remove_trees(trees))


# --- folders ----------------------------------------------------------------------------------


def _runs_dir() -> Path:
    return Path(settings.RUNS_DIR)


def _models_dir() -> Path:
    return Path(settings.MODELS_DIR)


def _remove_folders(folders: Iterable[Path]) -> None:
    """Rename them first, so that finish_removals recognises what an interrupted removal leaves behind."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            folder.rename(folder.with_name(folder.name + GONE))
    finish_removals()


def _end_boards(runs: Iterable[int]) -> None:
    for pk in runs:
        boards.end(pk)


def _remove_trees(trees: Iterable[tuple[str, object]]) -> None:
    """What cannot be deleted now is an orphan in the bucket: `orphan_trees`."""
    for kind, name in trees if is_shared() else ():
        try:
            Tree(kind, name).delete()
        except StorageFailure:
            log.exception("%s of %s could not be deleted in the bucket", name, kind)


def finish_removals() -> list[Path]:
    """Finish removals that were interrupted; returns the folders."""
    folders = [folder for root in (_runs_dir(), _models_dir()) for folder in root.glob(f"*{GONE}")]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return folders


def orphans() -> list[Path]:
    """Folders of runs and models without a row: a crash between deleting the rows and the folders.

    They are never removed automatically: with the wrong database, every folder would be an orphan.
    """
    folders: list[Path] = []
    for root, keys in (
        (_runs_dir(), set(TrainingRun.objects.values_list("pk", flat=True))),
        (_models_dir(), set(TrainedModel.objects.values_list("pk", flat=True))),
    ):
        if root.is_dir():
            folders += [one for one in root.iterdir() if one.name.isdecimal() and int(one.name) not in keys]
    return sorted(folders)


def orphan_trees() -> list[Tree]:
    """Files of runs and models in the bucket without a row, as `orphans`. Raises StorageFailure."""
    if not is_shared():
        return []
    return [
        Tree(kind, name)
        for kind, model in (("runs", TrainingRun), ("models", TrainedModel))
        for name in sorted(set(names_of(kind)) - set(map(str, model.objects.values_list("pk", flat=True))))
    ]
