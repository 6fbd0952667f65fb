"""The vocabulary: hashtags, how popular they are, how many classes carry them."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from mapping.models import Hashtag


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def hashtags(request: HttpRequest) -> HttpResponse:
    # Ordered here: an aggregate drops the model's own order.
    rows = list(Hashtag.objects.annotate(classes=Count("entries", filter=Q(entries__opinion=None))).order_by("-posts", "name"))
    top_posts = max((row.posts_millions for row in rows), default=1)
    top_classes = max((row.classes for row in rows), default=1) or 1
    shown = [
        {
            "hashtag": row,
            "posts_share": round(100 * row.posts_millions / top_posts),
            "classes_share": round(100 * row.classes / top_classes),
        }
        for row in rows
    ]
    return render(request, "mapping/hashtags.html", {"rows": shown})
