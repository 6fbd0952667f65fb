from __future__ import annotations

from functools import cache

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from hashtags_site import search, setup
from hashtags_site.doctor.checks import CHECKS
from hashtags_site.doctor.findings import Examiner
from hashtags_site.forms import SiteForm
from hashtags_site.health import Health, Readiness
from hashtags_site.pipeline import stations
from people.models import Installation
from people.request import Request, read_form
from validation.models import Guest
from validation.views.made_up import offer


@require_safe
def home(request: Request) -> HttpResponse:
    """The pipeline as stations. The template sends a person who may only vote straight to the photos; a guest
    is sent to their campaign.
    """
    guest = Guest.objects.filter(user_id=request.user.pk or 0).first()
    if guest:
        return redirect("validation:vote", guest.campaign_id)
    if request.user.has_perm("people.change_profile") and setup.is_pending():
        return redirect("setup")
    return render(request, "home.html", {"stations": stations(request.user)} | offer(request))


@require_safe
@vary_on_headers("HX-Request")
@permission_required("mapping.view_sceneclass", raise_exception=True)
def search_page(request: Request) -> HttpResponse:
    """What has these words in its name; for htmx only the results."""
    words = search.clean(request.GET.get("q", ""))
    context = {"words": words, "groups": search.search(words, request.user), "is_search": True}
    return render(request, "_found.html" if request.htmx else "search.html", context)


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
        messages.success(request, _("Saved."))
        return redirect(job or ("home" if is_first else "setup"))
    context = {"form": form, "is_first": is_first}
    return render(request, "setup.html", context, status=422 if form.is_bound else 200)


@login_not_required
@require_safe
def api(request: HttpRequest) -> HttpResponse:
    """What programs can ask, how they get a token, and examples to paste."""
    address = request.build_absolute_uri(reverse("api_suggest"))
    return render(request, "api.html", {"address": address, "key": "YOUR_KEY"})


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
