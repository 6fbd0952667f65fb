"""Tells of jobs that have ended, if anybody wants to know."""

from __future__ import annotations

from uuid import UUID

from formats.texts import Text, with_words
from jobs.models import Job
from jobs.registry import event_of
from notices.announcements import announce

FAILED = "job.failed"  # of every kind that has no event of its own


def tell(*, job_id: UUID) -> None:
    """Call it in the transaction that ends the job. A kind with an event of its own is told of however it
    ends, others if they fail."""
    job = Job.objects.get(pk=job_id)
    own = event_of(job.kind)
    if not own and job.state != Job.State.FAILED:
        return
    announce(
        own or FAILED,
        title=_title(job),
        url=job.url or job.get_absolute_url(),
        job=str(job.pk),
        state=job.state,
        error=job.error[:1000],
        hint=job.hint[:1000],
    )


def _title(job: Job) -> Text:
    title = with_words(job.title, job.title_words)
    if job.state == Job.State.SUCCEEDED:
        return Text("%(job)s: succeeded", job=title)
    if job.state == Job.State.CANCELLED:
        return Text("%(job)s: cancelled", job=title)
    return Text("%(job)s: failed", job=title)
