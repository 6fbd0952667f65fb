"""Campaigns that ask whether the hashtags of authors fit: a new one, its page, and the list of authors."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from formats.storage import StorageFailure
from formats.table import guard
from formats.texts import text_of
from notices.words import shown
from people.request import Request, read_form
from validation.agreement import posted
from validation.campaigns import acts
from validation.forms.campaign import AuthorsCampaignForm, what_is_asked
from validation.forms.intake import PhotoFilter
from validation.models import Campaign, GoldAnswer, Photo, PostedHashtag, Question
from validation.names import name_some
from validation.people import guests
from validation.photos.intake_table import TERMS, Rows
from validation.photos.store import PhotoRefused, take_in

PAGE = 50  # photos, authors
SOME = 5  # names in a message
FIELDS = ("author", "photos", "hashtags", "judged", "do_not_fit", "accused", "rightly", "wrongly")


# --- a new one --------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("validation.add_campaign", raise_exception=True)
def new(request: Request) -> HttpResponse:
    chosen = PhotoFilter(request.GET)
    if request.GET and not chosen.is_valid():
        return redirect(f"{reverse('validation:photos')}?{request.GET.urlencode()}")
    found = chosen.photos().shown() if chosen.has_changed() else None
    form = AuthorsCampaignForm(*read_form(request), owner=request.user, found=found)
    status = 422 if request.method == "POST" else 200
    if request.method == "POST" and form.is_valid():
        try:
            if campaign := _create(request, form):
                return redirect(campaign)
        except StorageFailure as error:
            form.add_error(
                "uploads",
                _("Photos cannot be stored: %(error)s. There is no campaign yet; try again later.")
                % {"error": shown(text_of(error))},
            )
            status = error.status
    n_found = found.count() if found is not None else None
    context = {"form": form, "found": n_found, "query": request.GET.urlencode()}
    return render(request, "validation/new_authors_campaign.html", context, status=status)


def _create(request: Request, form: AuthorsCampaignForm) -> Campaign | None:
    """None, and an error on the form, unless some photo carries its author's hashtags.

    Raises StorageFailure.
    """
    data = form.cleaned_data
    earlier = list(data["photos_of"].photos.shown()) if data["photos_of"] else []
    earlier += form.found or []
    rows = Rows(data["table"])
    names = [file.name or "photo" for file in data["uploads"]] + [photo.name for photo in earlier]
    if problem := _mismatch(rows, data["table"], names):
        form.add_error("table", _("%(problem)s Nothing was taken in.") % {"problem": problem})
        return None
    photos, hashtags, reasons = _take_in_all(request, data, rows)
    for photo in earlier:
        photos.append(photo)
        hashtags[photo.pk] = _terms(data["table"], rows, photo.name).get("hashtags", [])
    carrying = _carrying(photos, hashtags)
    if not carrying:
        words = _(
            "No photo carries a hashtag of its author: add a table, or choose photos that came with one."
        )
        form.add_error("table", " ".join([words, *reasons]))
        return None
    try:
        campaign = acts.create_authors_campaign(
            photos=carrying, hashtags=hashtags, by=request.user, **what_is_asked(form), **form.rules()
        )
    except IntegrityError:  # the same form was sent twice at once, and the other request created it
        return Campaign.objects.filter(name=data["name"]).first()
    for reason in reasons:
        messages.warning(request, _("Not taken in: %(reason)s") % {"reason": reason})
    if left := [photo.name for photo in photos if photo not in carrying]:
        messages.warning(
            request,
            _("Left out, because no hashtag of their author is known: %(left)s.") % {"left": _some(left)},
        )
    return campaign


def _mismatch(rows: Rows, table: dict[str, Any], names: list[str]) -> str:
    """What of the table cannot be told; empty if each row names photos, and each photo at most one row."""
    used: set[str] = set()
    for name in names:
        fits = rows.of(name)
        if len(fits) > 1:
            return _("Several rows may be about “%(name)s”: %(fits)s.") % {"name": name, "fits": _some(fits)}
        used.update(fits)
    if unused := [name for name in table if name not in used]:
        return _("The table names files that are not among the photos: %(unused)s.") % {
            "unused": _some(unused)
        }
    return ""


def _some(names: list[str]) -> str:
    return name_some([f"“{name[:100]}”" for name in names], most=SOME)


def _terms(table: dict[str, Any], rows: Rows, name: str) -> dict[str, Any]:
    return table[fits[0]] if (fits := rows.of(name)) else {}


def _take_in_all(
    request: Request, data: dict[str, Any], rows: Rows
) -> tuple[list[Photo], dict[int, list[str]], list[str]]:
    """The photos, their authors' hashtags, and why some were not taken in."""
    files: list[UploadedFile[Any]] = data["uploads"]
    photos: list[Photo] = []
    hashtags: dict[int, list[str]] = {}
    reasons: list[str] = []
    for file in files:
        name = file.name or "photo"
        own = _terms(data["table"], rows, name)
        terms = {field: own.get(field) or data.get(field) or "" for field in TERMS}
        try:
            photo = take_in(file=file, name=name, by=request.user, **terms)
        except PhotoRefused as error:
            reasons.append(str(error))
            continue
        photos.append(photo)
        hashtags[photo.pk] = [*hashtags.get(photo.pk, []), *own.get("hashtags", [])]
    return photos, hashtags, reasons


def _carrying(photos: list[Photo], hashtags: dict[int, list[str]]) -> list[Photo]:
    """Those with hashtags of their author, from the table or known before; each once."""
    pks = {photo.pk for photo in photos}
    known = set(Photo.objects.filter(pk__in=pks, author_hashtags__isnull=False).values_list("pk", flat=True))
    unique = {photo.pk: photo for photo in photos}
    return [photo for pk, photo in unique.items() if pk in known or hashtags.get(pk)]


# --- its page ---------------------------------------------------------------------------------


def page(request: Request, campaign: Campaign) -> HttpResponse:
    """Called by the page of any campaign."""
    findings = posted.find(campaign)
    rows = PostedHashtag.objects.of_campaign(campaign).select_related("hashtag", "photo").order_by("pk")
    only = request.GET.get("show", "")
    if only in ("accused", "doubtful"):
        rows = rows.filter(verdict=PostedHashtag.ACCUSED if only == "accused" else "doubtful")
    elif only:
        rows = rows.filter(hashtag__name=only)
    shown = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    link = guests.link(request, campaign) if request.user.has_perm("validation.change_campaign") else ""
    context = {
        "campaign": campaign,
        "findings": findings,
        "summary": findings,  # for what all kinds of campaigns share
        "photos": Campaign.photos.through.objects.filter(campaign_id=campaign.pk).count(),
        "unasked": posted.count_unasked(campaign),
        "promised": posted.PROMISED,
        "has_gold": not campaign.gold_share or GoldAnswer.objects.shown().exists(),
        "page": shown,
        "items": _with_votes(campaign, list(shown)),
        "only": only,
        "query": f"show={only}" if only else "",
        "link": link,
        "qr_code": guests.qr_code(link) if link else "",
    }
    return render(request, "validation/authors_campaign.html", context)


def _with_votes(campaign: Campaign, rows: list[PostedHashtag]) -> list[tuple[PostedHashtag, Question | None]]:
    """Each with its question, which has the counts."""
    questions = Question.objects.of_campaign(campaign).filter(photo__in=[row.photo_id for row in rows])
    by_pair = {(one.photo_id, one.hashtag_id): one for one in questions}
    return [(row, by_pair.get((row.photo_id, row.hashtag_id))) for row in rows]


# --- authors ----------------------------------------------------------------------------------


@require_safe
@permission_required("validation.change_campaign", raise_exception=True)
def authors(request: HttpRequest, pk: int) -> HttpResponse:
    """The authors and what people say of their hashtags, for a moderator."""
    campaign = _campaign(pk)
    rows = posted.find(campaign).authors
    shown = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return render(
        request, "validation/authors.html", {"campaign": campaign, "page": shown, "total": len(rows)}
    )


@require_safe
@permission_required("validation.change_campaign", raise_exception=True)
def export(request: HttpRequest, pk: int) -> HttpResponseBase:
    rows = posted.find(_campaign(pk)).authors
    headers = {"Content-Disposition": f'attachment; filename="campaign-{pk}-authors.csv"'}
    return StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8", headers=headers)


def _campaign(pk: int) -> Campaign:
    return get_object_or_404(Campaign, pk=pk, kind=Campaign.Kind.AUTHORS)


class _Echo:
    def write(self, line: str) -> str:
        return line


def _lines(rows: list[posted.Author]) -> Iterator[Any]:
    write = csv.writer(_Echo()).writerow
    yield write(FIELDS)
    for row in rows:
        counts = (row.photos, row.written, row.judged, row.misfits, row.accused, row.rightly, row.wrongly)
        yield write([guard(row.name), *map(str, counts)])
