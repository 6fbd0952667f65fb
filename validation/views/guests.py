"""The page behind a campaign's link. Opening it changes nothing, since robots open links to preview them."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from validation.models import Answer
from validation.people import guests
from validation.views.vote import language_for, may_vote
from validation.voting import assignment


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
        context = {"campaign": campaign, "can_switch": not campaign.language, "examples": _examples()}
        context["effort"] = assignment.effort(campaign)
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


def _examples() -> list[dict[str, str]]:
    """Two sample photos (samples/ATTRIBUTION.csv): no photo of the campaign, whose voters must not be led."""
    flickr = "http://farm{}.staticflickr.com/{}_z.jpg"
    photos = [
        (Answer.FITS, "beach", _("A beach by the sea"), flickr.format(1, "42/100911501_005e4d3aa8")),
        (
            Answer.DOES_NOT_FIT,
            "restaurant",
            _("A kitchen in a home"),
            flickr.format(9, "8376/8561578295_08827d4611"),
        ),
    ]
    return [
        {
            "image": static(f"validation/examples/{answer.value}.jpg"),
            "hashtag": hashtag,
            "alt": alt,
            "source": source,
            "sign": answer.button.sign,
            "label": _(answer.button.label),
        }
        for answer, hashtag, alt, source in photos
    ]
