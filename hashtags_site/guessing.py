"""How often a wrong password or code may be tried, at every door that asks for one.

Wrong passwords are counted for one account from one address, for one address, and for one account. Each count
ends with its period of WRONG_PASSWORDS_PAUSE, so nobody is locked out for good. A browser in which the person
has signed in before has a count of its own, which others cannot use up.

Wrong codes of a second factor are counted for the account alone: who may try one has given its password, so a
browser of their own, or another address, must not give them new tries.
"""

from __future__ import annotations

import hashlib
import math
import time
import unicodedata
from collections.abc import Callable
from secrets import token_hex
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from rest_framework.exceptions import Throttled

from hashtags_site.refusals import wants_json
from people.backend import TeamBackend
from people.request import client_address

OVER_ALL = 5  # so many times as many from one address, and for one account
COOKIE = "known_browser"
COOKIE_SECONDS = 365 * 24 * 3600


class TooManyGuesses(Throttled):
    """A program reads it in JSON, a person on a page. seconds: how long to wait."""

    default_detail = "Too many wrong passwords."

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.seconds = math.ceil(wait)


class LimitedBackend(TeamBackend):
    """Checks passwords. Every door asks it, therefore the limit is here."""

    # Django's own does not ask `authenticate`.
    aauthenticate = BaseBackend.aauthenticate  # type: ignore[assignment]

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Raises PermissionDenied for a wrong password, and TooManyGuesses before it looks at one."""
        name = username or kwargs.get(get_user_model().USERNAME_FIELD)
        if request is None or not name or password is None:
            return super().authenticate(request, username, password, **kwargs)
        tries = Tries(request, name)
        tries.take()
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            raise PermissionDenied  # so that the backend of sessions does not look at the password again
        tries.give_back()
        return user


def _period() -> tuple[float, float]:
    """The present period, and the seconds that are left of it."""
    pause = settings.WRONG_PASSWORDS_PAUSE.total_seconds()
    period, passed = divmod(time.time(), pause)
    return period, pause - passed


class _Counts:
    limits: dict[str, int]  # key in the cache → limit
    wait: float  # seconds

    def take(self) -> None:
        """Raises TooManyGuesses at the first full count: a guess that is refused does not use up the next."""
        for key, limit in self.limits.items():
            if _count(key, 1) > limit:
                raise TooManyGuesses(self.wait)

    def give_back(self) -> None:
        for key in self.limits:
            _count(key, -1)


class CodeTries(_Counts):
    """Of codes of one person's second factor."""

    def __init__(self, user: User) -> None:
        period, self.wait = _period()
        self.limits = {f"guesses:{period:.0f}:codes:{user.pk}": settings.WRONG_PASSWORDS}


class Tries(_Counts):
    """Of one account from one browser or address. A try is taken before the password is looked at: otherwise
    guesses sent at once would all be let in."""

    def __init__(self, request: HttpRequest, name: str) -> None:
        account, address = _account(name), client_address(request)
        period, self.wait = _period()
        browser = request.get_signed_cookie(COOKIE, default="", salt=COOKIE, max_age=COOKIE_SECONDS) or ""
        if browser.partition(".")[0] == account:
            limits = {f"browser {browser}": settings.WRONG_PASSWORDS}
        else:
            limits = {
                f"account {account} from {address}": settings.WRONG_PASSWORDS,
                f"address {address}": settings.WRONG_PASSWORDS * OVER_ALL,
                f"account {account}": settings.WRONG_PASSWORDS * OVER_ALL,
            }
        digests = {hashlib.sha256(name.encode()).hexdigest(): limit for name, limit in limits.items()}
        self.limits = {f"guesses:{period:.0f}:{digest}": limit for digest, limit in digests.items()}


def _account(name: str) -> str:
    """The same for all ways of writing a name, and after the account is renamed."""
    name = unicodedata.normalize("NFKC", name).strip()
    users = get_user_model().objects.filter(username__iexact=name).order_by("pk")
    return str(users.values_list("pk", flat=True).first() or name.casefold())


def _count(key: str, change: int) -> int:
    """The new count. While Redis is away each process counts for itself: hashtags_site.cache."""
    cache.add(key, 0, timeout=settings.WRONG_PASSWORDS_PAUSE.total_seconds())
    return cache.incr(key, change)


class LimitGuesses:
    """Middleware: answers 429 to guesses, and marks a browser in which somebody has signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if pk := getattr(request, "signed_in", None):
            response.set_signed_cookie(
                COOKIE,
                f"{pk}.{token_hex(8)}",
                salt=COOKIE,
                max_age=COOKIE_SECONDS,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, TooManyGuesses):
            return None
        response: HttpResponse
        if wants_json(request):
            response = JsonResponse({"detail": str(error.detail)}, status=429)
        else:
            response = render(request, "429.html", {"minutes": math.ceil(error.seconds / 60)}, status=429)
        response["Retry-After"] = str(error.seconds)
        return response
