"""Answers with a figure as a file."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from mapping.figures import Figure
from mapping.views.exchange import download


def figure_file(figure: Figure | None, kind: str) -> HttpResponse:
    """The figure as "svg" or "csv". Raises Http404 without a figure, and for another kind."""
    if figure is None:
        raise Http404(_("There is nothing to draw."))
    if kind == "svg":
        return download(figure.as_svg(), "image/svg+xml", f"{figure.name}.svg")
    if kind == "csv":
        return download(figure.as_csv(), "text/csv", f"{figure.name}.csv")
    raise Http404(_("There is no such format."))
