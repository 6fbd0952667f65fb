from __future__ import annotations

from functools import cache

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from hashtags_site import setup
from hashtags_site.doctor.checks import CHECKS
from hashtags_site.doctor.findings import Examiner
from hashtags_site.forms import SiteForm
from hashtags_site.health import Health, Readiness
from hashtags_site.pipeline import stations
from people.models import Installation
from people.request import Request, read_form
from validation.models import Guest


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The pipeline as stations. The template sends a person who may only vote straight to the photos; a guest
    is sent to their campaign.
    """
    guest = Guest.objects.filter(user_id=request.user.pk or 0).first()
    if guest:
        return redirect("validation:vote", guest.campaign_id)
    if request.user.has_perm("people.change_profile") and setup.is_pending():
        return redirect("setup")
    return render(request, "home.html", {"stations": stations(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("people.change_profile", raise_exception=True)
def setup_site(request: Request) -> HttpResponse:
    """The first time: what is loaded, too."""
    is_first = setup.is_pending()
    row = Installation.objects.first()
    initial = {"name": row.name, "time_zone": row.time_zone, "language": row.language} if row else {}
    form = SiteForm(read_form(request)[0], is_first=is_first, initial=initial)
    if form.is_valid():
        chosen = {"mapping": setup.SUN397, "starter": setup.NONE} | form.cleaned_data
        job = setup.save(by=request.user, **chosen)
        messages.success(request, "Saved.")
        return redirect(job or ("home" if is_first else "setup"))
    context = {"form": form, "is_first": is_first}
    return render(request, "setup.html", context, status=422 if form.is_bound else 200)


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
