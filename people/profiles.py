"""What a person chose: language and time zone. A session keeps them, so that no page asks the database."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation

from people.models import Profile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEY = "time_zone"


def profile_of(user: User) -> Profile:
    return Profile.objects.get_or_create(user=user)[0]


def language_of(user: User) -> translation.override:
    """A context for words to this person: in the language that they chose, otherwise as it is."""
    chosen = Profile.objects.filter(user=user).values_list("language", flat=True).first()
    return translation.override(chosen or translation.get_language())


def apply(profile: Profile, request: HttpRequest, response: HttpResponseBase) -> None:
    """From now on in this browser. The voters' pages take the language from Django's cookie."""
    request.session[KEY] = profile.time_zone
    if profile.language:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            profile.language,
            max_age=365 * 24 * 3600,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )
    elif settings.LANGUAGE_COOKIE_NAME in request.COOKIES:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)


def zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The time zone that this session's person chose; None if they chose none."""
    name = request.session.get(KEY)
    return ZoneInfo(name) if name else None
