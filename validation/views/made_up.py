"""The made-up crowd: let it vote, remove it, and refuse what would change it as if it were real."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from formats.numbers import read_number
from people.request import Request
from validation import made_up
from validation.models import Campaign, Photo

SAFE = ("GET", "HEAD", "OPTIONS")


@require_POST
@permission_required("validation.add_campaign", raise_exception=True)
def make(request: Request) -> HttpResponse:
    try:
        campaign, is_new = made_up.make(by=request.user)
    except made_up.CannotMakeUp as error:
        messages.warning(request, str(error))
        return redirect("validation:agreement")
    if is_new and campaign.job:
        return redirect(campaign.job)
    messages.info(request, _("The made-up crowd is there already."))
    return redirect(dashboard_of(campaign))


@require_POST
@permission_required("validation.delete_campaign", raise_exception=True)
def remove(request: Request) -> HttpResponse:
    seen = read_number(request.POST.get("seen"))
    if seen is not None and made_up.remove_all(seen=seen, by=request.user):
        messages.success(
            request, _("The made-up crowd is gone, with all its votes. Nothing real was removed.")
        )
    else:
        messages.info(request, _("This made-up crowd was removed already. Nothing was done."))
    return redirect("validation:agreement")


def dashboard_of(campaign: Campaign) -> str:
    return f"{reverse('validation:agreement')}?campaign={campaign.pk}"


def offer(request: Request) -> dict[str, object]:
    """What the card on the dashboard and the home page shows."""
    may_look = request.user.has_perm("validation.view_vote")
    campaign = made_up.campaign() if may_look else None
    return {"made_up": campaign, "offers_made_up": may_look and settings.DEMO and campaign is None}


def only_real(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A made-up campaign (its key is `pk`) can be looked at and removed, but not changed."""

    @wraps(view)
    def guarded(request: Request, pk: int, **more: object) -> HttpResponseBase:
        campaign = None if request.method in SAFE else Campaign.objects.made_up().filter(pk=pk).first()
        if campaign is None:
            return view(request, pk, **more)
        messages.warning(
            request,
            _("“%(campaign)s” is made up: it can only be removed. Nothing was changed.")
            % {"campaign": campaign},
        )
        return redirect(campaign)

    return guarded


def only_real_photo(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The same for a photo of the made-up campaign."""

    @wraps(view)
    def guarded(request: Request, pk: int) -> HttpResponseBase:
        if request.method in SAFE or not Photo.objects.filter(pk=pk, campaigns__is_made_up=True).exists():
            return view(request, pk)
        words = _("This photo is a copy for the made-up crowd. Nothing was changed: open the original.")
        messages.warning(request, words)
        return redirect("validation:photo_page", pk)

    return guarded
