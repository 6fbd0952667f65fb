"""People: invited by a link, given roles, deactivated, given a new password; and their own profile."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.utils import timezone

from people import accounts, reset_links
from people.models import Deed, Invitation, Profile
from tests.conftest import api_key
from tests.validation.conftest import hashtags, model  # noqa: F401
from trainer.models import TrainedModel
from validation.models import Campaign, Participation
from validation.people import crowd
from validation.people.guests import make_guest

pytestmark = pytest.mark.django_db
UserFor = Callable[..., User]
ClientFor = Callable[..., Client]
PASSWORD = "correct horse 5"


def join_form(**fields: str) -> dict[str, str]:
    return {"username": "ann", "first_name": "Ann", "password1": PASSWORD, "password2": PASSWORD} | fields


def texts(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]


# --- invitations ------------------------------------------------------------------------------


def test_link_makes_one_account_with_its_roles(client_for: ClientFor) -> None:
    sent = {"note": "Ann", "roles": ["curator", "validator"], "days": 7, "request_id": str(uuid4())}
    client = client_for("administrator")
    page = texts(client.post("/people/invite/", sent, follow=True))
    client.post("/people/invite/", sent)  # a repeated click
    assert Invitation.objects.count() == 1
    [path] = set(re.findall(r"http://testserver(/people/join/[^\"]+)", page))
    ann = Client()
    assert ann.get(path).status_code == 200  # as robots do, which changes nothing
    assert ann.post(path, join_form(), follow=True).redirect_chain == [("/", 302)]
    user = User.objects.get(username="ann")
    assert accounts.roles_of(user) == ["curator", "validator"]
    assert user.has_perm("mapping.publish_release")
    assert Client().get(path).status_code == 404
    assert Client().post(path, join_form(username="bob")).status_code == 404
    assert not User.objects.filter(username="bob").exists()
    assert list(Deed.objects.values_list("by_name", "what")) == [("ann", "join"), ("administrator", "invite")]


def test_link_that_is_forged_withdrawn_or_over_does_nothing(client_for: ClientFor) -> None:
    client = client_for("administrator")
    invitation = accounts.invite(roles=["administrator"], by=None)
    path = accounts.path_of(invitation)
    assert Client().post(path[:-3] + "xx/", join_form()).status_code == 404
    assert client.post(path, join_form()).status_code == 403  # somebody who is signed in
    Invitation.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert Client().post(path, join_form()).status_code == 404
    Invitation.objects.update(ends_at=timezone.now() + timedelta(days=1))
    assert Client().get(path).status_code == 200
    withdraw = f"/people/invitations/{invitation.pk}/withdraw/"
    assert "is withdrawn" in texts(client.post(withdraw, follow=True))
    assert "withdrawn or over already" in texts(client.post(withdraw, follow=True))
    assert Client().post(path, join_form()).status_code == 404
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"username": "CURATOR"}, "already exists"),
        ({"password2": "other"}, "two password fields"),
        ({"password1": "12345678", "password2": "12345678"}, "too common"),
    ],
)
def test_wrong_field_keeps_the_link(user_for: UserFor, wrong: dict[str, str], words: str) -> None:
    user_for("curator")
    path = accounts.path_of(accounts.invite(roles=[], by=None))
    answer = Client().post(path, join_form(**wrong))
    assert answer.status_code == 422
    assert words in texts(answer)
    assert Client().post(path, join_form()).status_code == 302


# --- roles ------------------------------------------------------------------------------------


def test_roles_by_tick(client_for: ClientFor, user_for: UserFor) -> None:
    client, viewer = client_for("administrator"), user_for("viewer")
    path = f"/people/{viewer.pk}/"
    assert "Saved" in texts(client.post(path, {"roles": ["curator"], "was": "viewer"}, follow=True))
    assert accounts.roles_of(User.objects.get(pk=viewer.pk)) == ["curator"]
    # From a stale page: somebody has changed them since.
    page = texts(client.post(path, {"roles": ["validator"], "was": "viewer"}, follow=True))
    assert "were changed meanwhile: curator" in page.replace("&#x27;", "'")
    assert accounts.roles_of(User.objects.get(pk=viewer.pk)) == ["curator"]
    assert "it was so already" in texts(
        client.post(path, {"roles": ["curator"], "was": "viewer"}, follow=True)
    )
    assert client.post(path, {"roles": ["network"], "was": "curator"}).status_code == 422  # not for people
    assert Deed.objects.get().about == "viewer: viewer → curator"


def test_last_administrator_stays_and_nobody_locks_themselves_out(
    client_for: ClientFor, user_for: UserFor
) -> None:
    client, me = client_for("administrator"), user_for("administrator")
    for path, sent in (
        (f"/people/{me.pk}/", {"roles": ["viewer"], "was": "administrator"}),
        (f"/people/{me.pk}/deactivate/", {}),
    ):
        assert "cannot do this to your own account" in texts(client.post(path, sent, follow=True))
    other = user_for("administrator", "other")
    assert accounts.deactivate(person=other, by=me)
    # `other` was signed in and sends what their page offered.
    with pytest.raises(accounts.Refused, match="last administrator"):
        accounts.deactivate(person=me, by=other)
    with pytest.raises(accounts.Refused, match="last administrator"):
        accounts.change_roles(person=me, roles=[], was=None, by=other)
    assert User.objects.get(pk=me.pk).is_active
    assert accounts.roles_of(me) == ["administrator"]


def test_superuser_is_changed_by_superusers_only(client_for: ClientFor) -> None:
    root = User.objects.create_superuser("root", password="x")
    client = client_for("administrator")
    for path in (f"/people/{root.pk}/deactivate/", f"/people/{root.pk}/reset/"):
        assert "Only a superuser" in texts(client.post(path, follow=True))
    sent = {"roles": ["viewer"], "was": ""}
    assert "Only a superuser" in texts(client.post(f"/people/{root.pk}/", sent, follow=True))
    client.force_login(root)
    assert client.get("/people/").status_code == 200


def test_deactivated_person_is_out_at_once_with_their_tokens(
    client_for: ClientFor, user_for: UserFor
) -> None:
    client, theirs, viewer = client_for("administrator"), client_for("viewer"), user_for("viewer")
    key = api_key(viewer)

    def ask() -> tuple[int, int]:
        answer = Client().get("/api/v1/mapping/entries", headers={"authorization": f"Token {key}"})
        return theirs.get("/mapping/").status_code, answer.status_code

    assert ask() == (200, 200)
    client.post(f"/people/{viewer.pk}/deactivate/")
    assert ask() == (302, 401)
    assert "it was so already" in texts(client.post(f"/people/{viewer.pk}/deactivate/", follow=True))
    client.post(f"/people/{viewer.pk}/activate/")
    assert ask() == (200, 200)


def test_links_of_who_is_no_administrator_any_more_are_dead(user_for: UserFor) -> None:
    me, other = user_for("administrator"), user_for("administrator", "other")
    path = accounts.path_of(accounts.invite(roles=["administrator"], by=other))
    assert Client().get(path).status_code == 200
    accounts.change_roles(person=other, roles=["viewer"], was=None, by=me)
    assert Client().get(path).status_code == 404
    accounts.change_roles(person=other, roles=["administrator"], was=None, by=me)
    accounts.deactivate(person=other, by=me)
    assert Client().get(path).status_code == 404


def test_new_password_by_link_works_once(client_for: ClientFor, user_for: UserFor) -> None:
    client, viewer = client_for("administrator"), user_for("viewer")
    page = texts(client.post(f"/people/{viewer.pk}/reset/"))
    [path] = re.findall(r"http://testserver(/people/reset/[^\"]+)", page)
    theirs = Client()
    form = theirs.get(path, follow=True)
    assert "viewer" in texts(form)
    viewer.refresh_from_db()
    assert viewer.check_password("secret")  # until it is used
    where = form.redirect_chain[-1][0]
    theirs.post(where, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert not Client().login(username="viewer", password="secret")
    assert Client().login(username="viewer", password=PASSWORD)
    assert "no longer works" in texts(Client().get(path, follow=True))


def test_a_link_to_a_new_password_ends_with_its_maker(user_for: UserFor) -> None:
    me, other, viewer = user_for("administrator"), user_for("administrator", "other"), user_for("viewer")

    def works(path: str) -> bool:
        return "no longer works" not in texts(Client().get(path, follow=True))

    path = reset_links.make_link(person=viewer, by=other)
    theirs = Client()
    where = theirs.get(path, follow=True).redirect_chain[-1][0]  # opened before, sent after
    by_mail = reset_links.make_link_for_mail(person=viewer)
    assert works(path)
    accounts.deactivate(person=other, by=me)
    assert not works(path)
    theirs.post(where, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    viewer.refresh_from_db()
    assert viewer.check_password("secret")
    assert works(by_mail)
    for maker in (me.pk, "", "x", "9" * 30):  # nobody else's name makes it valid
        assert not works(path.replace(f"/{other.pk}.", f"/{maker}."))


@pytest.mark.parametrize("role", ["admin", "curator", "validator"])
def test_only_administrators_manage_people(client_for: ClientFor, user_for: UserFor, role: str) -> None:
    viewer = user_for("viewer")
    for client, code in ((client_for(role), 403), (client_for("stranger"), 302)):
        for path in ("invite/", f"{viewer.pk}/", f"{viewer.pk}/deactivate/", f"{viewer.pk}/reset/"):
            assert client.post(f"/people/{path}", {"roles": ["administrator"]}).status_code == code
    assert accounts.roles_of(viewer) == ["viewer"]
    assert not Invitation.objects.exists()


def test_guests_and_programs_are_no_people(
    client_for: ClientFor,
    user_for: UserFor,
    model: TrainedModel,  # noqa: F811
) -> None:
    campaign = Campaign.objects.create(name="C", model=model, audience="link")
    guest = make_guest(campaign=campaign)
    program = User.objects.create_user("okru")
    program.groups.add(Group.objects.get(name="network"))
    administrator = user_for("administrator")
    assert list(accounts.people()) == [administrator]
    client = client_for("administrator")
    assert client.post(f"/people/{guest.pk}/", {"roles": ["administrator"], "was": ""}).status_code == 404
    assert client.post(f"/people/{program.pk}/reset/").status_code == 404
    theirs = Client()
    theirs.force_login(guest)
    assert theirs.get("/people/me/").status_code == 403


# --- profile ----------------------------------------------------------------------------------


def test_profile_sets_name_language_and_times(client_for: ClientFor, user_for: UserFor) -> None:
    client = client_for("administrator")
    Invitation.objects.create(
        note="X", ends_at=timezone.now().replace(hour=12, minute=34) + timedelta(days=2)
    )
    assert "12:34" in texts(client.get("/people/"))
    sent = {"first_name": "Ada", "language": "ru", "time_zone": "Asia/Kolkata"}
    answer = client.post("/people/me/", sent)
    assert answer.cookies["django_language"].value == "ru"
    assert "18:04" in texts(client.get("/people/"))
    assert "Ada" in texts(client.get("/people/"))
    # In another browser from the next sign-in.
    other = Client()
    answer = other.post("/login/", {"username": "administrator", "password": "secret"})
    assert answer.cookies["django_language"].value == "ru"
    assert "18:04" in texts(other.get("/people/"))
    assert "12:34" in texts(client_for("administrator", "second").get("/people/"))
    assert client.post("/people/me/", sent | {"time_zone": "Mars/Olympus"}).status_code == 422


def test_password_is_changed_with_the_old_one_only(client_for: ClientFor) -> None:
    client, elsewhere = client_for("viewer"), client_for("viewer")
    sent = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    answer = client.post("/people/me/password/", sent)
    assert answer.status_code == 422
    assert "entered incorrectly" in texts(answer)
    assert client.post("/people/me/password/", sent | {"old_password": "secret"}).status_code == 302
    assert client.get("/people/me/").status_code == 200
    assert elsewhere.get("/people/me/").status_code == 302
    assert Client().login(username="viewer", password=PASSWORD)


def test_old_password_cannot_be_guessed_without_limit(client_for: ClientFor) -> None:
    client = client_for("viewer")
    sent = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    codes = [client.post("/people/me/password/", sent).status_code for _ in range(11)]
    assert codes == [422] * 10 + [429]


def test_last_seen_is_noted_every_five_minutes(client_for: ClientFor, user_for: UserFor) -> None:
    client, viewer = client_for("viewer"), user_for("viewer")
    profile = Profile.objects.create(user=viewer)

    def seen() -> object:
        client.get("/")
        profile.refresh_from_db()
        return profile.seen_at

    assert seen() is None  # the sign-in says enough
    key = f"seen:{viewer.pk}"
    cache.set(key, cache.get(key) - 200)
    assert seen() is None
    cache.set(key, cache.get(key) - 200)
    first = seen()
    assert first
    assert seen() == first


def test_own_votes_and_their_standing(
    client_for: ClientFor,
    user_for: UserFor,
    model: TrainedModel,  # noqa: F811
) -> None:

    validator = user_for("validator")
    client = client_for("validator")
    assert "You have not voted yet" in texts(client.get("/validation/vote/mine/"))
    campaign = Campaign.objects.create(name="Cafés", model=model)
    Participation.objects.create(person=validator, campaign=campaign, fits=41, gold=333, gold_right=7)
    page = texts(client.get("/validation/vote/mine/"))
    assert "Cafés" in page
    assert "41" in page
    assert "333" not in page  # how many answers were known is not told
    crowd.set_aside(person=validator, by=user_for("admin"))
    assert "set aside" in texts(client.get("/validation/vote/mine/"))
    assert "отложены" in texts(client.get("/validation/vote/mine/", headers={"Accept-Language": "ru"}))
    assert client_for("viewer").get("/validation/vote/mine/").status_code == 403


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_administrators_who_remove_each_other_at_once_leave_one(user_for: UserFor) -> None:
    pairs = [(user_for("administrator", "ann"), user_for("administrator", "bob"))]
    pairs.append(pairs[0][::-1])
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def remove(person: User, by: User) -> None:
        start.wait(10)
        try:
            outcomes.append(str(accounts.deactivate(person=person, by=by)))
        except accounts.Refused as error:
            outcomes.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=remove, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(words.endswith("one first.") for words in outcomes) == [False, True]
    assert accounts.administrators().count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_link_that_two_people_use_at_once_makes_one_account() -> None:
    path = accounts.path_of(accounts.invite(roles=["administrator"], by=None))
    start = threading.Barrier(2)
    codes: list[int] = []

    def join(name: str) -> None:
        start.wait(10)
        codes.append(Client().post(path, join_form(username=name)).status_code)
        connections.close_all()

    threads = [threading.Thread(target=join, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == [302, 404]
    assert User.objects.count() == 1
