"""A job's state and times in words, for pages."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

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
        return _("%(seconds)s s") % {"seconds": whole}
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        words = _("%(minutes)s min %(seconds)s s") if rest else _("%(minutes)s min")
        return words % {"minutes": minutes, "seconds": rest}
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}
