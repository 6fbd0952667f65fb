"""Export and import: download the mapping; upload a class list or a mapping, preview it, import it."""

from __future__ import annotations

import secrets
import zlib
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.cache import caches
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from formats.numbers import read_number
from formats.table import Unreadable
from jobs.broker import reach
from mapping.files.classlists import MAX_BYTES, decode
from mapping.files.exchange import KINDS, detect, export_rows, read, to_csv, to_json, to_sssom
from mapping.files.importing import PlanHasProblems, PlanMoved, apply, plan
from mapping.models import Release
from people.request import Request

SHOWN = 100  # rows in each table of a preview; the rest is only counted
KEEP_SECONDS = 2 * 60 * 60  # from upload to import


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def exchange(request: Request) -> HttpResponse:
    return _page(request)


@require_safe
@permission_required("mapping.view_sceneclass", raise_exception=True)
def export(request: Request, kind: str) -> HttpResponse:
    """Download the present mapping, or the release that ?release=n names."""
    if kind not in ("csv", "json", "sssom"):
        raise Http404(_("There is no such format."))
    release = _release(request.GET.get("release", ""))
    rows = export_rows(release)
    if kind == "csv":  # the byte order mark tells spreadsheets that the file is UTF-8
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
    """Store the uploaded text for a while and redirect to its preview. Reads `file`, or else `text`."""
    try:
        text = uploaded_text(request)
    except Unreadable as error:
        return _page(request, error=_(str(error)), status=400)
    token = secrets.token_urlsafe(12)
    store_text(_cache_key(request, token), text)
    return redirect("mapping:import", token=token)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("mapping.change_mappingentry", raise_exception=True)
def preview(request: Request, token: str) -> HttpResponse:
    """Preview the import. POST carries it out if the plan is still the one that `seen` names."""
    text = load_text(_cache_key(request, token))
    if text is None:
        messages.warning(request, _("This upload has expired. Choose the file again."))
        return redirect("mapping:exchange")
    kind = request.POST.get("kind") or request.GET.get("kind") or detect(text)
    if kind not in KINDS:
        raise Http404(_("There is no such kind of file."))
    if request.method == "POST":
        return _import(request, text, kind)
    return _preview_page(request, text, kind)


def _import(request: Request, text: str, kind: str) -> HttpResponse:
    user = request.user
    assert isinstance(user, AbstractBaseUser)
    try:
        change = apply(class_list=read(text, kind), seen=request.POST.get("seen", ""), by=user)
    except (Unreadable, PlanHasProblems):
        return _preview_page(request, text, kind, status=400)
    except PlanMoved:
        words = _(
            "The mapping changed while you were reading. Nothing was imported. Below is the new preview."
        )
        return _preview_page(request, text, kind, moved=words, status=409)
    if change is None:
        messages.info(request, _("The mapping already contains all of this. Nothing was changed."))
    else:
        n = len(change.before)
        words = ngettext(
            "Imported: answers of %(n)s class are new or changed.",
            "Imported: answers of %(n)s classes are new or changed.",
            n,
        )
        messages.success(request, words % {"n": intcomma(n)})
    return redirect("mapping:entries")


def _preview_page(
    request: Request, text: str, kind: str, *, moved: str = "", status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {"kind": kind, "kinds": KINDS.items(), "moved": moved, "limit": SHOWN}
    try:
        import_plan = plan(read(text, kind))
    except Unreadable as error:
        context["unreadable"] = _(str(error))
    else:
        context |= {
            "plan": import_plan,
            "counts": {name: import_plan.counts[name] for name in ("new", "changed", "same", "kept")},
            "problems": import_plan.problems[:SHOWN],
            "notes": import_plan.notes[:SHOWN],
            "rows": import_plan.writes[:SHOWN],
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


def store_text(key: str, text: str) -> None:
    """Store the text until it is imported; compressed, because the cache shares memory with the job queue.
    Raises BrokerAway.
    """
    with reach():
        caches["shared"].set(key, zlib.compress(text.encode()), KEEP_SECONDS)


def load_text(key: str) -> str | None:
    """The stored text, or None if it has expired. Raises BrokerAway."""
    with reach():
        content = caches["shared"].get(key)
    return zlib.decompress(content).decode() if content is not None else None


def uploaded_text(request: Request) -> str:
    """The text of the uploaded file, or else of the text field. Raises Unreadable."""
    file = request.FILES.get("file")
    if file is None:
        text = request.POST.get("text", "")
        if not text.strip():
            raise Unreadable(_("Choose a file, or paste its text."))
        return decode(text.encode())
    if (file.size or 0) > MAX_BYTES:
        raise Unreadable(_("The file is larger than %(n)s MB.") % {"n": MAX_BYTES // 2**20})
    return decode(file.read())


def download(content: str, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=f"{content_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _release(text: str) -> Release | None:
    if not text:
        return None
    return get_object_or_404(Release.objects.select_related("published_by"), number=read_number(text))


def _name(release: Release | None, ending: str) -> str:
    return f"scenetag-{f'release-{release.number}' if release else 'mapping'}.{ending}"


def _cache_key(request: Request, token: str) -> str:
    """The key contains the user, because nobody else may see the upload."""
    return f"mapping-import:{request.user.pk}:{token}"
