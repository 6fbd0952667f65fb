"""Voting without an account: a signed link to one campaign creates a guest, who can only vote there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import segno
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from people.request import client_address
from validation.models import Campaign, Guest, Vote

SALT = "validation.guests"
AT_ONCE = 100  # guests deleted in one request


class NewGuests(SimpleRateThrottle):
    """How many guests one address may create: enough for a classroom, too few for a robot."""

    scope = "new_guests"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": client_address(request)}


class GuestVotes(SimpleRateThrottle):
    """How fast one guest may vote: faster than a person can look, slower than a script would like."""

    scope = "guest_votes"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}


def token(campaign: Campaign) -> str:
    """Always the same, so that the page keeps showing the link that was given away."""
    return signing.Signer(salt=SALT).sign_object([campaign.pk, campaign.link_version])


def link(request: HttpRequest, campaign: Campaign) -> str:
    """The address to give away; empty if only members may vote."""
    if campaign.audience != Campaign.Audience.LINK:
        return ""
    return request.build_absolute_uri(reverse("validation:join", args=[token(campaign)]))


def qr_code(link: str) -> str:
    """The link as a picture for phones, as a data: address of an SVG."""
    return str(segno.make(link, error="m").svg_data_uri(scale=4, border=2, light="white"))


def campaign_of(token: str) -> Campaign | None:
    """The campaign of a link; None if the link is forged or was renewed, or if only members may vote now."""
    try:
        pk, version = signing.Signer(salt=SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    rows = Campaign.objects.real().filter(pk=pk, link_version=version, audience=Campaign.Audience.LINK)
    return rows.first()


def is_guest(user: Any) -> bool:
    """Of any campaign, also by a link that was renewed."""
    return Guest.objects.filter(user_id=user.pk).exists()


@transaction.atomic
def make_guest(*, campaign: Campaign) -> User:
    """A user without password, role or name, who sees nothing of the site but this campaign."""
    _forget_who_never_voted()
    user = get_user_model().objects.create_user(username=f"guest-{uuid4().hex[:12]}", password=None)
    Guest.objects.create(user=user, campaign=campaign, link_version=campaign.link_version)
    return user


def _forget_who_never_voted() -> None:
    """Delete guests without a vote whose session has ended: nobody can use them any more."""
    guests = Guest.objects.filter(
        ~Exists(Vote.objects.filter(person_id=OuterRef("user_id"))),
        created_at__lt=timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE),
        user__password__startswith=UNUSABLE_PASSWORD_PREFIX,
        user__groups=None,
    )
    user_pks = list(guests.values_list("user_id", flat=True)[:AT_ONCE])
    get_user_model().objects.filter(pk__in=user_pks).delete()
