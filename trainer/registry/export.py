"""Exports a run as a model: the request, and the job that does the work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _

from formats.json_text import from_json
from formats.texts import Text
from jobs.lease import Lease
from jobs.models import Job
from jobs.processes import Event, run_process
from jobs.queue import enqueue
from trainer.engine.evaluation.promise import KINDS
from trainer.models import TrainedModel, TrainingRun
from trainer.programs import engine_command
from trainer.registry.cards import lineage, run_card
from trainer.registry.files import publish
from trainer.runs.files import bring as bring_run
from trainer.runs.start import NotReady
from trainer.runs.supervision import record
from trainer.set_files import bring

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


TARGET_PRECISION = 0.9  # share of suggestions that should be right, on photos held out from training
LOWEST_TARGET, HIGHEST_TARGET = 0.5, 0.99
PROMISED = {"overall": "promised", "each": "promised each"}  # in the names of models


@transaction.atomic
def export_run(
    *,
    run: TrainingRun,
    by: AbstractBaseUser | None,
    target_precision: float = TARGET_PRECISION,
    promise: str = "none",
) -> TrainedModel:
    """Export a finished run as a model whose suggestions reach the target precision; a job does the work.

    A second request for the same target and promise returns the same model; others give another model. The
    target is rounded to whole per cents. Raises NotReady, also for a target outside 0.50 to 0.99, or a
    promise that is none of KINDS.
    """
    TrainingRun.objects.select_for_update().get(pk=run.pk)
    target = round(target_precision, 2)
    if not LOWEST_TARGET <= target <= HIGHEST_TARGET:
        raise NotReady(_("The target precision must be from 50 % to 99 %."))
    if promise not in KINDS:
        raise NotReady(_("There is no such promise: choose one of the list."))
    same = {"run": run, "target_precision": target, "promise": promise}
    if earlier_model := TrainedModel.objects.filter(**same, is_derived=False).first():
        return earlier_model
    if run.job.state != Job.State.SUCCEEDED:
        raise NotReady(_("Only a run that has finished can be exported."))
    if run.weights_removed_at and not run.has_weights:
        raise NotReady(_("The run's weights were removed to save disk space: train it again to export it."))
    name = run.name if target == TARGET_PRECISION else f"{run.name[:70]}, right {target:.0%}"
    if promise != "none":
        name = f"{name[:80]}, {PROMISED[promise]}"
    job = enqueue(kind="trainer.export", title=Text("Export “%(name)s”", name=name), by=by)
    model = TrainedModel.objects.create(name=name, job=job, created_by_id=by.pk if by else None, **same)
    Job.objects.filter(pk=job.pk).update(url=model.get_absolute_url())
    return model


def read_target(text: str | None) -> float:
    """A form's target precision: TARGET_PRECISION if empty, 0 (which export_run refuses) if not a number."""
    try:
        target = float(text) if text else TARGET_PRECISION
    except ValueError:
        return 0.0
    return target if math.isfinite(target) else 0.0


def export(lease: Lease) -> None:
    """The job "trainer.export": ONNX, checked against PyTorch, with temperature and thresholds."""
    model = TrainedModel.objects.select_related("run__photo_set", "run__release").get(job=lease.job)
    run = model.run
    assert run is not None
    with lease.long_step():
        bring_run(run)
        bring(run.photo_set)
    lease.beat(message=Text("Exporting and checking against PyTorch"))

    def on_event(event: Event) -> None:
        if event.get("event") == "progress":
            record(lease, run, event)

    model.folder.parent.mkdir(parents=True, exist_ok=True)
    options = ("--target-precision", model.target_precision, "--promise", model.promise)
    run_process(lease, engine_command("export", run.folder, model.folder, *options), on_event)
    manifest = from_json((model.folder / "manifest.json").read_text()) | {"lineage": lineage(run)}
    with lease.long_step():
        publish(model)
    with lease.fenced():
        model.manifest = manifest
        model.card = run_card(run, manifest)
        model.save(update_fields=["manifest", "card"])
