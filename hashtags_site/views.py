from __future__ import annotations

from functools import cache

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hashtags_site.health import Health
from hashtags_site.pipeline import stations


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The pipeline as stations. The template sends a person who may only vote straight to the photos."""
    return render(request, "home.html", {"stations": stations(request.user)})


@login_not_required
@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """For load balancers and `manage.py up`: 200 while the site can work, even if a part of it is away."""
    report, is_useful = _health().report()
    return JsonResponse(report, status=200 if is_useful else 503)


@cache
def _health() -> Health:
    return Health()  # at the first use: its threads are no threads of gunicorn's first process
