"""Models: exported from runs, promoted and rolled back; the starter model."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from jobs.lease import Lease
from jobs.models import Job
from jobs.processes import Event, run_process
from jobs.services import enqueue
from trainer.cards import lineage, run_card
from trainer.models import Promotion, TrainedModel, TrainingRun
from trainer.programs import engine
from trainer.services import NotReady
from trainer.supervising import record

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

TARGET_PRECISION = 0.9  # a suggestion shall be right this often, on photos held out from training
LOWEST_TARGET, HIGHEST_TARGET = 0.5, 0.99
STARTER = settings.BASE_DIR / "trainer/starter"


class ActiveModelChanged(Exception):
    """Somebody promoted or rolled back since the page was shown; look again before deciding."""


@transaction.atomic
def export_run(
    *, run: TrainingRun, by: AbstractBaseUser | None, target_precision: float = TARGET_PRECISION
) -> TrainedModel:
    """The model of a finished run whose suggestions shall be right so often, exported by a job.

    Asked twice for one target, the same model; another target makes another one. The target is rounded to
    per cent. Raises NotReady, for targets outside .50 to .99 too.
    """
    TrainingRun.objects.select_for_update().get(pk=run.pk)
    target = round(target_precision, 2)
    if not LOWEST_TARGET <= target <= HIGHEST_TARGET:
        raise NotReady("A model's suggestions can be asked to be right from 50 % to 99 % of the time.")
    if found := TrainedModel.objects.filter(run=run, target_precision=target).first():
        return found
    if run.job.state != Job.State.SUCCEEDED:
        raise NotReady("Only a run that has finished can be exported.")
    if run.weights_removed_at and not run.has_weights:
        raise NotReady("Its weights were removed to save disk space: train it again to export it.")
    name = run.name if target == TARGET_PRECISION else f"{run.name[:80]}, right {target:.0%}"
    job = enqueue(kind="trainer.export", title=f"Export “{name}”", by=by)
    model = TrainedModel.objects.create(
        name=name, run=run, job=job, target_precision=target, created_by_id=by.pk if by else None
    )
    Job.objects.filter(pk=job.pk).update(url=model.get_absolute_url())
    return model


def read_target(text: str | None) -> float:
    """A form's target precision, TARGET_PRECISION where it has none; 0, which is none, if wrong."""
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
    lease.beat(message="Exporting and checking against PyTorch")

    def on_event(event: Event) -> None:
        if event.get("event") == "progress":
            record(lease, run, event)

    model.folder.parent.mkdir(parents=True, exist_ok=True)
    arguments = ("export", run.folder, model.folder, "--target-precision", model.target_precision)
    run_process(lease, engine(*arguments), on_event)
    manifest = json.loads((model.folder / "manifest.json").read_text()) | {"lineage": lineage(run)}
    with lease.fenced():
        model.manifest = manifest
        model.card = run_card(run, manifest)
        model.save(update_fields=["manifest", "card"])


@transaction.atomic
def promote(*, model: TrainedModel, by: AbstractBaseUser | None, replacing: int | None = None) -> Promotion:
    """Make a model the active one; asked twice, once.

    `replacing` is the promotion that was active when the person decided (0: none; None: whichever).
    Raises NotReady for a model that is not exported, ActiveModelChanged when another one is active now.
    """
    current = _locked_current()
    if not model.is_ready:
        raise NotReady(f"“{model}” is not exported yet.")
    if current and current.model_id == model.pk:
        return current
    _same(current, replacing)
    return Promotion.objects.create(model=model, promoted_by_id=by.pk if by else None)


@transaction.atomic
def roll_back(*, by: AbstractBaseUser | None, replacing: int | None = None) -> Promotion:
    """Make the model active again that was so before the present one. A second time: forth again.

    Raises NotReady when there was none, ActiveModelChanged as `promote` does.
    """
    current = _locked_current()
    _same(current, replacing)
    earlier = previous_model(current)
    if earlier is None:
        raise NotReady("No other model was active before.")
    return Promotion.objects.create(model=earlier, promoted_by_id=by.pk if by else None)


@transaction.atomic
def rename(*, model: TrainedModel, name: str, was: str | None = None) -> None:
    """Call a model otherwise. `was`: the name the person saw. Raises NotReady."""
    name = name.strip()
    if not name or len(name) > 100 or "\0" in name:
        raise NotReady("A model's name has 1 to 100 characters.")
    now = TrainedModel.objects.select_for_update().values_list("name", flat=True).get(pk=model.pk)
    if was is not None and now not in (was, name):
        raise NotReady(f"Somebody named it “{now}” meanwhile. Nothing was changed.")
    TrainedModel.objects.filter(pk=model.pk).update(name=name)
    model.name = name


def previous_model(current: Promotion | None) -> TrainedModel | None:
    if current is None:
        return None
    earlier = Promotion.objects.exclude(model_id=current.model_id).select_related("model").first()
    return earlier.model if earlier else None


def _locked_current() -> Promotion | None:
    list(TrainedModel.objects.select_for_update().values_list("pk"))  # promotions wait for each other
    return Promotion.objects.current()


def _same(current: Promotion | None, replacing: int | None) -> None:
    if replacing is not None and replacing != (current.pk if current else 0):
        active = f"“{current.model}” is active" if current else "no model is active"
        raise ActiveModelChanged(f"The active model changed meanwhile: {active} now. Nothing was done.")


# --- the starter model ------------------------------------------------------------------------


def install_starter(*, by: AbstractBaseUser | None = None) -> TrainedModel:
    """The model that ships with the program: assembled once, active if no other is. Idempotent.

    A newer program's starter becomes a model of its own beside the old one, and active only if the old
    starter was. Raises RuntimeError with the engine's words when it cannot be assembled.
    """
    digest = _digest(STARTER)
    known = TrainedModel.objects.filter(manifest__starter=digest).first()
    model = known
    if model is None or not (model.folder / "manifest.json").exists():
        model = _assemble(digest, known, by)
    current = Promotion.objects.current()
    # Only when it is new: who went back to the old one shall not find it undone by the next start.
    if current is None or (known is None and "starter" in current.model.manifest):
        promote(model=model, by=by)
    return model


def _digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")
    return hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in files)).hexdigest()[:16]


def _assemble(digest: str, found: TrainedModel | None, by: AbstractBaseUser | None) -> TrainedModel:
    part = Path(settings.MODELS_DIR) / f"starter-{digest}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        engine("assemble", STARTER, part), capture_output=True, text=True, cwd=settings.BASE_DIR, check=False
    )
    if ended.returncode:
        raise RuntimeError((ended.stdout + ended.stderr).strip()[-1500:] or f"code {ended.returncode}")
    manifest = json.loads((part / "manifest.json").read_text()) | {"starter": digest}
    card = STARTER / "CARD.md"
    with transaction.atomic():
        model = found or TrainedModel(name="Starter model", created_by_id=by.pk if by else None)
        model.manifest = manifest
        model.card = card.read_text() if card.exists() else ""
        model.save()
        shutil.rmtree(model.folder, ignore_errors=True)
        part.rename(model.folder)
    return model
