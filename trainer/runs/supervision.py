"""Trains in a job: the engine runs in a process of its own, and its events become rows."""

from __future__ import annotations

import csv
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import Max

from formats.classes import label_in
from formats.json_text import from_json, to_json
from formats.storage import StorageFailure, replacing
from formats.texts import Text, text_of
from jobs.lease import Cancelled, Interrupted, JobError, Lease, LeaseLost
from jobs.processes import Event, run_process
from trainer import features, looks, set_files
from trainer.models import Epoch, HeldOutPrediction, TestSet, TrainingRun
from trainer.programs import engine_command
from trainer.runs import disk, files, splits, unlabelled
from trainer.runs import features as run_features
from trainer.shared import Superseded

log = logging.getLogger(__name__)
LIVE_EVERY = 1.9  # seconds between writes of the running epoch, which the engine reports every 2
CURVE_POINTS = 200
SPEED = ("loss", "lr", "photos_per_second", "memory_mb", "gpu_memory_mb")
LIVE = ("epoch", "step", "steps", *SPEED, "seconds_left")
COLUMNS = (*SPEED, "test_loss", "accuracy", "balanced_accuracy", "train_accuracy", "seconds")
PHASES = {
    "reading": Text("Reading photos"),
    "features": Text("Computing features"),
    "teacher": Text("Asking the teacher"),
    "export": Text("Exporting"),
}


def supervise(lease: Lease) -> None:
    """The job "trainer.train": the engine runs in a process of its own, and its events become rows.

    After a kill the engine continues from its checkpoint; epochs that it repeats overwrite their rows.
    """
    run = TrainingRun.objects.select_related("photo_set", "release").get(job=lease.job)
    disk.make_room(next_run=run)
    with lease.long_step():
        set_files.tidy()
        files.bring(run)
        set_files.bring(run.photo_set)
    left_out = _write_manifest(run)
    with lease.fenced():
        run.report = run.report | {"left_out": left_out}
        run.save(update_fields=["report"])
    task = run.folder / "job.json"
    with ExitStack() as held:
        with lease.long_step():
            teacher_folder = held.enter_context(run_features.at_hand(run))
            teacher = run_features.read_teacher(teacher_folder)
            kept_as = run_features.kept_as(run, teacher)
            features.bring(kept_as)
            with replacing(task) as file:
                file.write(to_json(_task(run) | _unlabelled(run) | _teacher(teacher_folder)))
        run_features.compute(lease, run, teacher)
        recorder = _train(lease, Recorder(lease, run, kept_as), task)
    recorder.share()
    files.drop_logs(run)
    _keep_results(lease, run, left_out | {"unreadable": len(recorder.unreadable)})
    if run.recipe.get("kind") == "frozen":  # its features are cached now
        looks.look_at(photo_set=run.photo_set, backbone=run.recipe.get("backbone", ""))
    disk.make_room()


def _train(lease: Lease, recorder: Recorder, task: Path) -> Recorder:
    """Run the engine to its end. Raises what `run_process` raises."""
    lease.beat(message=Text("Starting the trainer"))
    try:
        run_process(lease, engine_command("train", task), recorder.record)
    except (Cancelled, JobError):
        recorder.clear()
        recorder.share_if_possible()
        files.drop_logs(recorder.run)
        raise
    except Interrupted:
        recorder.share_if_possible()  # another worker may continue
        raise
    return recorder


def _task(run: TrainingRun) -> dict[str, Any]:
    """The job file that the engine reads: see trainer.engine.training.run.RunJob."""
    task = {
        "recipe": run.recipe,
        "photos": str(run.folder / "manifest.csv"),
        "out": str(run.folder),
        "cache": str(settings.FEATURE_CACHE_DIR),
    }
    folder = splits.partitions_of(run.photo_set)
    return task | {"partitions": str(folder)} if folder else task


def _unlabelled(run: TrainingRun) -> dict[str, Any]:
    """Where the engine finds the photos without labels, if the recipe asks for some."""
    words = run.recipe.get("unlabelled", "")
    if not words:
        return {}
    try:
        return {"unlabelled": str(unlabelled.write_table(words, run.folder / unlabelled.TABLE))}
    except unlabelled.NoPhotos as error:
        raise JobError(text_of(error), Text("Choose other photos without labels, or none.")) from error


def _teacher(folder: Path | None) -> dict[str, Any]:
    """Where the engine finds the model that the run learns from, if any."""
    return {"teacher": str(folder)} if folder else {}


def _write_manifest(run: TrainingRun) -> dict[str, Any]:
    """Write manifest.csv for the engine, with the labels of the frozen release. Returns what has no label."""
    labels = dict(run.release.labels.values_list("scene_key", "label"))
    left_out = 0
    classes_without_label: set[str] = set()
    labels_with_photos: set[str] = set()
    root = run.photo_set.folder
    columns = ("pk", "path", "scene_class__key", "label_folder", "scene_class__level1", "scene_class__level2")
    photos = run.photo_set.photos.order_by("pk").values_list(*columns)
    with replacing(run.folder / "manifest.csv", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo_id", "path", "label", "scene_class", "level1", "level2"))
        for pk, path, key, folder, *levels in photos.iterator():
            if label := label_in(labels, key, folder):
                labels_with_photos.add(label)
                rows.writerow((pk, root / path, label, key or folder, *(level or "" for level in levels)))
            else:
                left_out += 1
                classes_without_label.add(key or folder)
    count = len(labels_with_photos)
    if count < 2:
        raise JobError(
            Text(
                "The photos of %(photos)s have too few labels of %(release)s: %(n)s. There is nothing to "
                "tell apart.",
                photos=run.photo_set,
                release=run.release,
                n=count,
            ),
            Text("Choose a photo set with classes of at least two hashtags (other counts as one)."),
        )
    return {"photos": left_out, "classes": sorted(classes_without_label)}


def record(lease: Lease, run: TrainingRun, event: Event) -> None:
    """Record a single event of the engine, without regard to earlier ones."""
    Recorder(lease, run).record(event)


class Recorder:
    """Stores the engine's events: progress in the job, epochs in rows, the running epoch in `run.live`.

    While a run trains, `run.live` has epoch, step and steps (batches of the whole run), loss, lr,
    photos_per_second, memory_mb, gpu_memory_mb, seconds_left; `curve`, at most 200 [step, loss, lr];
    `saved`, the [epoch, batch] of the checkpoint. Every field may be missing.
    """

    def __init__(self, lease: Lease, run: TrainingRun, kept_as: str = "") -> None:
        """`kept_as`: names of what the run keeps in the cache of features; see trainer.features."""
        self.lease, self.run, self.kept_as = lease, run, kept_as
        self.unreadable: set[str] = set()  # by photo_id: several steps of a run may open the same photo
        self.curve: list[list[float]] = run.live.get("curve", [])
        self.checkpoint: list[int] = run.live.get("saved", [])
        self.last_write = -LIVE_EVERY  # of `live`, in seconds of the monotonic clock
        self.counts_batches = False
        self.last_epoch = run.epochs.aggregate(last=Max("number"))["last"] or 0

    def record(self, event: Event) -> None:
        """Store an event; unknown ones are ignored. Raises what Lease.beat and Lease.fenced raise."""
        writers: dict[str, Callable[[Event], None]] = {
            "started": self._started,
            "progress": self._progress,
            "step": self._step,
            "epoch": self._epoch,
            "saved": self._saved,
            "skipped": self._skipped,
            "stopped_early": self._stopped_early,
            "waiting": self._waiting,
            "pseudo_labels": self._pseudo_labels,
        }
        if write := writers.get(str(event.get("event"))):
            write(event)

    def clear(self) -> None:
        """Training has stopped: keep only what is needed to continue."""
        with self.lease.fenced():
            keeps_any = self.curve or self.checkpoint
            self._write_live({"curve": self.curve, "saved": self.checkpoint} if keeps_any else {})

    def _started(self, event: Event) -> None:
        words = Text("Training on %(n)s photos, %(test)s held out", n=event["train"], test=event["test"])
        is_resumed = event.get("resumed")
        self.lease.beat(message=Text("Continuing: %(what)s", what=words) if is_resumed else words)

    def _progress(self, event: Event) -> None:
        phase = str(event.get("phase", ""))
        words = PHASES.get(phase, phase.capitalize())
        self.lease.beat(event.get("done"), event.get("total"), words, event.get("seconds_left"))

    def _step(self, event: Event) -> None:
        step, steps = int(event["step"]), int(event.get("steps") or 0)
        self.counts_batches = True
        self.curve = add_point(self.curve, [step, event["loss"], event.get("lr") or 0.0])
        now = time.monotonic()
        if now - self.last_write >= LIVE_EVERY:
            self.last_write = now
            with self.lease.fenced():
                self._write_live(
                    {name: event[name] for name in LIVE if name in event}
                    | {"curve": self.curve, "saved": self.checkpoint}
                )
        words = Text("Epoch %(n)s, batches", n=event.get("epoch", "?"))
        self.lease.beat(step, steps, words, event.get("seconds_left"))

    def _write_live(self, live: dict[str, Any]) -> None:
        self.run.live = live
        self.run.save(update_fields=["live"])

    def _epoch(self, event: Event) -> None:
        number = int(event["epoch"])
        with self.lease.fenced():
            Epoch.objects.update_or_create(
                run=self.run, number=number, defaults={name: event.get(name) for name in COLUMNS}
            )
        # Only a new epoch is progress: a run that dies at the same place again and again must end.
        if number > self.last_epoch:
            self.last_epoch = number
            self.lease.progressed()
        if self.counts_batches:
            self.lease.beat(seconds_left=event.get("seconds_left"))
        else:
            self.lease.beat(number, int(event.get("epochs") or 0), Text("Epochs"), event.get("seconds_left"))

    def _saved(self, event: Event) -> None:
        checkpoint = [int(event.get("epoch") or 0), int(event.get("batch") or 0)]
        if checkpoint > self.checkpoint:
            self.checkpoint = checkpoint
            with self.lease.fenced():
                self._write_live(self.run.live | {"saved": checkpoint})
            self.share_if_possible()
            self.lease.progressed()

    def share_if_possible(self) -> None:
        """As `share`; while the bucket is away training goes on, and the next checkpoint is stored."""
        try:
            self.share()
        except StorageFailure as failure:
            log.warning("A checkpoint of run %s stays on this machine: %s", self.run.pk, failure)

    def share(self) -> None:
        """Store the run's files for other machines. Raises StorageFailure and LeaseLost."""
        try:
            with self.lease.long_step():
                files.store(self.run, token=self.lease.token)
                features.store(self.kept_as)
        except Superseded as error:
            raise LeaseLost from error

    def _skipped(self, event: Event) -> None:
        self.unreadable.add(str(event.get("photo_id")))

    def _stopped_early(self, event: Event) -> None:
        facts = {"n": event.get("epoch"), "why": event.get("reason", "")}
        self.lease.beat(message=Text("Stopped after epoch %(n)s: %(why)s", **facts))

    def _pseudo_labels(self, event: Event) -> None:
        facts = {"n": event.get("labelled"), "all": event.get("unlabelled")}
        self.lease.beat(message=Text("%(n)s of %(all)s photos without labels got one", **facts))

    def _waiting(self, event: Event) -> None:
        self.lease.beat(
            message=event.get("reason") or Text("Another trainer is still using this run's folder")
        )


def add_point(curve: list[list[float]], point: list[float]) -> list[list[float]]:
    """The curve with one more point [step, …]: at most CURVE_POINTS points, spread evenly over the steps.

    A run that continues from its checkpoint repeats steps: the old points from there on are dropped.
    """
    curve = [earlier for earlier in curve if earlier[0] < point[0]]
    span = point[0] - curve[0][0] if curve else 0
    if curve and (point[0] - curve[-1][0]) * CURVE_POINTS < span:
        return curve
    curve = [*curve, point]
    if len(curve) <= CURVE_POINTS:
        return curve
    sparse_curve = curve[:1]
    for candidate in curve[1:]:
        if (candidate[0] - sparse_curve[-1][0]) * CURVE_POINTS >= 2 * span:
            sparse_curve.append(candidate)
    return sparse_curve


def _keep_results(lease: Lease, run: TrainingRun, left_out: dict[str, Any]) -> None:
    report = from_json((run.folder / "report.json").read_text())
    digests = dict(run.photo_set.photos.values_list("pk", "sha256"))
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
            if int(row["photo_id"]) in digests
        ]
    with lease.fenced():
        run.report = report | {"left_out": left_out}
        run.accuracy, run.balanced_accuracy = report["accuracy"], report["balanced_accuracy"]
        run.test_set, run.right = _test_set(held_out, digests)
        run.live = {}
        run.save(
            update_fields=["report", "accuracy", "balanced_accuracy", "test_set", "right", "live"],
        )
        # Of two trainings the other one, which ran last, may have had more epochs.
        if history := report.get("history"):
            run.epochs.filter(number__gt=len(history)).delete()
        run.held_out.all().delete()
        HeldOutPrediction.objects.bulk_create(held_out, batch_size=1000)


def _test_set(
    held_out: Sequence[HeldOutPrediction], digests: dict[int, str]
) -> tuple[TestSet | None, bytes | None]:
    """The photos the run was measured on, and a bit for each in the order of their keys: was it right?"""
    if not held_out:
        return None, None
    keys = np.array([int(digests[row.photo_id][:16], 16) for row in held_out], np.uint64)
    right = np.array([row.true == row.predicted for row in held_out])
    order = np.argsort(keys, kind="stable")
    content = keys[order].tobytes()
    test_set, _ = TestSet.objects.get_or_create(
        digest=hashlib.sha256(content).hexdigest(), defaults={"photos": len(keys), "keys": content}
    )
    return test_set, np.packbits(right[order]).tobytes()
