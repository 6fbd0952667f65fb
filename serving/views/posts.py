"""Checked posts, for moderators: by score, as a file, looked at, and deleted with their author."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from formats.table import guard
from people.request import Request, read_form
from serving import posts as acts
from serving.forms import DeleteAuthorForm, PostsFilter
from serving.models import CheckedPost
from serving.said import add_said
from validation.forms.campaign import AskForm, what_is_asked

A_PAGE = 50


@require_safe
@permission_required("serving.view_checkedpost", raise_exception=True)
def posts(request: Request) -> HttpResponse:
    return _page(request, status=200)


@require_safe
@permission_required("serving.view_checkedpost", raise_exception=True)
def export(request: Request) -> HttpResponseBase:
    """The same posts. Wrong filters give 400 and no file."""
    form = PostsFilter(request.GET)
    if not form.is_valid():
        return _page(request, status=400)
    headers = {"Content-Disposition": 'attachment; filename="posts.csv"'}
    return StreamingHttpResponse(_lines(form), content_type="text/csv; charset=utf-8", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(("serving.view_checkedpost", "validation.add_campaign"), raise_exception=True)
def ask(request: Request) -> HttpResponse:
    """A campaign that asks people about the hashtags of these posts. Wrong filters lead back to the list."""
    chosen = PostsFilter(request.GET)
    query = request.GET.urlencode()
    try:
        if not chosen.is_valid():
            return redirect(f"{reverse('serving:posts')}?{query}")
        askable = acts.find_askable(chosen.posts())
    except acts.Refused as error:
        messages.error(request, str(error))
        return redirect(f"{reverse('serving:posts')}?{query}")
    form = AskForm(*read_form(request))
    if request.method == "POST" and form.is_valid():
        try:
            campaign = acts.ask_people(
                posts=chosen.posts(),
                seen=request.POST.get("seen", ""),
                by=request.user,
                **what_is_asked(form),
                **form.rules(),
            )
            return redirect(campaign)
        except acts.Refused as error:
            form.add_error(None, _("%(error)s There is no campaign yet.") % {"error": error})
        except IntegrityError:
            form.add_error("name", _("Campaign with this Name already exists."))
    context = {"form": form, "askable": askable, "query": query}
    return render(request, "serving/ask.html", context, status=422 if form.errors else 200)


@require_POST
@permission_required("serving.change_checkedpost", raise_exception=True)
def look_at(request: Request, pk: int) -> HttpResponse:
    try:
        is_new = acts.mark_looked_at(pk=pk, version=_number(request.POST.get("version")), by=request.user)
    except CheckedPost.DoesNotExist as error:
        raise Http404 from error
    except acts.Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Looked at.") if is_new else _("This post was looked at already."))
    return redirect(_back(request))


@require_POST
@permission_required("serving.delete_checkedpost", raise_exception=True)
def delete_author(request: Request) -> HttpResponse:
    form = DeleteAuthorForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Nothing was deleted: choose an author and a network."))
        return redirect("serving:posts")
    try:
        count = acts.delete_author(**form.cleaned_data, by=request.user)
    except acts.Refused as error:
        messages.error(request, str(error))
        return redirect(_back(request))
    words = ngettext("%(n)s post deleted.", "%(n)s posts deleted.", count) % {"n": count}
    messages.success(request, words if count else _("Nothing is kept of this author."))
    return redirect("serving:posts")


def _page(request: Request, *, status: int) -> HttpResponse:
    form = PostsFilter(request.GET)
    page = Paginator(form.posts().prefetch_related("hashtags"), A_PAGE).get_page(request.GET.get("page"))
    add_said(page)
    author = form.one_author
    context: dict[str, Any] = {
        "form": form,
        "page": page,
        "author": author,
        "sums": acts.sum_author(**author) if author else None,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
    }
    return render(request, "serving/posts.html", context, status=status)


def _back(request: Request) -> str:
    """The page from which a form was sent, with its filters."""
    url = request.POST.get("back", "")
    is_ours = url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None)
    return url if is_ours else "serving:posts"


def _number(text: str | None) -> int:
    """0, which no version has, if it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


class _Echo:
    def write(self, line: str) -> str:
        return line


def _lines(form: PostsFilter) -> Iterator[Any]:
    write = csv.writer(_Echo()).writerow
    for cells in acts.csv_rows(form.posts()):
        yield write(map(guard, cells))
