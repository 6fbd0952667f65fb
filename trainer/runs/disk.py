"""Limits the disk space that the checkpoints and weights of all runs take together.

Those of the runs that ended first are removed first. Reports, predictions about held-out photos and
TensorBoard logs stay, and so does everything of a live run, of one that is being exported, and of the run
that ended last.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.template.defaultfilters import floatformat
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.models import Job
from trainer.models import TrainedModel, TrainingRun

CHECKPOINT, WEIGHTS = "checkpoint.pt", "best.pt"
PREVIOUS = "checkpoint.old"  # the engine keeps the one before the newest, in case the newest is damaged
PARTS = ("", "first/", "again/")  # a run with pseudo-labels trains twice, each time in a folder of its own
PIXELS = "*.pixels"  # decoded photos, which the engine removes unless it is killed
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """Bytes of checkpoints and weights in all runs' folders, and their limit (0: none)."""

    size: int
    limit: int

    @property
    def is_over(self) -> bool:
        return bool(self.limit) and self.size > self.limit

    @property
    def words(self) -> str:
        """For example "8.1 of 20 GB"."""
        used = floatformat(self.size / 1e9, 1)
        if not self.limit:
            return _("%(used)s GB") % {"used": used}
        return _("%(used)s of %(limit)s GB") % {"used": used, "limit": floatformat(self.limit / 1e9, -2)}

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.size / self.limit)) if self.limit else 0


def usage() -> Usage:
    """The present usage, measured on disk file by file."""
    return Usage(sum(_bytes(file) for file in _all_weights()), settings.RUNS_DISK_BYTES)


def _all_weights() -> Iterator[Path]:
    """The files of checkpoints and weights, including half-written ones."""
    root = Path(settings.RUNS_DIR)
    for part in PARTS:
        for name in (CHECKPOINT, PREVIOUS, WEIGHTS):
            yield from root.glob(f"*/{part}{name}*")


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # renamed or removed meanwhile
        return 0


def make_room(*, next_run: TrainingRun | None = None) -> list[Path]:
    """Remove files until the rest fits the limit or nothing more may be removed. Returns the removed files.

    Called before and after each training. `next_run` is about to train: its weights are no longer marked as
    removed.
    """
    if next_run:
        TrainingRun.objects.filter(pk=next_run.pk).update(weights_removed_at=None)
    _remove_pixels()
    before = usage()
    excess = before.size - before.limit
    files: list[Path] = []
    if not before.is_over:
        return files
    for run, name in _candidates():
        if excess <= 0:
            break
        file = run.folder / name
        size = _bytes(file)
        if size and _remove(run, file):
            log.info("Removed %s, %.1f MB, to limit the disk space of runs", file, size / 1e6)
            files.append(file)
            excess -= size
    return files


def _remove_pixels() -> None:
    """Remove the decoded photos that killed trainers left, of runs that have ended."""
    files = [file for file in Path(settings.RUNS_DIR).glob(f"*/{PIXELS}") if file.parent.name.isdecimal()]
    runs = TrainingRun.objects.only("pk", "job").in_bulk(int(file.parent.name) for file in files)
    for file in files:
        if run := runs.get(int(file.parent.name)):
            _remove(run, file)


def _candidates() -> list[tuple[TrainingRun, str]]:
    """The files that may be removed, each with its run, in the order of removal."""
    ended_runs = list(
        TrainingRun.objects.exclude(job__state__in=Job.LIVE)
        .order_by("job__finished_at", "pk")
        .select_related("job")
        .only("pk", "job__state", "job__finished_at")
    )
    newest = ended_runs[-1:]
    ready = TrainedModel.objects.exclude(manifest={}).exclude(run=None)
    runs_with_model = set(ready.values_list("run", flat=True))
    older = [run for run in ended_runs if run not in newest]
    # A run that has succeeded no longer needs its checkpoint.
    complete = [run for run in older if run.job.state == Job.State.SUCCEEDED]
    rest = [run for run in older if run.job.state != Job.State.SUCCEEDED]
    rows = [
        *((run, PREVIOUS) for run in older),
        *((run, CHECKPOINT) for run in [*complete, *newest] if run.job.state == Job.State.SUCCEEDED),
        *((run, WEIGHTS) for run in older if run.pk in runs_with_model),
        *((run, name) for run in rest for name in (CHECKPOINT, WEIGHTS)),
        *((run, WEIGHTS) for run in complete if run.pk not in runs_with_model),
    ]
    return [(run, part + name) for run, name in rows for part in PARTS]


def _remove(run: TrainingRun, file: Path) -> bool:
    """Remove the file unless the run is live again or being exported; a lock keeps either from starting."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=run.job_id)
        is_exporting = TrainedModel.objects.filter(run=run.pk, job__state__in=Job.LIVE).exists()
        if job.is_live or is_exporting:
            return False
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", file, error)
            return False
        # A run that has succeeded lacks nothing without its checkpoint, and no run without the previous one.
        if file.name == WEIGHTS or (file.name == CHECKPOINT and job.state != Job.State.SUCCEEDED):
            TrainingRun.objects.filter(pk=run.pk).update(weights_removed_at=timezone.now())
    return True
