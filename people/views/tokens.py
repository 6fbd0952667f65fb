"""Tokens of programs: list, make, show the use of one, revoke."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework.settings import api_settings

from people import tokens as acts
from people import usage
from people.forms import TokenForm
from people.models import Token
from people.request import Request, read_form
from people.scopes import SCOPES

DAYS = 30  # of a chart


def _default_rate() -> str:
    return str(api_settings.DEFAULT_THROTTLE_RATES["suggest"])


@require_safe
@permission_required("people.change_token", raise_exception=True)
def tokens(request: Request) -> HttpResponse:
    rows = Token.objects.select_related("owner")
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    return render(request, "people/tokens.html", {"page": page, "default_rate": _default_rate()})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("people.add_token", raise_exception=True)
def new(request: Request) -> HttpResponse:
    """The key is in the answer to the form and nowhere else."""
    form = TokenForm(read_form(request)[0], by=request.user)
    if form.is_valid():
        try:
            token, key = _make(form, request)
        except acts.MadeAlready as error:
            messages.info(
                request, _("This token was made already. Its key was shown then, and cannot be shown again.")
            )
            return redirect("people:token", error.token.pk)
        except acts.NotMade as error:
            form.add_error("new_account" if form.owner is None else None, str(error))
        else:
            return render(request, "people/token_made.html", {"token": token, "key": key})
    rate_help = _("All requests of this token together, as 600/minute. Empty: %(rate)s for suggestions.") % {
        "rate": _default_rate()
    }
    context = {"form": form, "rate_help": rate_help}
    return render(request, "people/token_new.html", context, status=422 if form.is_bound else 200)


@transaction.atomic
def _make(form: TokenForm, request: Request) -> tuple[Token, str]:
    data = form.cleaned_data
    before = Token.objects.filter(request_id=data["request_id"]).first()
    if before:
        raise acts.MadeAlready(before)
    owner = form.owner or acts.make_program(name=data["new_account"], by=request.user)
    return acts.make(
        name=data["name"],
        owner=owner,
        scopes=data["scopes"],
        by=request.user,
        rate=data["rate"],
        expires_at=data["ends"],
        request_id=data["request_id"],
    )


@require_safe
@permission_required("people.change_token", raise_exception=True)
def token(request: Request, pk: int) -> HttpResponse:
    token = get_object_or_404(Token.objects.select_related("owner", "created_by", "revoked_by"), pk=pk)
    context = {
        "token": token,
        "scopes": [(scope, _(SCOPES[scope])) for scope in SCOPES if scope in token.scopes],
        "days": usage.by_day(token, DAYS),
        "addresses": usage.by_address(token, DAYS),
        "default_rate": _default_rate(),
    }
    return render(request, "people/token.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("people.change_token", raise_exception=True)
def revoke(request: Request, pk: int) -> HttpResponse:
    """Asks first: a program stops working."""
    token = get_object_or_404(Token.objects.select_related("owner"), pk=pk)
    if request.method != "POST":
        return render(request, "people/token_revoke.html", {"token": token})
    if acts.revoke(token=token, by=request.user):
        messages.success(
            request, _("“%(token)s” is revoked. Requests with it are refused from now on.") % {"token": token}
        )
    else:
        messages.info(request, _("“%(token)s” was revoked already.") % {"token": token})
    return redirect("people:token", token.pk)
