"""What notices are about. A new event gets its line here; the code where it happens calls `announce`."""

from __future__ import annotations

from typing import NamedTuple


class Event(NamedTuple):
    words: str
    permission: str  # of the page that shows it: who lacks it does not see the notice


EVENTS = {
    "run.ended": Event("a training run succeeded, failed or was cancelled", "trainer.view_trainingrun"),
    "campaign.judged": Event("a campaign has all its votes", "validation.view_campaign"),
    "model.promoted": Event("another model answers requests", "trainer.view_trainedmodel"),
    "job.failed": Event("a job other than a run failed", "jobs.view_job"),
    "worker.gone": Event("a worker fell silent without signing off", "jobs.view_job"),
}
TEST = "test"  # sent by the button of a hook, and shown to nobody
