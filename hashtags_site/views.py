from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hashtags_site.pipeline import stations


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The pipeline as stations. The template sends a person who may only vote straight to the photos."""
    return render(request, "home.html", {"stations": stations(request.user)})


@login_not_required
@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """For load balancers and `manage.py up`: 200 once the database answers."""
    connection.ensure_connection()
    return JsonResponse({"status": "ok"})
