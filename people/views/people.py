"""People: list, invite, one person's roles, deactivate, a link to a new password."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from people import accounts, reset_links
from people.forms import InvitationForm, RolesForm
from people.models import Invitation
from people.request import Request, read_form
from people.signin import addresses, factors
from people.signin.forms import AddressForm

may_manage = permission_required("people.change_profile", raise_exception=True)


@require_safe
@may_manage
def people(request: Request) -> HttpResponse:
    page = Paginator(accounts.people(), 50).get_page(request.GET.get("page"))
    invitations = [
        (
            invitation,
            accounts.words_of(invitation, _),
            request.build_absolute_uri(accounts.path_of(invitation)),
        )
        for invitation in accounts.open_invitations()[:50]
    ]
    return render(request, "people/people.html", {"page": page, "invitations": invitations})


@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def invite(request: Request) -> HttpResponse:
    form = InvitationForm(read_form(request)[0])
    if form.is_valid():
        accounts.invite(by=request.user, **form.cleaned_data)
        messages.success(request, _("Give this link to one person. It works once."))
        return redirect("people:people")
    return render(request, "people/invite.html", {"form": form}, status=422 if form.is_bound else 200)


@require_POST
@may_manage
def withdraw(request: Request, pk: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, pk=pk)
    if accounts.withdraw(invitation=invitation, by=request.user):
        messages.success(request, _("The invitation is withdrawn. Its link no longer works."))
    else:
        messages.info(request, _("This invitation was used, withdrawn or over already."))
    return redirect("people:people")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def person(request: Request, pk: int) -> HttpResponse:
    person = get_object_or_404(accounts.people(), pk=pk)
    if request.method == "POST":
        form = RolesForm(request.POST)
        if not form.is_valid():
            return _page(request, person, form, status=422)
        return _do(
            request,
            person,
            lambda: accounts.change_roles(person=person, by=request.user, **form.cleaned_data),
        )
    roles = accounts.roles_of(person)
    return _page(request, person, RolesForm(initial={"roles": roles, "was": ",".join(roles)}))


def _page(
    request: Request, person: User, form: RolesForm, *, status: int = 200, link: str = ""
) -> HttpResponse:
    by_team = accounts.roles_by_team(person)
    context = {"person": person, "form": form, "link": link, "by_team": by_team.items()}
    context |= {"address": addresses.address_of(person), "has_factor": factors.has_one(person)}
    return render(request, "people/person.html", context, status=status)


def _do(request: Request, person: User, act: Callable[[], bool]) -> HttpResponse:
    try:
        if act():
            messages.success(request, _("Saved."))
        else:
            messages.info(request, _("Nothing has changed: it was so already."))
    except accounts.Refused as error:
        messages.error(request, str(error))
    return redirect("people:person", person.pk)


@require_POST
@may_manage
def set_active(request: Request, pk: int, is_active: bool) -> HttpResponse:
    person = get_object_or_404(accounts.people(), pk=pk)
    act = accounts.activate if is_active else accounts.deactivate
    return _do(request, person, lambda: act(person=person, by=request.user))


@require_POST
@may_manage
def set_address(request: Request, pk: int) -> HttpResponse:
    """It counts at once: the administrator vouches for it."""
    person = get_object_or_404(accounts.people(), pk=pk)
    form = AddressForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("This is no e-mail address. Nothing was changed."))
        return redirect("people:person", person.pk)
    address = form.cleaned_data["address"]
    return _do(
        request, person, lambda: addresses.set_address(person=person, address=address, by=request.user)
    )


@require_POST
@may_manage
def take_away_factor(request: Request, pk: int) -> HttpResponse:
    person = get_object_or_404(accounts.people(), pk=pk)
    return _do(request, person, lambda: factors.take_away(person=person, by=request.user))


@never_cache
@require_POST
@may_manage
def reset(request: Request, pk: int) -> HttpResponse:
    person = get_object_or_404(accounts.people(), pk=pk)
    try:
        link = request.build_absolute_uri(reset_links.make_link(person=person, by=request.user))
    except accounts.Refused as error:
        messages.error(request, str(error))
        return redirect("people:person", person.pk)
    roles = accounts.roles_of(person)
    return _page(request, person, RolesForm(initial={"roles": roles, "was": ",".join(roles)}), link=link)
