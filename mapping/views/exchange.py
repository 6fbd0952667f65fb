"""In and out: download the mapping; upload a class list or a mapping, see what it would do, do it."""

from __future__ import annotations

import secrets
import zlib
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.cache import cache
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.request import Request
from mapping.files.classlists import MAX_BYTES, Unreadable, decode
from mapping.files.exchange import KINDS, detect, exported, read, to_csv, to_json, to_sssom
from mapping.files.importing import PlanHasProblems, PlanMoved, apply, plan
from mapping.models import Release

SHOWN = 100  # rows of a preview's tables; the rest is counted
KEPT_FOR = 2 * 60 * 60  # seconds from upload to import


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def exchange(request: Request) -> HttpResponse:
    return _page(request)


@require_GET
@permission_required("mapping.view_sceneclass", raise_exception=True)
def export(request: Request, kind: str) -> HttpResponse:
    """The mapping as it is, or ?release=n of it."""
    if kind not in ("csv", "json", "sssom"):
        raise Http404("There is no such format.")
    release = _release(request.GET.get("release", ""))
    rows = exported(release)
    if kind == "csv":  # the mark in front tells spreadsheets that it is UTF-8
        return download(f"\ufeff{to_csv(rows)}", "text/csv", _name(release, "csv"))
    if kind == "json":
        return download(to_json(rows, release), "application/json", _name(release, "json"))
    address = request.build_absolute_uri()
    return download(
        to_sssom(rows, release, address), "text/tab-separated-values", _name(release, "sssom.tsv")
    )


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def upload(request: Request) -> HttpResponse:
    """Keep the text for a while, and go to its preview. Reads `file`, or else `text`."""
    try:
        text = uploaded_text(request)
    except Unreadable as error:
        return _page(request, error=str(error), status=400)
    token = secrets.token_urlsafe(12)
    keep(_cache_key(request, token), text)
    return redirect("mapping:import", token=token)


@require_http_methods(["GET", "POST"])
@permission_required("mapping.change_mappingentry", raise_exception=True)
def preview(request: Request, token: str) -> HttpResponse:
    """What the uploaded text would do; by POST, do it, if it still is what `seen` says."""
    text = kept(_cache_key(request, token))
    if text is None:
        messages.warning(request, "This upload is not kept any more. Choose the file again.")
        return redirect("mapping:exchange")
    kind = request.POST.get("kind") or request.GET.get("kind") or detect(text)
    if kind not in KINDS:
        raise Http404("There is no such kind of file.")
    if request.method == "POST":
        return _import(request, text, kind)
    return _preview_page(request, text, kind)


def _import(request: Request, text: str, kind: str) -> HttpResponse:
    user = request.user
    assert isinstance(user, AbstractBaseUser)
    try:
        change = apply(found=read(text, kind), seen=request.POST.get("seen", ""), by=user)
    except (Unreadable, PlanHasProblems):
        return _preview_page(request, text, kind, status=400)
    except PlanMoved:
        words = "The mapping changed while you were reading. Nothing was imported: here is what would be now."
        return _preview_page(request, text, kind, moved=words, status=409)
    if change is None:
        messages.info(request, "The mapping says all of this already: nothing to do.")
    else:
        n = len(change.before)
        messages.success(
            request, f"Imported: answers of {n:,} class{'' if n == 1 else 'es'} are new or changed."
        )
    return redirect("mapping:entries")


def _preview_page(
    request: Request, text: str, kind: str, *, moved: str = "", status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {"kind": kind, "kinds": KINDS.items(), "moved": moved, "shown": SHOWN}
    try:
        made = plan(read(text, kind))
    except Unreadable as error:
        context["unreadable"] = str(error)
    else:
        context |= {
            "plan": made,
            "counts": {name: made.counts[name] for name in ("new", "changed", "same", "kept")},
            "problems": made.problems[:SHOWN],
            "rows": made.writes[:SHOWN],
        }
    return render(request, "mapping/import.html", context, status=status)


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    context = {
        "error": error,
        "kinds": KINDS.items(),
        "megabytes": MAX_BYTES // 2**20,
        "releases": Release.objects.values_list("number", flat=True)[:50],
    }
    return render(request, "mapping/exchange.html", context, status=status)


def keep(key: str, text: str) -> None:
    """Until it is imported. Packed, because the cache shares its memory with the queue of jobs."""
    cache.set(key, zlib.compress(text.encode()), KEPT_FOR)


def kept(key: str) -> str | None:
    packed = cache.get(key)
    return zlib.decompress(packed).decode() if packed is not None else None


def uploaded_text(request: Request) -> str:
    """Of the file, or else of the field to paste into. Raises Unreadable."""
    file = request.FILES.get("file")
    if file is None:
        text = request.POST.get("text", "")
        if not text.strip():
            raise Unreadable("Choose a file, or paste its text.")
        return decode(text.encode())
    if (file.size or 0) > MAX_BYTES:
        raise Unreadable(f"The file is larger than {MAX_BYTES // 2**20} MB.")
    return decode(file.read())


def download(content: str, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=f"{content_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _release(number: str) -> Release | None:
    if not number:
        return None
    if not number.isdecimal() or len(number) > 9:
        raise Http404("There is no such release.")
    return get_object_or_404(Release.objects.select_related("published_by"), number=number)


def _name(release: Release | None, ending: str) -> str:
    return f"scenetag-{f'release-{release.number}' if release else 'mapping'}.{ending}"


def _cache_key(request: Request, token: str) -> str:
    """Of this person only: an upload is nobody else's to see."""
    return f"mapping-import:{request.user.pk}:{token}"
