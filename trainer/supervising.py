"""The job "trainer.train": the engine trains in a process of its own, its events become rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs.lease import JobError, Lease
from jobs.processes import Event, run_process
from trainer.models import Epoch, HeldOutPrediction, TrainingRun
from trainer.programs import engine

PHASES = {"reading": "Reading photos", "features": "Computing features", "export": "Exporting"}


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
        record(lease, run, event)

    run_process(lease, engine("train", task), on_event)
    _keep_results(lease, run, left_out | {"unreadable": len(unreadable)})


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


def record(lease: Lease, run: TrainingRun, event: Event) -> None:
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
