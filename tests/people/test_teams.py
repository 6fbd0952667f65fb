"""Teams: made, given roles, people put in and taken out, deleted; an administrator always stays."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from people import accounts, teams
from people.models import Deed, Team
from validation.views.vote import is_member

pytestmark = pytest.mark.django_db
UserFor = Callable[..., User]
ClientFor = Callable[..., Client]


@pytest.fixture
def chief(user_for: UserFor) -> User:
    return user_for("administrator", "chief")


@pytest.fixture
def team(chief: User) -> Team:
    return teams.make_team(name="Mappers", roles=["curator", "validator"], by=chief)


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]


def held(person: User, permission: str) -> bool:
    return User.objects.get(pk=person.pk).has_perm(permission)


def test_people_have_the_roles_of_their_teams(team: Team, chief: User, user_for: UserFor) -> None:
    ann = user_for("viewer", "ann")
    assert not held(ann, "mapping.publish_release")
    assert teams.put_in(team=team, person=ann, by=chief)
    assert not teams.put_in(team=team, person=ann, by=chief)
    assert held(ann, "mapping.publish_release")
    assert held(ann, "mapping.view_release")  # her own role stays
    assert is_member(User.objects.get(pk=ann.pk))
    assert not held(ann, "people.change_profile")
    assert accounts.roles_of(ann) == ["viewer"]
    assert list(accounts.roles_by_team(ann)) == ["curator", "validator"]
    assert teams.change_team(
        team=team, name="Mappers", roles=["curator"], was=["curator", "validator"], by=chief
    )
    assert not is_member(User.objects.get(pk=ann.pk))
    assert teams.take_out(team=team, person=ann, by=chief)
    assert not teams.take_out(team=team, person=ann, by=chief)
    assert not held(ann, "mapping.publish_release")
    assert held(ann, "mapping.view_release")
    acts = ["make team", "put in team", "change team", "take out of team"]
    assert list(Deed.objects.order_by("pk").values_list("what", flat=True)) == acts


def test_an_administrator_does_all_of_it_by_page(client_for: ClientFor, user_for: UserFor) -> None:
    client, ann = client_for("administrator"), user_for("nobody", "ann")
    sent = {"name": "Voters", "roles": ["validator"]}
    page = text(client.post("/people/teams/new/", sent, follow=True))
    assert "Put people into it" in page
    assert "already" in text(client.post("/people/teams/new/", sent))  # a repeated click makes no second
    team = Team.objects.get()
    here = f"/people/teams/{team.pk}/"
    assert "Saved" in text(client.post(f"{here}people/", {"person": ann.pk}, follow=True))
    assert "was so already" in text(client.post(f"{here}people/", {"person": ann.pk}, follow=True))
    assert "Choose a person" in text(client.post(f"{here}people/", {"person": 0}, follow=True))
    assert "Voters" in text(client.get("/people/"))
    assert "Also validator" in text(client.get(f"/people/{ann.pk}/"))
    shown = {"name": "Voters", "roles": ["curator"], "was": "validator"}
    assert "Saved" in text(client.post(here, shown, follow=True))
    stale = text(client.post(here, shown | {"roles": ["viewer"]}, follow=True))
    assert "were changed meanwhile: curator" in stale
    assert teams.roles_of(team) == ["curator"]
    out = f"{here}people/{ann.pk}/take-out/"
    seen = teams.digest_of(team)
    assert "Saved" in text(client.post(out, follow=True))
    assert "was so already" in text(client.post(out, follow=True))
    assert "was changed meanwhile" in text(client.post(f"{here}delete/", {"seen": seen}, follow=True))
    seen = teams.digest_of(team)
    assert "is deleted" in text(client.post(f"{here}delete/", {"seen": seen}, follow=True))
    assert "deleted already" in text(client.post(f"{here}delete/", {"seen": seen}, follow=True))
    assert client.post(out).status_code == 404
    assert User.objects.filter(pk=ann.pk).exists()


def test_names_and_roles_that_cannot_be_are_refused(team: Team, chief: User) -> None:
    with pytest.raises(accounts.Refused, match="There is a team “Mappers” already"):
        teams.make_team(name="Mappers", roles=[], by=chief)
    for role in ("king", "network"):  # the role of programs is no person's
        with pytest.raises(accounts.Refused, match=f"no role “{role}”"):
            teams.make_team(name="Others", roles=[role], by=chief)
    teams.make_team(name="Others", roles=[], by=chief)
    with pytest.raises(accounts.Refused, match="There is a team “Others” already"):
        teams.change_team(team=team, name="Others", roles=[], was=["curator", "validator"], by=chief)
    assert set(Team.objects.values_list("name", flat=True)) == {"Mappers", "Others"}


@pytest.mark.parametrize("way", ["delete", "roles", "take out"])
def test_the_last_administrator_is_not_lost_by_a_team(user_for: UserFor, way: str) -> None:
    ann = user_for("administrator", "ann")
    team = teams.make_team(name="Chiefs", roles=["administrator"], by=ann)
    teams.put_in(team=team, person=ann, by=ann)
    # She stays one by the team.
    assert accounts.change_roles(person=ann, roles=[], was=["administrator"], by=ann)
    ways: dict[str, Callable[[], object]] = {
        "delete": lambda: teams.delete_team(team=team, seen=teams.digest_of(team), by=ann),
        "roles": lambda: teams.change_team(
            team=team, name="Chiefs", roles=["viewer"], was=["administrator"], by=ann
        ),
        "take out": lambda: teams.take_out(team=team, person=ann, by=ann),
    }
    before = Deed.objects.count()
    with pytest.raises(accounts.Refused, match="You would be no administrator any more"):
        ways[way]()
    assert list(accounts.administrators()) == [ann]
    assert Deed.objects.count() == before
    with pytest.raises(accounts.Refused):
        accounts.deactivate(person=ann, by=ann)
    user_for("administrator", "bob")  # another administrator may take her out
    assert teams.take_out(team=team, person=ann, by=User.objects.get(username="bob"))
    assert [one.username for one in accounts.administrators()] == ["bob"]
    with pytest.raises(accounts.Refused):  # she was an administrator when she opened the page
        teams.delete_team(team=team, seen=teams.digest_of(team), by=ann)


def test_only_a_superuser_puts_a_superuser_in_or_out(team: Team, chief: User) -> None:
    root = User.objects.create_superuser("root")
    with pytest.raises(accounts.Refused, match="is a superuser"):
        teams.put_in(team=team, person=root, by=chief)
    assert teams.put_in(team=team, person=root, by=root)
    with pytest.raises(accounts.Refused, match="is a superuser"):
        teams.take_out(team=team, person=root, by=chief)


def test_an_invitation_names_teams(team: Team, chief: User, client_for: ClientFor) -> None:
    client = client_for("administrator", "chief")
    sent = {"note": "Bob", "teams": [team.pk], "days": 7, "request_id": str(uuid4())}
    assert "“Mappers”" in text(client.post("/people/invite/", sent, follow=True))
    [invitation] = accounts.open_invitations()
    page = text(client_for("stranger").get(accounts.path_of(invitation)))
    assert "Your roles: curator, validator." in page
    bob = accounts.accept(invitation=invitation, user=User(username="bob"))
    assert held(bob, "mapping.publish_release")
    assert accounts.roles_of(bob) == []
    assert Deed.objects.first().about == "Bob: “Mappers”"  # type: ignore[union-attr]


def test_invitations_of_an_administrator_by_team_are_open_until_they_are_taken_out(
    chief: User, user_for: UserFor
) -> None:
    ann = user_for("nobody", "ann")
    team = teams.make_team(name="Chiefs", roles=["administrator"], by=chief)
    teams.put_in(team=team, person=ann, by=chief)
    accounts.invite(roles=["viewer"], by=ann)
    assert accounts.open_invitations().count() == 1
    teams.take_out(team=team, person=ann, by=chief)
    assert accounts.open_invitations().count() == 0


def test_who_is_no_administrator_sees_and_changes_no_team(team: Team, client_for: ClientFor) -> None:
    here = f"/people/teams/{team.pk}/"
    for role in ("admin", "curator", "nobody"):
        client = client_for(role)
        assert client.get("/people/teams/").status_code == client.get(here).status_code == 403
        for path in (here, f"{here}people/", f"{here}delete/", "/people/teams/new/"):
            assert client.post(path).status_code == 403
    assert Client().post(f"{here}delete/").headers["Location"].startswith("/login/")
    assert Team.objects.count() == 1
