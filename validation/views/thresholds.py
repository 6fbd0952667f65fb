"""Thresholds from a campaign's votes: look at them, and take them over as a new version of the model."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from mapping.views.figures import figure_file
from people.request import Request
from trainer.registry.promises import promise_of
from trainer.runs.charts import Chart, line_chart
from trainer.runs.figures import chart_figure
from trainer.runs.start import NotReady
from validation.agreement import takeover
from validation.agreement.thresholds import Evidence, Proposal, Wish, curve, propose, read_evidence
from validation.forms.thresholds import WishForm
from validation.models import Campaign
from validation.templatetags import agreement_words

CHART = "risk-coverage"  # the name of its files


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def thresholds(request: HttpRequest, pk: int) -> HttpResponse:
    """The thresholds that the votes justify, and what they would change."""
    campaign = _campaign(pk)
    form = WishForm(request.GET)
    proposal = propose(campaign=campaign, wish=form.wish)
    return _page(request, campaign, form, proposal)


@require_POST
@permission_required("trainer.add_trainedmodel", raise_exception=True)
def take_over(request: Request, pk: int) -> HttpResponse:
    campaign = _campaign(pk)
    form = WishForm(request.POST)
    if not form.is_valid():
        return _page(request, campaign, form, propose(campaign=campaign, wish=form.wish), status=422)
    seen = request.POST.get("seen", "")
    try:
        model = takeover.take_over(campaign=campaign, wish=form.wish, seen=seen, by=request.user)
    except takeover.ProposalChanged as changed:
        return _page(request, campaign, form, changed.proposal, changed=str(changed), status=409)
    except NotReady as refused:
        messages.error(request, str(refused))
        return redirect("validation:thresholds", pk)
    messages.success(
        request,
        _("“%(model)s” is a new version with these thresholds. It is not active yet.") % {"model": model},
    )
    return redirect(model)


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def figure(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """The risk-coverage curve as a file; without votes it has only the target."""
    campaign = _campaign(pk)
    evidence, wish = read_evidence(campaign), WishForm(request.GET).wish
    hashtag = _hashtag(request, evidence)
    with translation.override("en"):  # files are English
        chart = _chart(evidence, hashtag, wish)
    name = f"{slugify(campaign.name) or 'campaign'}-{slugify(hashtag) or 'all'}-{CHART}"
    note = " (made-up votes)" if campaign.is_made_up else ""
    title = f"{chart.title}, {campaign}{note}" if chart else ""
    return figure_file(chart_figure(chart, name, title) if chart else None, kind)


def _campaign(pk: int) -> Campaign:
    return get_object_or_404(Campaign.objects.predicted().select_related("model"), pk=pk)


def _hashtag(request: HttpRequest, evidence: Evidence) -> str:
    """The hashtag whose curve is wanted; empty for all together, and for one that is not asked about."""
    wanted = request.GET.get("curve", "")
    return wanted if wanted in evidence.hashtags else ""


def _page(
    request: HttpRequest,
    campaign: Campaign,
    form: WishForm,
    proposal: Proposal,
    *,
    changed: str = "",
    status: int = 200,
) -> HttpResponse:
    hashtag = _hashtag(request, proposal.evidence)
    wish = {name: form[name].value() for name in form.fields}
    context: dict[str, Any] = {
        "campaign": campaign,
        "form": form,
        "wish": wish,
        "query": urlencode(wish),
        "proposal": proposal,
        "evidence": proposal.evidence,
        "hashtag": hashtag,
        "chart": _chart(proposal.evidence, hashtag, proposal.wish) if proposal.judged else None,
        "figure_path": f"{reverse('validation:thresholds', args=[campaign.pk])}{CHART}",
        "figure_query": "?" + urlencode(wish | {"curve": hashtag}),
        "promise": "" if proposal.refusal else promise_of(takeover.manifest_changes(campaign, proposal)),
        "versions": takeover.versions(campaign),
        "changed": changed,
    }
    return render(request, "validation/thresholds.html", context, status=status)


def _chart(evidence: Evidence, hashtag: str, wish: Wish) -> Chart | None:
    points = curve(evidence=evidence, hashtag=hashtag, wish=wish)
    bound = _("lower %(share)s bound") % {"share": agreement_words.percent(wish.confidence)}
    series = [
        (_("agreement"), [(point.share, point.agreement) for point in points]),
        (bound, [(point.share, point.low) for point in points]),
        (_("target"), [(0.0, wish.target), (1.0, wish.target)]),
    ]
    title = (
        _("Agreement by coverage, %(hashtag)s") % {"hashtag": f"#{hashtag}"}
        if hashtag
        else _("Agreement by coverage, all hashtags")
    )
    x_title = _("share of today's suggestions that are kept, the surest first")
    return line_chart(title, series, x_title=x_title, x_range=(0, 1), percent=True)
