"""People: who they are, how they come in by a link, which roles they have, and how they go.

Guests of campaigns and accounts of programs are users, too, but no people: nobody signs in with them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import Group, User
from django.core import signing
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from people.deeds import record
from people.models import Invitation, Profile, Team
from people.tokens import PROGRAMS

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

ADMINISTRATOR = "administrator"  # the role that manages people
SALT = "people.invitations"
DAYS = 7  # that an invitation is valid
ROLES = {  # what each is for; a role without words is shown by its name
    gettext_noop("administrator"): gettext_noop(
        "manages people and tokens, sees what was done, and may do everything but vote"
    ),
    gettext_noop("trainer admin"): gettext_noop("registers photos, trains, promotes models, runs campaigns"),
    gettext_noop("curator"): gettext_noop("maps scene classes to hashtags, publishes releases"),
    gettext_noop("viewer"): gettext_noop("looks at everything, changes nothing"),
    gettext_noop("validator"): gettext_noop("says whether a hashtag fits a photo"),
}


class Refused(Exception):
    """Why nothing was changed; the message is for the person who asked."""


# --- reading ----------------------------------------------------------------------------------


def people() -> QuerySet[User]:
    """Everybody who signs in, by name."""
    program = Group.objects.filter(name=PROGRAMS, user=OuterRef("pk"))
    has_password = ~Q(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    # `guest` is of an app above; by its name the database finds it.
    rows = User.objects.filter(guest=None).filter(has_password | ~Exists(program))
    return rows.select_related("profile").prefetch_related("groups", "teams").order_by("username")


def administrators() -> QuerySet[User]:
    """Who may manage people, now."""
    return User.objects.filter(Q(is_superuser=True) | has_role(ADMINISTRATOR), is_active=True).distinct()


def has_role(name: str) -> Q:
    """Condition on people: they have the role themselves or by a team."""
    return Q(groups__name=name) | Q(teams__roles__name=name)


def role_names() -> list[str]:
    """Roles that a person may be given, the most powerful first."""
    names = Group.objects.exclude(name=PROGRAMS).order_by("name").values_list("name", flat=True)
    order = list(ROLES)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def roles_of(person: User) -> list[str]:
    """Their own, without those of their teams."""
    return sorted(group.name for group in person.groups.all())


def roles_by_team(person: User) -> dict[str, list[Team]]:
    """Role → the teams by which the person has it."""
    rows: dict[str, list[Team]] = {}
    for team in person.teams.prefetch_related("roles"):
        for role in team.roles.all():
            rows.setdefault(role.name, []).append(team)
    return dict(sorted(rows.items()))


# --- invitations ------------------------------------------------------------------------------


@transaction.atomic
def invite(
    *,
    roles: Collection[str],
    by: AbstractBaseUser | None,
    teams: Collection[Team] = (),
    note: str = "",
    days: int = DAYS,
    request_id: UUID | None = None,
) -> Invitation:
    """An invitation to one person; for a form that was sent before, the one it made. Raises Refused for a
    role that does not exist."""
    groups_of(roles)
    fields = {
        "roles": sorted(roles),
        "note": note,
        "created_by_id": by.pk if by else None,
        "ends_at": timezone.now() + timedelta(days=days),
    }
    invitation, new = Invitation.objects.get_or_create(request_id=request_id or uuid4(), defaults=fields)
    if new:
        invitation.teams.set(teams)
        record(by=by, what="invite", about=f"{invitation}: {words_of(invitation) or 'no role'}")
    return invitation


def words_of(invitation: Invitation, translate: Callable[[str], str] = str) -> str:
    """What whoever accepts it gets: roles, and teams in quotes. Empty for nothing."""
    teams = [f"“{team}”" for team in invitation.teams.all()]
    return ", ".join([*map(translate, invitation.roles), *teams])


def roles_by(invitation: Invitation) -> list[str]:
    """The roles that whoever accepts it has then: its own, and those of its teams."""
    by_team = Group.objects.filter(teams__invitations=invitation).values_list("name", flat=True)
    return sorted({*invitation.roles, *by_team})


@transaction.atomic
def make_administrator_link(*, site: str) -> str:
    """The address at which one person becomes an administrator, for a day. Earlier ones end."""
    earlier = open_invitations().filter(created_by=None)
    for invitation in earlier:
        withdraw(invitation=invitation, by=None)
    return site.rstrip("/") + path_of(invite(roles=[ADMINISTRATOR], by=None, note="From the server", days=1))


def path_of(invitation: Invitation) -> str:
    """The address of its link, signed; always the same."""
    return reverse("people:join", args=[signing.Signer(salt=SALT).sign_object(invitation.pk)])


def _unused() -> QuerySet[Invitation]:
    """Conditions on the rows themselves only: under an update of two at once, each is checked again."""
    return Invitation.objects.filter(used_at=None, withdrawn_at=None, ends_at__gt=timezone.now())


def open_invitations() -> QuerySet[Invitation]:
    """Without those of people who may invite nobody any more. The server's own have no creator."""
    rows = _unused()
    is_administrator = Q(created_by__is_superuser=True) | Q(
        created_by__in=User.objects.filter(has_role(ADMINISTRATOR))
    )
    rows = rows.filter(Q(created_by=None) | Q(created_by__is_active=True) & is_administrator)
    return rows.select_related("created_by").prefetch_related("teams")


def invitation_of(token: str) -> Invitation | None:
    """The invitation of a link; None if the link is forged, or was used or withdrawn, or has ended."""
    try:
        pk = signing.Signer(salt=SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return open_invitations().filter(pk=pk).first()


@transaction.atomic
def withdraw(*, invitation: Invitation, by: AbstractBaseUser | None) -> bool:
    """Make the link invalid. False if it already was."""
    if not _unused().filter(pk=invitation.pk).update(withdrawn_at=timezone.now()):
        return False
    record(by=by, what="withdraw invitation", about=invitation)
    return True


@transaction.atomic
def accept(*, invitation: Invitation, user: User, language: str = "") -> User:
    """Save the new user with the roles of the invitation. Raises Refused if it was used meanwhile."""
    is_open = open_invitations().filter(pk=invitation.pk).exists()
    if not is_open or not _unused().filter(pk=invitation.pk).update(used_at=timezone.now()):
        raise Refused(_("This link has been used meanwhile."))
    user.save()
    user.groups.set(Group.objects.filter(name__in=invitation.roles))
    user.teams.set(invitation.teams.all())
    Profile.objects.create(user=user, language=language, seen_at=timezone.now())
    Invitation.objects.filter(pk=invitation.pk).update(used_by=user)
    record(by=user, what="join", about=f"{invitation}: {words_of(invitation) or 'no role'}")
    return user


# --- roles, leaving, passwords ----------------------------------------------------------------


@transaction.atomic
def change_roles(*, person: User, roles: Collection[str], was: Sequence[str] | None, by: User) -> bool:
    """Give a person exactly these roles. `was`: those that the page showed. False if nothing changes.

    Raises Refused if somebody changed them meanwhile, and for one's own or the last administrator.
    """
    one_change_at_a_time()
    groups = groups_of(roles)
    before = roles_of(User.objects.get(pk=person.pk))
    after = sorted(roles)
    if before == after:
        return False
    check_may_change(person, by)
    if was is not None and before != sorted(was):
        raise Refused(
            _("%(person)s's roles were changed meanwhile: %(roles)s. Nothing was done.")
            % {"person": person, "roles": ", ".join(map(_, before)) or _("none")}
        )
    stays = ADMINISTRATOR in after or ADMINISTRATOR in roles_by_team(person)
    if ADMINISTRATOR in before and not stays:
        _check_may_go(person, by)
    person.groups.set(groups)
    record(
        by=by,
        what="change roles",
        about=f"{person}: {', '.join(before) or 'none'} → {', '.join(after) or 'none'}",
    )
    return True


@transaction.atomic
def deactivate(*, person: User, by: User) -> bool:
    """End all sessions and tokens of a person; what they did stays. False if that was done before.

    Raises Refused for oneself and for the last administrator.
    """
    one_change_at_a_time()
    if not User.objects.filter(pk=person.pk, is_active=True).exists():
        return False
    check_may_change(person, by)
    _check_may_go(person, by)
    User.objects.filter(pk=person.pk).update(is_active=False)
    record(by=by, what="deactivate", about=person)
    return True


@transaction.atomic
def activate(*, person: User, by: User) -> bool:
    """Let a person sign in again. False if they may already."""
    check_may_change(person, by)
    if not User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
        return False
    record(by=by, what="activate", about=person)
    return True


def groups_of(roles: Collection[str]) -> list[Group]:
    groups = list(Group.objects.filter(name__in=roles).exclude(name=PROGRAMS))
    missing = sorted(set(roles) - {group.name for group in groups})
    if missing:
        raise Refused(_("There is no role “%(role)s”.") % {"role": missing[0]})
    return groups


def one_change_at_a_time() -> None:
    """Two administrators who remove each other would otherwise leave none."""
    list(Group.objects.select_for_update().filter(name=ADMINISTRATOR))


def check_may_change(person: User, by: User) -> None:
    if person.is_superuser and not by.is_superuser:
        raise Refused(
            _("%(person)s is a superuser. Only a superuser may change that account.") % {"person": person}
        )


def _check_may_go(person: User, by: User) -> None:
    if person.pk == by.pk:
        raise Refused(_("You cannot do this to your own account. Ask another administrator."))
    if administrators().filter(pk=person.pk).exists() and not administrators().exclude(pk=person.pk).exists():
        raise Refused(
            _("%(person)s is the last administrator. Make somebody else one first.") % {"person": person}
        )
