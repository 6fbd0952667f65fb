"""The vocabulary: how popular hashtags are, which are offered, their synonyms; block, add, count anew."""

from __future__ import annotations

import csv
import io
import json
import secrets
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.request import Request
from mapping import downstream, hashtags
from mapping.files.classlists import Unreadable, guard
from mapping.models import Hashtag
from mapping.views.exchange import SHOWN, download, keep, kept, uploaded_text

PER_PAGE = 100
CHARTED = 30  # bars in a chart; the table has the rest
STATES = {
    "": "All",
    "offered": "Offered",
    "rare": "Below the threshold",
    "blocked": "Blocked",
    "carried": "Carried by classes",
}


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def hashtag_list(request: Request) -> HttpResponse:
    return _page(request)


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    words, state = request.GET.get("q", ""), request.GET.get("state", "")
    found = hashtags.listed(words, state)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    rows: list[Any] = list(page.object_list)  # with classes
    others = hashtags.synonyms(row.name for row in rows)
    top_posts = max((row.posts for row in rows), default=1) or 1
    top_classes = max((row.classes for row in rows), default=1) or 1
    context: dict[str, Any] = {
        "page": page,
        "rows": [
            {
                "hashtag": row,
                "offered": not row.blocked and row.posts >= settings.HASHTAG_MIN_POSTS,
                "synonyms": others.get(row.name, ()),
                "posts_share": _share(row.posts, top_posts),
                "classes_share": _share(row.classes, top_classes),
            }
            for row in rows
        ],
        "charts": _charts() if not (words or state) and page.number == 1 else None,
        "words": words,
        "state": state,
        "states": STATES.items(),
        "min_posts": settings.HASHTAG_MIN_POSTS,
        "offered": hashtags.offered().count(),
        "error": error,
        "sources": list(Hashtag.objects.order_by().values_list("source", "counted_on").distinct()[:3]),
    }
    return render(request, "mapping/hashtags.html", context, status=status)


def _charts() -> dict[str, Any]:
    """The thesis's figures 6 and 7: posts of the hashtags that classes carry, and photos per hashtag."""
    used: list[Any] = list(hashtags.listed(state="carried")[:CHARTED])
    most = max((row.posts for row in used), default=1) or 1
    photos = hashtags.photos_by_hashtag(downstream.get().photo_counts())
    most_photos = max((n for label, n in photos if label != "other"), default=1)
    return {
        "posts": [(row, _share(row.posts, most)) for row in used],
        "mean": round(sum(row.posts for row in used) / len(used) / 1_000_000) if used else 0,
        "photos": [(label, n, _share(n, most_photos)) for label, n in photos[: CHARTED + 1]],
        "all_photos": sum(n for _, n in photos),
    }


def _share(number: int, most: int) -> int:
    return min(100, round(100 * number / most))


@require_POST
@permission_required("mapping.change_hashtag", raise_exception=True)
def block(request: Request, pk: int) -> HttpResponse:
    """why: the reason; without one, an empty form field says so. unblock=1 offers it again."""
    user = _me(request)
    try:
        if request.POST.get("unblock"):
            row = hashtags.unblock(hashtag_id=pk, by=user)
            messages.success(request, f"{row} is not blocked any more.")
        else:
            row = hashtags.block(hashtag_id=pk, why=request.POST.get("why", "")[:200], by=user)
            messages.success(request, f"{row} is blocked: it is not offered any more.")
    except Hashtag.DoesNotExist as error:
        raise Http404("There is no such hashtag.") from error
    except ValueError as error:
        return _page(request, error=str(error), status=400)
    return redirect("mapping:hashtags")


@require_POST
@permission_required("mapping.change_hashtag", raise_exception=True)
def upload(request: Request) -> HttpResponse:
    """New counts as a CSV, or one hashtag typed in: either way a preview comes first."""
    try:
        text = _typed_in(request) if "name" in request.POST else uploaded_text(request)
        hashtags.plan_counts(text)
    except Unreadable as error:
        return _page(request, error=str(error), status=400)
    token = secrets.token_urlsafe(12)
    keep(_cache_key(request, token), text)
    return redirect("mapping:import_counts", token=token)


def _typed_in(request: Request) -> str:
    lines = io.StringIO(newline="")
    fields = ("name", "posts", "source", "counted_on")
    csv.writer(lines).writerows([fields, [guard(request.POST.get(name, "")) for name in fields]])
    return lines.getvalue()


@require_http_methods(["GET", "POST"])
@permission_required("mapping.change_hashtag", raise_exception=True)
def import_counts(request: Request, token: str) -> HttpResponse:
    """What the counts would change; by POST, change it, if it still is what `seen` says."""
    text = kept(_cache_key(request, token))
    if text is None:
        messages.warning(request, "This upload is not kept any more. Choose the file again.")
        return redirect("mapping:hashtags")
    if request.method == "GET":
        return _counts_page(request, text)
    try:
        saved = hashtags.import_counts(text=text, seen=request.POST.get("seen", ""), by=_me(request))
    except hashtags.CountsHaveProblems:
        return _counts_page(request, text, status=400)
    except hashtags.CountsMoved:
        return _counts_page(request, text, moved=True, status=409)
    messages.success(
        request, f"Saved: {saved} hashtag{'' if saved == 1 else 's'}." if saved else "Known already."
    )
    return redirect("mapping:hashtags")


def _counts_page(request: Request, text: str, *, moved: bool = False, status: int = 200) -> HttpResponse:
    made = hashtags.plan_counts(text)
    context = {
        "plan": made,
        "moved": moved,
        "rows": made.writes[:SHOWN],
        "problems": made.problems[:SHOWN],
        "shown": SHOWN,
    }
    return render(request, "mapping/hashtags_import.html", context, status=status)


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def export(request: Request, kind: str) -> HttpResponse:
    """All hashtags with their counts and WordNet synonyms. The CSV can be imported as counts."""
    rows = list(hashtags.listed())
    others = hashtags.synonyms(row.name for row in rows)
    fields = ("name", "posts", "source", "counted_on", "classes", "blocked", "blocked_why")
    found = [{name: getattr(row, name) for name in fields} for row in rows]
    if kind == "json":
        document = [row | {"synonyms": others.get(row["name"], ())} for row in found]
        return download(
            json.dumps(document, ensure_ascii=False, indent=1), "application/json", "hashtags.json"
        )
    if kind != "csv":
        raise Http404("There is no such format.")
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("hashtag", *fields[1:], "synonyms"))
    for row in found:
        cells = [*row.values(), "; ".join(others.get(row["name"], ()))]
        writer.writerow([guard(str(cell)) for cell in cells])
    return download(f"\ufeff{lines.getvalue()}", "text/csv", "hashtags.csv")


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # the pages ask for a permission
    return user


def _cache_key(request: Request, token: str) -> str:
    """Of this person only: an upload is nobody else's to see."""
    return f"hashtag-counts:{request.user.pk}:{token}"
