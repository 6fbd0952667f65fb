"""How a sharded job is getting on: its shards by state, its pace, and the shards that are slow or fail."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from django.db.models import Count

from jobs.models import Job, Shard

SLOW = 3  # times the median of the shards that are done, per photo
RECENT = 100  # shards that the median and the pace are taken from
MOST_NAMED = 10
State = Shard.State


@dataclass(frozen=True)
class Pace:
    """`troubled` are shards that have failed, or whose last attempt has."""

    all: int
    done: int
    failed: int
    workers: tuple[str, ...]
    photos_per_second: float | None
    running: tuple[Shard, ...]
    slow: tuple[Shard, ...]
    troubled: tuple[Shard, ...]


def pace_of(job: Job) -> Pace | None:
    """None for a job without shards."""
    rows = Shard.objects.filter(job=job)
    by_state = dict(rows.order_by().values_list("state").annotate(Count("pk")))
    if not by_state:
        return None
    running = tuple(rows.filter(state=State.RUNNING))
    workers = tuple(sorted({shard.worker for shard in running}))
    usual = _seconds_per_photo(job)
    return Pace(
        all=sum(by_state.values()),
        done=by_state.get(State.DONE, 0),
        failed=by_state.get(State.FAILED, 0),
        workers=workers,
        photos_per_second=len(running) / usual if usual and running else None,
        running=running,
        slow=tuple(shard for shard in running if usual and _is_slow(shard, usual))[:MOST_NAMED],
        troubled=tuple(
            rows.exclude(error="").exclude(state=State.DONE).order_by("state", "number")[:MOST_NAMED]
        ),
    )


def _seconds_per_photo(job: Job) -> float | None:
    """The median over the shards that were done last; None if none is done."""
    recent = Shard.objects.filter(job=job, state=State.DONE, count__gt=0).order_by("-finished_at")[:RECENT]
    rates = [shard.seconds / shard.count for shard in recent if shard.seconds]
    return median(rates) if rates else None


def _is_slow(shard: Shard, usual: float) -> bool:
    return (shard.seconds or 0) > SLOW * usual * max(1, shard.count)
