"""Teams: list, make, one team's name, roles and people, delete."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from people import teams as acts
from people.accounts import Refused
from people.forms import MemberForm, TeamForm
from people.models import Team
from people.request import Request, read_form
from people.views.people import may_manage


@require_safe
@may_manage
def teams(request: Request) -> HttpResponse:
    return render(request, "people/teams.html", {"teams": acts.teams()})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def new(request: Request) -> HttpResponse:
    form = TeamForm(read_form(request)[0])
    if form.is_valid():
        name, roles = form.cleaned_data["name"], form.cleaned_data["roles"]
        try:
            team = acts.make_team(name=name, roles=roles, by=request.user)
        except Refused as error:  # a repeated click, too: the name is taken by then
            form.add_error("name", str(error))
        else:
            messages.success(request, _("The team is made. Put people into it."))
            return redirect(team)
    return render(request, "people/new_team.html", {"form": form}, status=422 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def team(request: Request, pk: int) -> HttpResponse:
    row = get_object_or_404(Team, pk=pk)
    if request.method == "POST":
        form = TeamForm(request.POST)
        if not form.is_valid():
            return _page(request, row, form, status=422)
        return _do(request, row, lambda: acts.change_team(team=row, by=request.user, **form.cleaned_data))
    roles = acts.roles_of(row)
    return _page(request, row, TeamForm(initial={"name": row.name, "roles": roles, "was": ",".join(roles)}))


def _page(request: Request, row: Team, form: TeamForm, *, status: int = 200) -> HttpResponse:
    context = {
        "team": row,
        "form": form,
        "members": row.members.order_by("username"),
        "member_form": MemberForm(team=row),
        "seen": acts.digest_of(row),
    }
    return render(request, "people/team.html", context, status=status)


def _do(request: Request, row: Team, act: Callable[[], bool]) -> HttpResponse:
    try:
        if act():
            messages.success(request, _("Saved."))
        else:
            messages.info(request, _("Nothing has changed: it was so already."))
    except Refused as error:
        messages.error(request, str(error))
    return redirect(row) if Team.objects.filter(pk=row.pk).exists() else redirect("people:teams")


@require_POST
@may_manage
def put_in(request: Request, pk: int) -> HttpResponse:
    row = get_object_or_404(Team, pk=pk)
    form = MemberForm(request.POST, team=row)
    if not form.is_valid():
        messages.error(request, _("Choose a person who signs in here. Nothing was changed."))
        return redirect(row)
    person = form.cleaned_data["person"]
    return _do(request, row, lambda: acts.put_in(team=row, person=person, by=request.user))


@require_POST
@may_manage
def take_out(request: Request, pk: int, person_pk: int) -> HttpResponse:
    row, person = get_object_or_404(Team, pk=pk), get_object_or_404(User, pk=person_pk)
    return _do(request, row, lambda: acts.take_out(team=row, person=person, by=request.user))


@require_POST
@may_manage
def delete(request: Request, pk: int) -> HttpResponse:
    row = Team.objects.filter(pk=pk).first()
    if row is None:
        messages.info(request, _("This team is deleted already."))
        return redirect("people:teams")
    try:
        acts.delete_team(team=row, seen=request.POST.get("seen", ""), by=request.user)
    except Refused as error:
        messages.error(request, str(error))
        return redirect(row)
    messages.success(request, _("“%(team)s” is deleted. Its people stay, without its roles.") % {"team": row})
    return redirect("people:teams")
