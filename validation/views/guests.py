"""The page behind a campaign's link. Opening it changes nothing, since robots open links to preview them."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from validation.people import guests
from validation.views.vote import language_for, may_vote


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    campaign = guests.campaign_of(token)
    with translation.override(language_for(request, campaign)):
        if campaign is None:
            return render(request, "validation/join.html", {"gone": True}, status=404)
        if request.user.is_authenticated and may_vote(request.user, campaign):
            return redirect("validation:vote", campaign.pk)
        if request.user.is_authenticated and not guests.is_guest(request.user):
            # Signing them in as a guest would sign them out of their own account.
            return render(request, "validation/join.html", {"campaign": campaign, "member": True}, status=403)
        context = {"campaign": campaign, "can_switch": not campaign.language}
        if request.method == "POST" and campaign.takes_votes:
            if not guests.NewGuests().allow_request(request, None):  # type: ignore[arg-type]
                return render(request, "validation/join.html", context | {"crowded": True}, status=429)
            login(
                request,
                guests.make_guest(campaign=campaign),
                backend="django.contrib.auth.backends.ModelBackend",
            )
            return redirect("validation:vote", campaign.pk)
        return render(request, "validation/join.html", context)
