"""Tells when a campaign has all its votes."""

from __future__ import annotations

from collections.abc import Iterable

from formats.texts import Text
from notices.announcements import announce
from validation.models import Campaign, Question


def tell_if_judged(campaigns: Iterable[Campaign]) -> None:
    """Tell of those of the campaigns that have no open question left. Call it after the commit of a vote: two
    people may give the last two votes at once, and neither transaction sees the other's.

    It is told once for each number of questions: undoing a vote and giving it again is no news, photos added
    later are.
    """
    for campaign in campaigns:
        asked = Question.objects.of_campaign(campaign).exclude(kind=Question.Kind.GOLD).offered()
        if asked.open_().exists():
            continue
        count = asked.count()
        announce(
            "campaign.judged",
            title=Text("“%(campaign)s” has all its votes", campaign=campaign),
            url=campaign.get_absolute_url(),
            key=f"campaign.judged {campaign.pk} {count}",
            campaign=campaign.pk,
            questions=count,
        )
