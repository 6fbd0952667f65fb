"""Start and supervise runs, export their models, promote and roll back, install the starter model."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.processes import Event, run_process
from jobs.services import enqueue
from mapping.models import Release
from trainer.cards import run_card
from trainer.engine.presets import PRESETS
from trainer.models import (
    Epoch,
    HeldOutPrediction,
    PhotoSet,
    Promotion,
    TrainedModel,
    TrainingRun,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

REPEATED_CLICK = timedelta(seconds=10)
TARGET_PRECISION = 0.9  # a suggestion shall be right this often, on photos held out from training
PHASES = {"reading": "Reading photos", "features": "Computing features", "export": "Exporting"}
STARTER = settings.BASE_DIR / "trainer/starter"


class NotReady(Exception):
    """What is asked for needs something that has not ended yet, or not well."""


class ActiveModelChanged(Exception):
    """Somebody promoted or rolled back since the page was shown; look again before deciding."""


# --- runs -------------------------------------------------------------------------------------


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


def supervise(lease: Lease) -> None:
    """The job "trainer.train": the engine trains in a process of its own, its events become rows.

    After a kill the engine goes on from its checkpoint; epochs written before are written over.
    """
    run = TrainingRun.objects.select_related("photo_set", "release").get(job=lease.job)
    run.folder.mkdir(parents=True, exist_ok=True)
    left_out = _write_manifest(run)
    with lease.fenced():
        run.report = run.report | {"left_out": left_out}
        run.save(update_fields=["report"])
    task = run.folder / "job.json"
    task.write_text(
        json.dumps(
            {
                "recipe": run.recipe,
                "photos": str(run.folder / "manifest.csv"),
                "out": str(run.folder),
                "cache": str(settings.FEATURE_CACHE_DIR),
            }
        )
    )
    lease.beat(message="Starting the trainer")
    unreadable: list[str] = []

    def on_event(event: Event) -> None:
        if event.get("event") == "skipped":
            unreadable.append(str(event.get("photo_id")))
        _record(lease, run, event)

    run_process(lease, engine("train", task), on_event)
    _keep_results(lease, run, left_out | {"unreadable": len(unreadable)})


def engine(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "trainer.engine", *map(str, arguments)]


def _write_manifest(run: TrainingRun) -> dict[str, Any]:
    """manifest.csv for the engine, labels from the frozen release. Returns what has no label there."""
    labels = dict(run.release.labels.values_list("scene_key", "label"))
    left_out = 0
    unlabelled: set[str] = set()
    used: set[str] = set()
    root = Path(run.photo_set.root)
    photos = run.photo_set.photos.order_by("pk").values_list("pk", "path", "scene_class__key")
    with (run.folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo_id", "path", "label", "scene_class"))
        for pk, path, key in photos.iterator():
            if label := labels.get(key):
                used.add(label)
                rows.writerow((pk, root / path, label, key))
            else:
                left_out += 1
                unlabelled.add(key)
    if len(used) < 2:
        raise JobError(
            f"{run.photo_set} has photos of only {len(used)} label{'s' * (len(used) != 1)} of {run.release}: "
            "there is nothing to tell apart.",
            "Choose a photo set with classes of at least two hashtags (other counts as one).",
        )
    return {"photos": left_out, "classes": sorted(unlabelled)}


def _record(lease: Lease, run: TrainingRun, event: Event) -> None:
    """One event of the engine: progress into the job, an epoch into its row."""
    kind = event.get("event")
    if kind == "started":
        lease.beat(message=f"Training on {event['train']} photos, {event['test']} held out")
    elif kind == "progress":
        phase = str(event.get("phase", ""))
        words = PHASES.get(phase, phase.capitalize())
        lease.beat(event.get("done"), event.get("total"), words, event.get("seconds_left"))
    elif kind == "epoch":
        number, of = int(event["epoch"]), int(event.get("epochs") or 0)
        names = ("loss", "test_loss", "accuracy", "balanced_accuracy", "lr", "photos_per_second")
        with lease.fenced():
            Epoch.objects.update_or_create(
                run=run, number=number, defaults={name: event.get(name) for name in names}
            )
        lease.beat(number, of, "Epochs", event.get("seconds_left"))


def _keep_results(lease: Lease, run: TrainingRun, left_out: dict[str, Any]) -> None:
    report = json.loads((run.folder / "report.json").read_text())
    ids = set(run.photo_set.photos.values_list("pk", flat=True))
    with (run.folder / "test_predictions.csv").open(newline="") as file:
        held_out = [
            HeldOutPrediction(
                run=run,
                photo_id=int(row["photo_id"]),
                true=row["true"],
                predicted=row["predicted"],
                confidence=float(row["confidence"]),
            )
            for row in csv.DictReader(file)
            if int(row["photo_id"]) in ids
        ]
    with lease.fenced():
        run.report = report | {"left_out": left_out}
        run.accuracy, run.balanced_accuracy = report["accuracy"], report["balanced_accuracy"]
        run.save(update_fields=["report", "accuracy", "balanced_accuracy"])
        run.held_out.all().delete()
        HeldOutPrediction.objects.bulk_create(held_out, batch_size=1000)


# --- models -----------------------------------------------------------------------------------


@transaction.atomic
def export_run(*, run: TrainingRun, by: AbstractBaseUser | None) -> TrainedModel:
    """The model of a finished run, exported by a job; asked twice, the same one. Raises NotReady."""
    TrainingRun.objects.select_for_update().get(pk=run.pk)
    if found := TrainedModel.objects.filter(run=run).first():
        return found
    if run.job.state != Job.State.SUCCEEDED:
        raise NotReady("Only a run that has finished can be exported.")
    job = enqueue(kind="trainer.export", title=f"Export “{run.name}”", by=by)
    model = TrainedModel.objects.create(name=run.name, run=run, job=job, created_by_id=by.pk if by else None)
    Job.objects.filter(pk=job.pk).update(url=model.get_absolute_url())
    return model


def export(lease: Lease) -> None:
    """The job "trainer.export": ONNX, checked against PyTorch, with temperature and thresholds."""
    model = TrainedModel.objects.select_related("run__photo_set", "run__release").get(job=lease.job)
    run = model.run
    assert run is not None
    lease.beat(message="Exporting and checking against PyTorch")

    def on_event(event: Event) -> None:
        if event.get("event") == "progress":
            _record(lease, run, event)

    model.folder.parent.mkdir(parents=True, exist_ok=True)
    arguments = ("export", run.folder, model.folder, "--target-precision", TARGET_PRECISION)
    run_process(lease, engine(*arguments), on_event)
    manifest = json.loads((model.folder / "manifest.json").read_text())
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
