"""The history of what administrators and admins did, as a page and as a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from formats.table import guard
from people.forms import HistoryFilter
from people.models import Deed
from people.request import Request

COLUMNS = ("at", "by", "what", "about", "address")


@require_safe
@permission_required("people.view_deed", raise_exception=True)
def history(request: Request) -> HttpResponse:
    form = HistoryFilter(request.GET)
    page = Paginator(form.deeds(), 50).get_page(request.GET.get("page"))
    return render(request, "people/history.html", {"form": form, "page": page})


@require_safe
@permission_required("people.view_deed", raise_exception=True)
def export(request: Request) -> HttpResponseBase:
    """The same rows; times in UTC. Wrong filters give 400 and no file."""
    form = HistoryFilter(request.GET)
    if not form.is_valid():
        return render(request, "people/history.html", {"form": form, "page": None}, status=400)
    headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
    return StreamingHttpResponse(_lines(form), content_type="text/csv; charset=utf-8", headers=headers)


class _Echo:
    def write(self, line: str) -> str:
        return line


def _lines(form: HistoryFilter) -> Iterator[Any]:
    write = csv.writer(_Echo()).writerow
    yield write(COLUMNS)
    deed: Deed
    for deed in form.deeds().iterator(chunk_size=1000):
        cells = (deed.at.isoformat(), deed.by_name, deed.what, deed.about, deed.address)
        yield write(map(guard, cells))
