"""A job's state and times in words, for pages."""

from __future__ import annotations

from django import template

from jobs.models import Job
from jobs.pace import Pace, pace_of

register = template.Library()
CLASSES = {
    Job.State.QUEUED: "is-muted",
    Job.State.RUNNING: "is-busy",
    Job.State.CANCELLING: "is-warn",
    Job.State.SUCCEEDED: "is-ok",
    Job.State.FAILED: "is-bad",
    Job.State.CANCELLED: "is-muted",
}


@register.filter
def state_class(job: Job) -> str:
    return "is-warn" if job.is_silent else CLASSES[Job.State(job.state)]


@register.filter
def pace(job: Job) -> Pace | None:
    """How its shards are getting on. Asks the database nothing for a kind that is not split."""
    return pace_of(job) if job.is_sharded else None


@register.filter
def duration(seconds: float | None) -> str:
    """42 → "42 s", 95 → "1 min 35 s", 7300 → "2 h 1 min"."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
