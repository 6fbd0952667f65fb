"""The assistants' page: how good each is, and a clustering to look through and to cut."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from jobs.request import Request
from mapping import assistants, queue
from mapping.lexicon import clustering, domains, wordnet

WIDE, HIGH = 1200, 320  # of the drawing
CLUSTERS = 60  # unless told: about as many as there are notions in 397 classes


class CutForm(forms.Form):
    """Which clustering, and where to cut it. A distance, where given, is preferred to a number."""

    kind = forms.ChoiceField(label="Similarity", choices=list(assistants.KINDS.items()))
    method = forms.ChoiceField(choices=[(name, name) for name in clustering.METHODS])
    clusters = forms.IntegerField(label="Clusters", min_value=1, max_value=assistants.MOST, required=False)
    distance = forms.FloatField(label="or cut at distance", min_value=0, required=False)


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def index(request: Request) -> HttpResponse:
    """Everything on one page; where something is missing, the page says what and how to get it."""
    form = CutForm({"kind": "wup", "method": "average", **request.GET.dict()})
    context: dict[str, Any] = {"form": form, "domains_missing": domains.domains_file() is None}
    context |= {"how_to_get_domains": domains.HOW_TO_GET_IT, "hashtag_names": queue.hashtag_names()}
    try:
        shown = assistants.catalogue()
        context |= _measured(shown, form) if form.is_valid() else {}
    except wordnet.WordNetMissing:
        context["problem"] = wordnet.HOW_TO_GET_IT
    except assistants.TooMany:
        context["problem"] = f"More than {assistants.MOST} senses cannot be compared each with each."
    except assistants.TooFew:
        context["problem"] = "Fewer than two classes have a sense, so there is nothing to compare yet."
    return render(request, "mapping/assistants.html", context)


def _measured(shown: assistants.Catalogue, form: CutForm) -> dict[str, Any]:
    wanted = form.cleaned_data
    number = min(wanted["clusters"] or CLUSTERS, len(shown.senses))
    rows = assistants.measure_all(shown.senses, shown.decided, number)
    found: dict[str, Any] = {"rows": rows, "number": number, "senses": len(shown.senses)}
    try:
        tree = assistants.tree(shown.senses, wanted["kind"], wanted["method"])
    except clustering.NotEuclidean as error:
        return found | {"not_valid": str(error)}
    at = wanted["distance"]
    groups = tree.cut_by_number(number) if at is None else tree.cut_by_distance(at)
    clusters = assistants.clusters_of(shown, groups)
    quality = assistants.quality(shown.decided, dict(zip(shown.senses, groups.tolist(), strict=True)))
    return found | {
        "clusters": [cluster for cluster in clusters if len(cluster.members) > 1],
        "alone": [cluster.members[0] for cluster in clusters if len(cluster.members) == 1],
        "quality": quality,
        "drawing": _drawing(tree, at, int(groups.max())),
    }


def _drawing(tree: clustering.Tree, at: float | None, clusters: int) -> dict[str, Any]:
    """The dendrogram as one SVG path, and the height of the cut line; the root is above."""
    top = float(tree.links[-1, 2]) * 1.03 or 1.0
    if at is None:  # between the last join that is kept and the first that is cut
        joins = [0.0, *tree.links[:, 2].tolist(), top]
        kept = tree.leaves - clusters
        at = (joins[kept] + joins[kept + 1]) / 2
    across, up, _ = tree.drawing()
    scale = WIDE / (10 * tree.leaves)

    def point(x: float, height: float) -> str:
        return f"{x * scale:.1f} {HIGH * (1 - height / top):.1f}"

    shapes = (
        "M" + "L".join(point(x, y) for x, y in zip(*u, strict=True)) for u in zip(across, up, strict=True)
    )
    line = f"{HIGH * (1 - min(at, top) / top):.1f}"
    return {
        "path": "".join(shapes),
        "line": line,
        "top": f"{top:.6f}",
        "at": f"{at:.4f}",
        "wide": WIDE,
        "high": HIGH,
    }
