from __future__ import annotations

from functools import cache

from django.contrib.auth.decorators import login_not_required, permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hashtags_site.doctor.checks import CHECKS
from hashtags_site.doctor.findings import Examiner
from hashtags_site.health import Health, Readiness
from hashtags_site.pipeline import stations
from jobs.request import Request


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


@login_not_required
@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """This process answers, whatever else is away: starting it again would mend nothing."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """503 and the names of the parts that are missing, until the site is complete."""
    report, is_ready = _readiness().report()
    return JsonResponse(report, status=200 if is_ready else 503)


@require_safe
@permission_required("jobs.change_job", raise_exception=True)
def doctor(request: Request) -> HttpResponse:
    """What `manage.py doctor` finds, as this web process sees it."""
    return render(request, "doctor.html", {"findings": _examiner().examine()})


# At the first use: their threads are no threads of gunicorn's first process.
@cache
def _health() -> Health:
    return Health()


@cache
def _readiness() -> Readiness:
    return Readiness()


@cache
def _examiner() -> Examiner:
    return Examiner(CHECKS)
