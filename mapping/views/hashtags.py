"""The vocabulary: popularity, offered hashtags and synonyms; blocking, adding and recounting hashtags."""

from __future__ import annotations

import csv
import io
import secrets
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from formats.json_text import to_json
from formats.table import Unreadable, guard
from mapping import downstream, hashtags
from mapping.figures import bar_figure
from mapping.models import Hashtag
from mapping.views.exchange import SHOWN, download, load_text, store_text, uploaded_text
from mapping.views.figures import figure_file
from people.request import Request

PER_PAGE = 100
BARS = 30  # in a chart; the table lists the rest
STATES = {
    "": gettext_lazy("All"),
    "offered": gettext_lazy("Offered"),
    "rare": gettext_lazy("Below the threshold"),
    "blocked": gettext_lazy("Blocked"),
    "carried": gettext_lazy("Used by classes"),
}


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def hashtag_list(request: Request) -> HttpResponse:
    return _page(request)


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    words, state = request.GET.get("q", ""), request.GET.get("state", "")
    matches = hashtags.filter_hashtags(words, state)
    page = Paginator(matches, PER_PAGE).get_page(request.GET.get("page"))
    rows: list[Any] = list(page.object_list)  # with classes
    synonyms = hashtags.synonyms(row.name for row in rows)
    top_posts = max((row.posts for row in rows), default=1) or 1
    top_classes = max((row.classes for row in rows), default=1) or 1
    context: dict[str, Any] = {
        "page": page,
        "rows": [
            {
                "hashtag": row,
                "offered": not row.blocked and row.posts >= settings.HASHTAG_MIN_POSTS,
                "synonyms": synonyms.get(row.name, ()),
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
        "offered": hashtags.offered_hashtags().count(),
        "error": error,
        "sources": list(Hashtag.objects.order_by().values_list("source", "counted_on").distinct()[:3]),
    }
    return render(request, "mapping/hashtags.html", context, status=status)


def _charts() -> dict[str, Any]:
    """Figures 6 and 7 of the thesis: posts of the hashtags that classes have, and photos per hashtag."""
    rows: list[Any] = list(hashtags.filter_hashtags(state="carried")[:BARS])
    most_posts = max((row.posts for row in rows), default=1) or 1
    photos = hashtags.photos_by_hashtag(downstream.get().photo_counts())
    most_photos = max((n for label, n in photos if label != "other"), default=1)
    return {
        "posts": [(row, _share(row.posts, most_posts)) for row in rows],
        "mean": round(sum(row.posts for row in rows) / len(rows) / 1_000_000) if rows else 0,
        "photos": [(label, n, _share(n, most_photos)) for label, n in photos[: BARS + 1]],
        "all_photos": sum(n for _label, n in photos),
    }


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def figure(request: Request, name: str, kind: str) -> HttpResponse:
    """Figures 6 and 7 of the thesis as English files: name is "posts" or "photos", kind "svg" or "csv"."""
    if name == "posts":
        carried = hashtags.filter_hashtags(state="carried").values_list("name", "posts")
        return figure_file(bar_figure("figure-6-posts", "Posts per hashtag", "posts", carried), kind)
    if name == "photos":
        photos = hashtags.photos_by_hashtag(downstream.get().photo_counts())
        return figure_file(bar_figure("figure-7-photos", "Photos per hashtag", "photos", photos), kind)
    raise Http404(_("There is no such figure."))


def _share(number: int, largest: int) -> int:
    return min(100, round(100 * number / largest))


@require_POST
@permission_required("mapping.change_hashtag", raise_exception=True)
def block(request: Request, pk: int) -> HttpResponse:
    """Block a hashtag. why: the reason, which is required. unblock=1 offers the hashtag again."""
    user = _me(request)
    try:
        if request.POST.get("unblock"):
            row = hashtags.unblock(hashtag_id=pk, by=user)
            messages.success(request, _("%(hashtag)s is offered again.") % {"hashtag": row})
        else:
            row = hashtags.block(hashtag_id=pk, why=request.POST.get("why", "")[:200], by=user)
            messages.success(request, _("%(hashtag)s is blocked and no longer offered.") % {"hashtag": row})
    except Hashtag.DoesNotExist as error:
        raise Http404(_("There is no such hashtag.")) from error
    except ValueError as error:
        return _page(request, error=_(str(error)), status=400)
    return redirect("mapping:hashtags")


@require_POST
@permission_required("mapping.change_hashtag", raise_exception=True)
def upload(request: Request) -> HttpResponse:
    """Accept new counts as a CSV, or one hashtag from the form. A preview follows in both cases."""
    try:
        text = _form_as_csv(request) if "name" in request.POST else uploaded_text(request)
        hashtags.plan_counts(text)
    except Unreadable as error:
        return _page(request, error=_(str(error)), status=400)
    token = secrets.token_urlsafe(12)
    store_text(_cache_key(request, token), text)
    return redirect("mapping:import_counts", token=token)


def _form_as_csv(request: Request) -> str:
    lines = io.StringIO(newline="")
    fields = ("name", "posts", "source", "counted_on")
    csv.writer(lines).writerows([fields, [guard(request.POST.get(name, "")) for name in fields]])
    return lines.getvalue()


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("mapping.change_hashtag", raise_exception=True)
def import_counts(request: Request, token: str) -> HttpResponse:
    """Preview the import of counts. POST carries it out if the plan is still the one that `seen` names."""
    text = load_text(_cache_key(request, token))
    if text is None:
        messages.warning(request, _("This upload has expired. Choose the file again."))
        return redirect("mapping:hashtags")
    if request.method != "POST":
        return _counts_page(request, text)
    try:
        count = hashtags.import_counts(text=text, seen=request.POST.get("seen", ""), by=_me(request))
    except hashtags.CountsHaveProblems:
        return _counts_page(request, text, status=400)
    except hashtags.CountsMoved:
        return _counts_page(request, text, moved=True, status=409)
    messages.success(
        request,
        ngettext("Saved: %(n)s hashtag.", "Saved: %(n)s hashtags.", count) % {"n": count}
        if count
        else _("All of these counts are already known."),
    )
    return redirect("mapping:hashtags")


def _counts_page(request: Request, text: str, *, moved: bool = False, status: int = 200) -> HttpResponse:
    plan = hashtags.plan_counts(text)
    context = {
        "plan": plan,
        "moved": moved,
        "rows": plan.writes[:SHOWN],
        "problems": plan.problems[:SHOWN],
        "notes": plan.notes[:SHOWN],
        "limit": SHOWN,
    }
    return render(request, "mapping/hashtags_import.html", context, status=status)


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def export(request: Request, kind: str) -> HttpResponse:
    """Download all hashtags with counts and WordNet synonyms. The CSV can be imported again as counts."""
    rows = list(hashtags.filter_hashtags())
    synonyms = hashtags.synonyms(row.name for row in rows)
    fields = ("name", "posts", "source", "counted_on", "classes", "blocked", "blocked_why")
    records = [{name: getattr(row, name) for name in fields} for row in rows]
    if kind == "json":
        document = [row | {"synonyms": synonyms.get(row["name"], ())} for row in records]
        return download(to_json(document, indent=1), "application/json", "hashtags.json")
    if kind != "csv":
        raise Http404(_("There is no such format."))
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("hashtag", *fields[1:], "synonyms"))
    for row in records:
        cells = [*row.values(), "; ".join(synonyms.get(row["name"], ()))]
        writer.writerow([guard(str(cell)) for cell in cells])
    return download(f"\ufeff{lines.getvalue()}", "text/csv", "hashtags.csv")


def _me(request: Request) -> AbstractBaseUser:
    user = request.user
    assert isinstance(user, AbstractBaseUser)  # every page requires a permission
    return user


def _cache_key(request: Request, token: str) -> str:
    """The key contains the user, because nobody else may see the upload."""
    return f"hashtag-counts:{request.user.pk}:{token}"
