"""Bounds the disk that checkpoints and weights of all runs take together: the oldest ended runs' go first.

Reports, answers about held-out photos and TensorBoard logs stay; so does everything of a live run, of one
that is being exported, and of the run that ended last.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs.models import Job
from trainer.models import TrainedModel, TrainingRun

CHECKPOINT, WEIGHTS = "checkpoint.pt", "best.pt"
PREVIOUS = "checkpoint.old"  # the one before it: the engine keeps it in case the newest is damaged
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """Bytes of weights in all runs' folders, and the most they may be (0: no limit)."""

    used: int
    limit: int

    @property
    def is_over(self) -> bool:
        return bool(self.limit) and self.used > self.limit

    @property
    def words(self) -> str:
        """8.1 of 20 GB"""
        used = f"{self.used / 1e9:.1f}"
        return f"{used} of {self.limit / 1e9:g} GB" if self.limit else f"{used} GB"

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.used / self.limit)) if self.limit else 0


def usage() -> Usage:
    """Measured on disk now, file by file."""
    return Usage(sum(_bytes(file) for file in _all_weights()), settings.RUNS_DISK_BYTES)


def _all_weights() -> Iterator[Path]:
    """Also half-written ones."""
    root = Path(settings.RUNS_DIR)
    for name in (CHECKPOINT, PREVIOUS, WEIGHTS):
        yield from root.glob(f"*/{name}*")


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # renamed or removed meanwhile
        return 0


def make_room(*, beginning: TrainingRun | None = None) -> list[Path]:
    """Remove weights until they fit the limit, or nothing more may go. Returns the removed files.

    Called before a run trains, whose own weights are nobody's to remove then, and after each.
    """
    if beginning:
        TrainingRun.objects.filter(pk=beginning.pk).update(weights_removed_at=None)
    before = usage()
    over = before.used - before.limit
    removed: list[Path] = []
    if not before.is_over:
        return removed
    for run, name in _candidates():
        if over <= 0:
            break
        file = run.folder / name
        size = _bytes(file)
        if size and _remove(run, file):
            log.info("Removed %s, %.1f MB, to bound the disk of runs", file, size / 1e6)
            removed.append(file)
            over -= size
    return removed


def _candidates() -> list[tuple[TrainingRun, str]]:
    """Runs with the file that may go, in the order in which they go."""
    ended = list(
        TrainingRun.objects.exclude(job__state__in=Job.LIVE)
        .order_by("job__finished_at", "pk")
        .select_related("job")
        .only("pk", "job__state", "job__finished_at")
    )
    kept = ended[-1:]
    ready = TrainedModel.objects.exclude(manifest={}).exclude(run=None)
    exported = set(ready.values_list("run", flat=True))
    ended = [run for run in ended if run not in kept]
    # A checkpoint of a run that has succeeded serves for nothing any more.
    done = [run for run in ended if run.job.state == Job.State.SUCCEEDED]
    rest = [run for run in ended if run.job.state != Job.State.SUCCEEDED]
    return [
        *((run, PREVIOUS) for run in ended),
        *((run, CHECKPOINT) for run in [*done, *kept] if run.job.state == Job.State.SUCCEEDED),
        *((run, WEIGHTS) for run in ended if run.pk in exported),
        *((run, name) for run in rest for name in (CHECKPOINT, WEIGHTS)),
        *((run, WEIGHTS) for run in done if run.pk not in exported),
    ]


def _remove(run: TrainingRun, file: Path) -> bool:
    """Remove it unless the run is live again or being exported; a lock keeps either from starting."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=run.job_id)
        exporting = TrainedModel.objects.filter(run=run.pk, job__state__in=Job.LIVE).exists()
        if job.is_live or exporting:
            return False
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", file, error)
            return False
        # Without the checkpoint, a run that has ended well lacks nothing; without the one before it, none.
        if file.name == WEIGHTS or (file.name == CHECKPOINT and job.state != Job.State.SUCCEEDED):
            TrainingRun.objects.filter(pk=run.pk).update(weights_removed_at=timezone.now())
    return True
