"""Whether suggestions are accepted, for admins and viewers."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from mapping.views.figures import figure_file
from serving import acceptance, drift
from serving.forms import DEFAULT, PeriodForm
from trainer.registry.serving import active_model
from trainer.runs.charts import Chart, line_chart
from trainer.runs.figures import chart_figure, find_chart
from validation.agreement.figure import rates_figure
from validation.agreement.results import crowd_by_model
from validation.statistics.rate import FEW


@require_safe
@permission_required("serving.view_feedback", raise_exception=True)
def in_use(request: HttpRequest) -> HttpResponse:
    form = PeriodForm(request.GET or {"days": DEFAULT})
    days, model = form.read()
    seen = acceptance.read_acceptance(days=days, model=model, crowds=crowd_by_model())
    answering = model or active_model()
    context = {
        "form": form,
        "answering": answering,
        "drift": drift.read_drift(model=answering, since=acceptance.first_day(days)) if answering else None,
        "days": days,
        "model": model,
        "seen": seen,
        "first": acceptance.first_feedback(),
        "over_time": _over_time(seen),
        "few": FEW,
        "query": request.GET.urlencode(),
        "figures": f"{reverse('serving:in_use')}figures/",
        "figure_query": f"?{request.GET.urlencode()}",
    }
    return render(request, "serving/in_use.html", context)


@require_safe
@permission_required("serving.view_feedback", raise_exception=True)
def figure(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """A chart of the page as a file: "hashtags", or the slug of the chart over time."""
    days, model = PeriodForm(request.GET).read()
    seen = acceptance.read_acceptance(days=days, model=model, crowds=crowd_by_model())
    chart = find_chart([chart for chart in [_over_time(seen)] if chart], name)
    if chart:
        return figure_file(chart_figure(chart, f"acceptance-{name}"), kind)
    rows = seen.hashtags if name == "hashtags" else []
    bars = [(f"#{row.name}", row.rate, row.crowd.value if row.crowd else None) for row in rows]
    title = "Acceptance by hashtag"
    return figure_file(rates_figure("acceptance-hashtags", title, "acceptance", bars) if bars else None, kind)


def _over_time(seen: acceptance.Acceptance) -> Chart | None:
    """Acceptance by day or by week, between the ends of its interval."""
    if len(seen.steps) < 2:
        return None
    first, unit = seen.steps[0].day, 7 if seen.is_weekly else 1
    at = [float((step.day - first).days // unit + 1) for step in seen.steps]
    ends = [(_("accepted"), "value"), (_("up to"), "high"), (_("from"), "low")]
    series = [
        (name, [(x, getattr(step.rate, end)) for x, step in zip(at, seen.steps, strict=True)])
        for name, end in ends
    ]
    words = _("week since %(day)s") if seen.is_weekly else _("day since %(day)s")
    x_title = words % {"day": date_format(first, "j M Y")}
    return line_chart(
        gettext_noop("Acceptance, with its 95 % interval"), series, x_title=x_title, percent=True
    )


@require_safe
@permission_required("serving.view_feedback", raise_exception=True)
def acceptance_csv(request: HttpRequest) -> HttpResponse:
    days, model = PeriodForm(request.GET).read()
    headers = {"Content-Disposition": 'attachment; filename="acceptance.csv"'}
    response = HttpResponse(content_type="text/csv; charset=utf-8", headers=headers)
    acceptance.write_csv(response, days=days, model=model)
    return response
