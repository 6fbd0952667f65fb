"""What a request tells of its sender: the address for the history, that they are here, their time zone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from people.deeds import sent_from
from people.installation import of
from people.models import Profile
from people.profiles import zone_of
from people.request import sender_address

OFTEN = 300  # seconds between two notes that a person is here
REMEMBERED = 30 * 24 * 3600  # seconds


class Sender:
    """Middleware, after the one that asks people to sign in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with sent_from(sender_address(request)), timezone.override(timezone.get_default_timezone()):
            response = self.get_response(request)
        _note(request)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Pages that are open to everybody must not wait for the session, which is in the database."""
        if getattr(view, "login_required", True) and (zone := zone_of(request) or of(request).zone):
            timezone.activate(zone)


def _note(request: HttpRequest) -> None:
    """Write when the person was last here, every five minutes. The first time nothing is written: signing in
    is noted by Django."""
    user = getattr(request, "_cached_user", None)  # nobody has asked who it is: then we do not, either
    if user is None or not user.is_authenticated:
        return
    key, now = f"seen:{user.pk}", int(time.time())
    noted = cache.get(key)
    if noted is None or now - noted >= OFTEN:
        cache.set(key, now, timeout=REMEMBERED)
    if noted is not None and now - noted >= OFTEN:
        Profile.objects.filter(user_id=user.pk).update(seen_at=timezone.now())
