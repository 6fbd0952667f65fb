"""One's own votes: how many in each campaign, and whether they count."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.http import require_safe

from people.request import Request
from validation.models import Participation, Standing
from validation.views.vote import language_for


@require_safe
@permission_required("validation.add_vote", raise_exception=True)
def my_votes(request: Request) -> HttpResponse:
    """Known answers are left out: who knows which they are no longer shows how carefully they look."""
    rows = Participation.objects.filter(person=request.user).select_related("campaign").order_by("-last_at")
    standing = Standing.objects.filter(person=request.user).first()
    with translation.override(language_for(request)):
        return render(request, "validation/my_votes.html", {"rows": rows, "standing": standing})
