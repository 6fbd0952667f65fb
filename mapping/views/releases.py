"""Releases: the list, the page of one, and publishing the next."""

from __future__ import annotations

import csv

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from formats.table import guard
from mapping.forms import PublishForm
from mapping.impact import impact_of_publishing
from mapping.models import OTHER, MappingEntry, Release
from mapping.releases import (
    ChangesMoved,
    NothingToPublish,
    compare,
    fingerprint,
    publish_release,
    release_state,
)
from mapping.views.compare import moves_csv, rows_of
from people.request import Request, read_form

PER_PAGE = 200
SHOWN = 50  # moves in the table of a page; the CSV has all


@require_safe
@permission_required("mapping.view_release", raise_exception=True)
def releases(request: Request) -> HttpResponse:
    rows = (
        Release.objects.select_related("published_by").annotate(classes=Count("labels")).order_by("-number")
    )
    return render(request, "mapping/releases.html", {"releases": rows})


@require_safe
@permission_required("mapping.view_release", raise_exception=True)
def release(request: Request, number: int) -> HttpResponse:
    row = get_object_or_404(Release.objects.select_related("published_by"), number=number)
    if request.GET.get("format") == "csv":
        return _as_csv(row)
    label = request.GET.get("label", "")
    labels = row.labels.all()
    counts = list(labels.order_by().values("label").annotate(n=Count("pk")).order_by("-n", "label"))
    top = max((row["n"] for row in counts if row["label"] != OTHER), default=1)
    before = Release.objects.filter(number=number - 1).first()
    moves = compare(release_state(before), release_state(row)) if before else []
    page = Paginator(labels.filter(label=label) if label else labels, PER_PAGE)
    context = {
        "release": row,
        "counts": [row | {"share": min(100, round(100 * row["n"] / top))} for row in counts],
        "classes": sum(row["n"] for row in counts),
        "page": page.get_page(request.GET.get("page")),
        "label": label,
        "before": before,
        "moves": moves,
        "rows": rows_of(moves[:SHOWN], {}),
    }
    return render(request, "mapping/release.html", context)


def _as_csv(release: Release) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="scenetag-release-{release.number}.csv"'
    columns = ("scene_key", "synset", "sense", "hypernym", "hypernym_sense", "label")
    writer = csv.writer(response)
    writer.writerow(columns)
    writer.writerows(map(guard, row) for row in release.labels.values_list(*columns))
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("mapping.publish_release", raise_exception=True)
def publish(request: Request) -> HttpResponse:
    form = PublishForm(*read_form(request))
    if request.method == "POST" and form.is_valid():
        try:
            new = publish_release(by=request.user, **form.cleaned_data)
        except NothingToPublish:
            messages.info(
                request, _("The mapping equals the newest release, so there is nothing to publish.")
            )
            return redirect("mapping:releases")
        except ChangesMoved:
            words = _("The mapping changed while you were reading. Below are the present changes.")
            form.add_error(None, words)
            return _publish_page(request, form, status=409)
        left_out = MappingEntry.objects.filter(status=MappingEntry.Status.UNDECIDED).count()
        words = _("Release %(number)s was published and is frozen.") % {"number": new.number}
        if left_out:
            words += " " + _("%(n)s undecided classes were left out.") % {"n": left_out}
        messages.success(request, words)
        return redirect(new)
    return _publish_page(request, form, status=400 if form.errors else 200)


def _publish_page(request: Request, form: PublishForm, status: int) -> HttpResponse:
    newest = Release.objects.first()
    number = newest.number + 1 if newest else 1
    impact = impact_of_publishing(newest)
    if request.GET.get("format") == "csv":
        return moves_csv(f"scenetag-unpublished-{number}.csv", impact)
    context = {
        "form": form,
        "impact": impact,
        "rows": rows_of(impact.moves[:SHOWN], impact.photos),
        "seen": fingerprint(impact.moves),
        "undecided": MappingEntry.objects.filter(status=MappingEntry.Status.UNDECIDED).count(),
        "newest": newest,
        "number": number,
    }
    return render(request, "mapping/publish.html", context, status=status)
