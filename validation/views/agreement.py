"""What the votes say, for admins and viewers: the dashboard, the photos behind its bars, what to mend."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from formats.numbers import read_number
from mapping.views.figures import figure_file
from people.request import Request
from trainer.runs.charts import Chart, line_chart
from trainer.runs.figures import chart_figure, find_chart
from validation import made_up
from validation.agreement import lists, next_steps, results, rivals
from validation.agreement.blame import PARTIES, blame, questions_blamed_on, scenes
from validation.agreement.figure import rates_figure
from validation.forms.agreement import ResultsFilter
from validation.models import Campaign, Question
from validation.photos import corrections
from validation.statistics.rate import FEW, Rate
from validation.statistics.yes_saying import ENOUGH, ENOUGH_PHOTOS
from validation.templatetags.agreement_words import percent
from validation.views.made_up import offer

PAGE = 48  # photos
THESIS = {"overall": 0.86, "class_weighted": 0.83}  # its chapter 7: other photos, other people


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def agreement(request: Request) -> HttpResponse:
    if (number := read_number(request.GET.get("campaign"))) is not None:
        authors = Campaign.objects.filter(pk=number, kind=Campaign.Kind.AUTHORS).first()
        if authors:
            return redirect(authors)  # its figures are not about a model's suggestions
    form = ResultsFilter(request.GET)
    form.is_valid()
    campaign = form.cleaned_data.get("campaign")
    if campaign is None and not Campaign.objects.real().exists():
        campaign = made_up.campaign()
    summary = results.summarise(campaign)
    context = offer(request) | {
        "form": form,
        "campaign": campaign,
        "summary": summary,
        "trust": next_steps.find_trust(summary),
        "steps": next_steps.find_steps(summary, campaign, request.user.has_perm),
        "has_campaigns": campaign is not None or Campaign.objects.real().predicted().exists(),
        "thesis": THESIS,
        "over_time": _over_time(summary),
        "figures": f"{reverse('validation:agreement')}figures/",
        "figure_query": f"?campaign={campaign.pk}" if campaign else "",
        "few": FEW,
        "enough_answers": ENOUGH,
        "enough_photos": ENOUGH_PHOTOS,
    }
    return render(request, "validation/agreement.html", context)


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def figure(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """A chart of the dashboard as a file: "hashtags", "confidence" or the slug of the chart over time."""
    form = ResultsFilter(request.GET)
    if not form.is_valid():
        raise Http404(_("There is no such figure."))
    campaign = form.cleaned_data.get("campaign")
    summary = results.summarise(campaign)
    chart = find_chart([chart for chart in [_over_time(summary)] if chart], name)
    about = f", {campaign}" if campaign else ""
    if chart:
        return figure_file(chart_figure(chart, f"agreement-{name}", f"{chart.title}{about}"), kind)
    rows = _bars(summary).get(name, [])
    title = f"Agreement by {name.removesuffix('s')}{about}"
    return figure_file(rates_figure(f"agreement-{name}", title, "agreement", rows) if rows else None, kind)


def _bars(summary: results.Summary) -> dict[str, list[tuple[str, Rate, float | None]]]:
    """The dashboard's bars by the names of their files: label, rate, and what the dot marks."""
    return {
        "hashtags": [(f"#{row.hashtag}", row.rate, None) for row in summary.hashtags if row.rate],
        "confidence": [
            (f"{percent(bin.low)} to {percent(bin.high)}", bin.rate, bin.confidence) for bin in summary.bins
        ],
    }


def _over_time(summary: results.Summary) -> Chart | None:
    """How the share of fitting suggestions settled: the running mean by day, earlier answers included."""
    before = summary.earlier
    points, fitting, n = [], before.value * before.n if before else 0.0, before.n if before else 0
    for number, day in enumerate(summary.days, start=1):
        fitting, n = fitting + day.rate.value * day.rate.n, n + day.rate.n
        points.append((float(number), fitting / n))
    if len(points) < 2:
        return None
    series = [(_("so far"), points), (_("that day"), _daily(summary))]
    return line_chart(_("Agreement over time"), series, x_title=_("day of voting"), percent=True)


def _daily(summary: results.Summary) -> list[tuple[float, float]]:
    return [(float(number), day.rate.value) for number, day in enumerate(summary.days, start=1)]


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def votes(request: HttpRequest) -> HttpResponse:
    """The photos and votes behind a bar of the agreement page."""
    form = ResultsFilter(request.GET)
    form.is_valid()
    filters: dict[str, Any] = {
        field: form.cleaned_data.get(field) or "" for field in ("hashtag", "said", "scene")
    }
    campaign = form.cleaned_data.get("campaign")
    silent = bool(form.cleaned_data.get("silent"))
    kind = Question.Kind.SILENCE if silent else Question.Kind.SUGGESTION
    among, why = _select(form, campaign) if campaign else (None, "")
    tenth = form.cleaned_data.get("tenth")
    questions = lists.judged_photos(
        campaign,
        hashtag=filters["hashtag"],
        majority=filters["said"],
        scene=filters["scene"],
        tenth=tenth,
        kind=kind,
        among=among,
    )
    query = request.GET.copy()
    query.pop("page", None)
    context = filters | {
        "form": form,
        "page": Paginator(questions, PAGE).get_page(request.GET.get("page")),
        "campaign": campaign,
        "silent": silent,
        "why": why,
        "hidden": {key: request.GET[key] for key in ("owed", "won", "against") if why and key in request.GET},
        "query": query.urlencode(),
        "hashtags": lists.hashtags_asked_about(campaign, kind),
    }
    return render(request, "validation/votes.html", context)


def _select(form: ResultsFilter, campaign: Campaign) -> tuple[list[int] | None, str]:
    """The questions behind a bar of causes or a cell of a duel, and what they have in common, in words."""
    data = form.cleaned_data
    if party := data.get("owed"):
        return questions_blamed_on(campaign, party), _("By the reasons they gave: %(party)s.") % {
            "party": PARTIES[party]
        }
    if (winner := data.get("won")) and (against := data.get("against")):
        words = (
            _("Of the two, only %(model)s's hashtag fits.") % {"model": campaign.model}
            if winner == "ours"
            else _("Of the two, only the other's hashtag fits.")
        )
        return rivals.questions_won(campaign, winner, against), words
    return None, ""


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def mend(request: HttpRequest, pk: int) -> HttpResponse:
    """Disagreements by cause, and the rows of the mapping that have most of them."""
    campaign = get_object_or_404(Campaign.objects.predicted().select_related("model"), pk=pk)
    context = {
        "campaign": campaign,
        "blame": blame(campaign),
        "rows": scenes(campaign),
        "n_corrections": corrections.trainable().count(),
    }
    return render(request, "validation/mend.html", context)


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def models(request: HttpRequest, pk: int) -> HttpResponse:
    """The campaign's model compared with others on the same votes."""
    campaign = get_object_or_404(Campaign.objects.predicted().select_related("model", "job"), pk=pk)
    parts = [
        (_("Rival models"), rivals.duels(campaign)),
        (_("Releases of the mapping"), rivals.releases(campaign)),
    ]
    return render(request, "validation/models.html", {"campaign": campaign, "parts": parts})
