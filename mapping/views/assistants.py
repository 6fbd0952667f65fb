"""The assistants' page: the quality of each assistant, and one clustering to browse and to cut."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from mapping import assistants, queue
from mapping.lexicon import clustering, domains, wordnet
from people.request import Request

WIDTH, HEIGHT = 1200, 320  # of the drawing
CLUSTERS = 60  # by default: about the number of distinct notions in 397 classes


class CutForm(forms.Form):
    """Which clustering to show and where to cut it. A distance takes precedence over a number of clusters."""

    kind = forms.ChoiceField(label=gettext_lazy("Similarity"), choices=list(assistants.KINDS.items()))
    method = forms.ChoiceField(
        label=gettext_lazy("Method"), choices=[(name, name) for name in clustering.METHODS]
    )
    clusters = forms.IntegerField(
        label=gettext_lazy("Clusters"), min_value=1, max_value=assistants.MAX_SENSES, required=False
    )
    distance = forms.FloatField(label=gettext_lazy("or cut at distance"), min_value=0, required=False)


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def index(request: Request) -> HttpResponse:
    """Everything on one page. If data is missing, the page says which and how to get it."""
    form = CutForm({"kind": "wup", "method": "average", **request.GET.dict()})
    context: dict[str, Any] = {"form": form, "domains_missing": domains.domains_file() is None}
    context |= {"how_to_get_domains": _(domains.HOW_TO_GET_IT), "hashtag_names": queue.hashtag_names()}
    try:
        catalogue = assistants.catalogue()
        context |= _measure(catalogue, form) if form.is_valid() else {}
    except wordnet.WordNetMissing:
        context["problem"] = _(wordnet.HOW_TO_GET_IT)
    except assistants.TooMany:
        context["problem"] = _("More than %(n)s senses cannot be compared pair by pair.") % {
            "n": assistants.MAX_SENSES
        }
    except assistants.TooFew:
        context["problem"] = _("Fewer than two classes have a sense, so there is nothing to compare yet.")
    return render(request, "mapping/assistants.html", context)


def _measure(catalogue: assistants.Catalogue, form: CutForm) -> dict[str, Any]:
    choices = form.cleaned_data
    number = min(choices["clusters"] or CLUSTERS, len(catalogue.senses))
    rows = assistants.measure_all(catalogue.senses, catalogue.decisions, number)
    context: dict[str, Any] = {"rows": rows, "number": number, "senses": len(catalogue.senses)}
    try:
        tree = assistants.tree(catalogue.senses, choices["kind"], choices["method"])
    except clustering.NotEuclidean as error:
        return context | {"not_valid": _(str(error))}
    at = choices["distance"]
    groups = tree.cut_by_number(number) if at is None else tree.cut_by_distance(at)
    clusters = assistants.clusters_of(catalogue, groups)
    quality = assistants.quality(
        catalogue.decisions, dict(zip(catalogue.senses, groups.tolist(), strict=True))
    )
    return context | {
        "clusters": [cluster for cluster in clusters if len(cluster.members) > 1],
        "alone": [cluster.members[0] for cluster in clusters if len(cluster.members) == 1],
        "quality": quality,
        "drawing": _drawing(tree, at, int(groups.max())),
    }


def _drawing(tree: clustering.Tree, at: float | None, clusters: int) -> dict[str, Any]:
    """The dendrogram as one SVG path, and the height of the cut line. The root is at the top."""
    top = float(tree.links[-1, 2]) * 1.03 or 1.0
    if at is None:  # halfway between the highest join below the cut and the lowest above it
        heights = [0.0, *tree.links[:, 2].tolist(), top]
        joins_below = tree.leaves - clusters
        at = (heights[joins_below] + heights[joins_below + 1]) / 2
    across, up = tree.drawing()[:2]
    scale = WIDTH / (10 * tree.leaves)

    def point(x: float, height: float) -> str:
        return f"{x * scale:.1f} {HEIGHT * (1 - height / top):.1f}"

    shapes = (
        "M" + "L".join(point(x, y) for x, y in zip(*u, strict=True)) for u in zip(across, up, strict=True)
    )
    line = f"{HEIGHT * (1 - min(at, top) / top):.1f}"
    return {
        "path": "".join(shapes),
        "line": line,
        "top": f"{top:.6f}",
        "at": f"{at:.4f}",
        "wide": WIDTH,
        "high": HEIGHT,
    }
