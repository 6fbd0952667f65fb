"""Results that leave the site: exports, a figure for slides, and a public page behind a link."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from people.request import Request
from validation.agreement import exports, results
from validation.agreement.figure import figure_svg
from validation.campaigns import acts
from validation.models import Campaign
from validation.statistics.rate import FEW
from validation.views.agreement import THESIS
from validation.views.made_up import only_real

FORMATS: dict[str, tuple[Callable[[Campaign], Iterator[str]], str]] = {
    "csv": (exports.as_csv, "text/csv; charset=utf-8"),
    "json": (exports.as_json, "application/json"),
}


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def export(request: HttpRequest, pk: int, kind: str) -> HttpResponseBase:
    """The campaign's votes without identities, streamed."""
    campaign = get_object_or_404(Campaign, pk=pk)
    lines, content_type = FORMATS[kind]
    headers = {"Content-Disposition": f'attachment; filename="{_name(campaign)}-votes.{kind}"'}
    return StreamingHttpResponse(lines(campaign), content_type=content_type, headers=headers)


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def figure(request: HttpRequest, pk: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign.objects.predicted(), pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="{_name(campaign)}-agreement.svg"'}
    note = " (made-up votes: nobody real has voted)" if campaign.is_made_up else ""
    svg = figure_svg(results.summarise(campaign), title=f"{campaign.name}{note}")
    return HttpResponse(svg, content_type="image/svg+xml", headers=headers)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def publish(request: Request, pk: int, is_public: bool) -> HttpResponse:
    campaign = get_object_or_404(Campaign.objects.predicted(), pk=pk)  # others have no public page
    has_changed = acts.set_public(campaign=campaign, is_public=is_public, by=request.user)
    if is_public:
        words = (
            _("The result of “%(campaign)s” is public: whoever has its link may read it.")
            if has_changed
            else _("It was public: whoever has its link may read it already.")
        )
    else:
        words = _("The result of “%(campaign)s” is private.") if has_changed else _("It was private already.")
    messages.success(request, words % {"campaign": campaign})
    return redirect(f"{reverse('validation:share', args=[pk])}")


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def share(request: HttpRequest, pk: int) -> HttpResponse:
    """What can be exported or shared from a campaign."""
    campaign = get_object_or_404(Campaign, pk=pk)
    link = request.build_absolute_uri(reverse("validation:public", args=[exports.public_token(campaign)]))
    context = {"campaign": campaign, "link": link, "fields": exports.FIELDS}
    return render(request, "validation/share.html", context)


@require_safe
@login_not_required
def public(request: HttpRequest, token: str) -> HttpResponse:
    """The result for everybody who has the link, without photos and people, hidden from search engines."""
    campaign = exports.public_campaign(token)
    if campaign is None:
        raise Http404(_("There is no public result at this address."))
    context = {
        "campaign": campaign,
        "summary": results.summarise(campaign),
        "thesis": THESIS,
        "few": FEW,
    }
    response = render(request, "validation/public.html", context)
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "no-referrer"  # the address is the key
    response["Cache-Control"] = "private, max-age=60"
    return response


def _name(campaign: Campaign) -> str:
    return slugify(campaign.name) or f"campaign-{campaign.pk}"
