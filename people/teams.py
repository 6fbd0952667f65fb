"""Teams: groups of people who have roles together. Whatever is done to one, somebody stays administrator."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from people import accounts
from people.accounts import Refused
from people.deeds import record
from people.models import Team


def teams() -> QuerySet[Team]:
    """All, with their roles and how many people are in each."""
    return Team.objects.annotate(people=Count("members")).prefetch_related("roles").order_by("name")


def roles_of(team: Team) -> list[str]:
    return sorted(team.roles.values_list("name", flat=True))


@transaction.atomic
def make_team(*, name: str, roles: Collection[str], by: User) -> Team:
    """A team without people. Raises Refused for a name that is taken and a role that does not exist."""
    groups = accounts.groups_of(roles)
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
    except IntegrityError:
        raise Refused(_("There is a team “%(name)s” already.") % {"name": name}) from None
    team.roles.set(groups)
    record(by=by, what="make team", about=f"“{team}”: {_words(roles)}")
    return team


@transaction.atomic
def change_team(*, team: Team, name: str, roles: Collection[str], was: Sequence[str], by: User) -> bool:
    """Give a team this name and exactly these roles. `was`: the roles that the page showed. False if nothing
    changes. Raises Refused if somebody changed the roles meanwhile, for a name that is taken, and if `by`
    would be no administrator any more.
    """
    row = _locked(team)
    groups, before = accounts.groups_of(roles), roles_of(row)
    if before == sorted(roles) and row.name == name:
        return False
    if before != sorted(was):
        raise Refused(
            _("The roles of “%(team)s” were changed meanwhile: %(roles)s. Nothing was done.")
            % {"team": row, "roles": ", ".join(map(_, before)) or _("no role")}
        )
    if Team.objects.filter(name=name).exclude(pk=row.pk).exists():
        raise Refused(_("There is a team “%(name)s” already.") % {"name": name})
    about = f"“{row}”: {_words(before)} → {_words(roles)}" + (f", now “{name}”" if name != row.name else "")
    row.name = name
    try:
        with transaction.atomic():
            row.save(update_fields=["name"])
    except IntegrityError:  # somebody was faster
        raise Refused(_("There is a team “%(name)s” already.") % {"name": name}) from None
    row.roles.set(groups)
    _check_stays_administrator(by)
    record(by=by, what="change team", about=about)
    return True


@transaction.atomic
def put_in(*, team: Team, person: User, by: User) -> bool:
    """False if the person is in the team already. Raises Refused."""
    row = _locked(team)
    accounts.check_may_change(person, by)
    if row.members.filter(pk=person.pk).exists():
        return False
    row.members.add(person)
    record(by=by, what="put in team", about=f"{person}, “{row}”")
    return True


@transaction.atomic
def take_out(*, team: Team, person: User, by: User) -> bool:
    """False if the person is not in the team. Raises Refused, also if `by` would be no administrator then."""
    row = _locked(team)
    accounts.check_may_change(person, by)
    if not row.members.filter(pk=person.pk).exists():
        return False
    row.members.remove(person)
    _check_stays_administrator(by)
    record(by=by, what="take out of team", about=f"{person}, “{row}”")
    return True


@transaction.atomic
def delete_team(*, team: Team, seen: str, by: User) -> None:
    """Delete a team; its people stay, without its roles. `seen`: the digest of what the page showed.

    Raises Refused if it changed meanwhile, and if `by` would be no administrator any more.
    """
    row = _locked(team)
    if digest_of(row) != seen:
        raise Refused(
            _("“%(team)s” was changed meanwhile: look at it again. Nothing was deleted.") % {"team": row}
        )
    about = f"“{row}”: {_words(roles_of(row))}; {row.members.count()} people"
    row.delete()
    _check_stays_administrator(by)
    record(by=by, what="delete team", about=about)


def digest_of(team: Team) -> str:
    members = team.members.order_by("pk").values_list("pk", flat=True)
    return f"{','.join(roles_of(team))};{','.join(map(str, members))}"


def _locked(team: Team) -> Team:
    """The team as it is now. One change of roles at a time: see accounts. Raises Refused if it is gone."""
    accounts.one_change_at_a_time()
    row = Team.objects.filter(pk=team.pk).first()
    if row is None:
        raise Refused(_("“%(team)s” was deleted meanwhile. Nothing was done.") % {"team": team})
    return row


def _check_stays_administrator(by: User) -> None:
    """Whoever changes a team is an administrator after it, so there always is one. Call it after the change,
    in its transaction, which Refused takes back.
    """
    if not accounts.administrators().filter(pk=by.pk).exists():
        raise Refused(
            _("You would be no administrator any more. Ask another administrator. Nothing was done.")
        )


def _words(roles: Collection[str]) -> str:
    return ", ".join(sorted(roles)) or "no role"
