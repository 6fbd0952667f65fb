"""What the dashboard says first: how far its figures can be trusted, and what would help most now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count
from django.template.defaultfilters import floatformat
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mapping import doubts
from mapping.models import MappingEntry
from validation.agreement.results import Summary
from validation.models import Campaign, Question
from validation.photos import corrections
from validation.templatetags.agreement_words import percent

FEW_PEOPLE = 3
LOW_AC1 = 0.6  # agreement among people below it
YES_SAYING = 0.05  # the rate falls by more than this when it is corrected


@dataclass(frozen=True)
class Step:
    """Something to do, the words of its button, and where it is done."""

    words: str
    action: str
    url: str


@dataclass(frozen=True)
class Trust:
    """Reasons not to trust the headline; without any it can be trusted."""

    reasons: list[str]

    @property
    def verdict(self) -> str:
        return {0: _("Yes"), 1: _("With care")}.get(len(self.reasons), _("Not yet"))


def find_trust(summary: Summary) -> Trust:
    """For a summary with a headline."""
    rate, reasons = summary.overall, []
    if rate and rate.is_few:
        reasons.append(
            ngettext("only %(n)s photo judged so far", "only %(n)s photos judged so far", rate.n)
            % {"n": rate.n}
        )
    if summary.people < FEW_PEOPLE:
        reasons.append(
            ngettext("only %(n)s person judged", "only %(n)s people judged", summary.people)
            % {"n": summary.people}
        )
    if summary.is_partial:
        reasons.append(
            _("%(unjudged)s of the suggestions are of a kind nobody has judged")
            % {"unjudged": percent(summary.unjudged)}
        )
    if rate and summary.corrected and rate.value - summary.corrected.value > YES_SAYING:
        corrected = percent(summary.corrected.value)
        reasons.append(
            _("people say yes too readily: corrected for that it is %(corrected)s") % {"corrected": corrected}
        )
    if summary.reliability and summary.reliability.ac1 < LOW_AC1:
        reasons.append(
            _("people often disagree with each other (AC1 %(ac1)s)")
            % {"ac1": floatformat(summary.reliability.ac1, 2)}
        )
    return Trust(reasons)


def find_steps(summary: Summary, campaign: Campaign | None, may: Callable[[str], bool]) -> list[Step]:
    """What to do next, the most useful first, each with an address that this person may open: `may` says
    whether they have a permission. The made-up campaign asks for nothing but real ones.
    """
    if campaign is not None and campaign.is_made_up:
        return [
            Step(
                _("These votes are made up: ask real people"), _("Campaigns"), reverse("validation:campaigns")
            )
        ]
    steps = [*_votes(summary, campaign, may), *_rows(may), *_corrections(campaign, may)]
    if summary.missing and may("validation.add_campaign"):
        row = summary.missing[0]
        query = f"?campaign={campaign.pk}" if campaign else ""
        url = reverse("validation:new_intake") + query
        words = ngettext("%(n)s new photo for #%(hashtag)s", "%(n)s new photos for #%(hashtag)s", row.missing)
        words %= {"n": intcomma(row.missing), "hashtag": row.hashtag}
        steps.append(Step(words, _("Take photos in"), url))
    if not steps and campaign and not (summary.needed or summary.missing):
        url = reverse("validation:models", args=[campaign.pk])
        steps.append(Step(_("Enough votes for every hashtag"), _("Compare models"), url))
    return steps


def _votes(summary: Summary, campaign: Campaign | None, may: Callable[[str], bool]) -> list[Step]:
    if not summary.needed:
        return []
    places = ((row, campaign or _campaign_asking(row.hashtag)) for row in summary.needed)
    row, where = next(((row, where) for row, where in places if where), (summary.needed[0], None))
    if where is None:
        return []
    n = row.needed * where.votes_per_photo
    words = ngettext("%(n)s more vote on #%(hashtag)s", "%(n)s more votes on #%(hashtag)s", n) % {
        "n": intcomma(n),
        "hashtag": row.hashtag,
    }
    page = where.get_absolute_url()
    if not where.takes_votes:
        return [
            Step(
                _("%(words)s, but “%(where)s” is closed") % {"words": words, "where": where},
                _("Open the campaign"),
                page,
            )
        ]
    if may("validation.add_vote"):
        return [Step(words, _("Vote"), reverse("validation:vote", args=[where.pk]))]
    if not may("validation.change_campaign"):
        return [Step(words, _("View the campaign"), page)]
    is_for_guests = where.audience == Campaign.Audience.LINK
    # Without a link for guests, its rules are where it gets one.
    rules = reverse("validation:edit", args=[where.pk])
    return [Step(words, _("Invite"), f"{page}#invite" if is_for_guests else rules)]


def _campaign_asking(hashtag: str) -> Campaign | None:
    """The open campaign with most questions about this hashtag that lack answers."""
    questions = Question.objects.suggestions().offered().open_().filter(hashtag__name=hashtag)
    questions = questions.filter(campaign__in=Campaign.objects.taking_votes()).order_by()
    most = questions.values("campaign").annotate(n=Count("pk")).order_by("-n", "-campaign").first()
    return Campaign.objects.get(pk=most["campaign"]) if most else None


def _rows(may: Callable[[str], bool]) -> list[Step]:
    n = doubts.filter_doubted(MappingEntry.objects.all()).count() if may("mapping.view_sceneclass") else 0
    url = f"{reverse('mapping:entries')}?{urlencode({'status': 'doubted'})}"
    return (
        [
            Step(
                ngettext("%(n)s row of the mapping doubted", "%(n)s rows of the mapping doubted", n)
                % {"n": n},
                _("Mend them"),
                url,
            )
        ]
        if n
        else []
    )


def _corrections(campaign: Campaign | None, may: Callable[[str], bool]) -> list[Step]:
    rows = corrections.waiting()
    n = rows.count()
    where = campaign or Campaign.objects.real().filter(photos__correction__in=rows).first()
    if not n or where is None:
        return []
    url = f"{reverse('validation:mend', args=[where.pk])}#corrections"
    action = _("Retrain") if may("trainer.add_photoset") else _("See them")
    return [Step(ngettext("%(n)s correction waits", "%(n)s corrections wait", n) % {"n": n}, action, url)]
