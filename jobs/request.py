"""The request that views of signed-in people get, with the types that Django's stubs cannot know."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class Request(HttpRequest):
    """For annotations only. LoginRequiredMiddleware lets nobody else in, and HtmxMiddleware adds `htmx`."""

    user: User
    htmx: HtmxDetails
