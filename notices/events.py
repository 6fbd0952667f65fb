"""What notices are about. A new event gets its line here; the code where it happens calls `announce`."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _


class Event(NamedTuple):
    name: str  # English, as the words: translate them where they are shown
    words: str
    permission: str  # of the page that shows it: who lacks it does not see the notice


EVENTS = {
    "run.ended": Event(
        _("Run ended"), _("a training run succeeded, failed or was cancelled"), "trainer.view_trainingrun"
    ),
    "campaign.judged": Event(
        _("Campaign judged"), _("a campaign has all its votes"), "validation.view_campaign"
    ),
    "model.promoted": Event(
        _("Model promoted"), _("another model answers requests"), "trainer.view_trainedmodel"
    ),
    "job.failed": Event(_("Job failed"), _("a job other than a run failed"), "jobs.view_job"),
    "worker.gone": Event(_("Worker silent"), _("a worker fell silent without signing off"), "jobs.view_job"),
}
TEST = "test"  # sent by the button of a hook, and shown to nobody


def name_of(event: str) -> str:
    """In the reader's language."""
    return gettext(EVENTS[event].name) if event in EVENTS else gettext("Test")
