"""E-mail: a forgotten password, an address that is confirmed, notices, and a mail server that is ill."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone, translation

from formats.texts import Text
from hashtags_site.doctor.checks import look_at_mail
from notices.announcements import announce
from people import letters
from people.models import Deed, Letter
from tests.people.signin.conftest import SITE, FakeMailServer

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
WithAddress = Callable[..., User]
PASSWORD = "correct horse 5"


def texts(response: Any) -> str:
    return response.content.decode()  # type: ignore[no-any-return]


def link_in(text: str) -> str:
    return str(re.findall(rf"{SITE}(/\S+)", text)[0])


# --- a forgotten password ---------------------------------------------------------------------


def test_link_to_a_new_password_comes_by_mail(
    mail_server: FakeMailServer, with_address: WithAddress, client: Client
) -> None:
    with_address("viewer", "ann")
    known = client.post("/login/reset/", {"email": "Ann@example.org"}, follow=True)
    unknown = client.post("/login/reset/", {"email": "eve@example.org"}, follow=True)
    answers = [re.sub(r'"X-CSRFToken": "\w+"', "", texts(answer)) for answer in (known, unknown)]
    assert answers[0] == answers[1]  # nobody is told who has an account
    assert letters.deliver_due() == 1
    [letter] = mail_server.taken
    assert "To: ann@example.org" in letter
    page = client.get(link_in(letter), follow=True)
    where = page.redirect_chain[-1][0]
    client.post(where, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert client.login(username="ann", password=PASSWORD)
    assert "no longer works" in texts(Client().get(link_in(letter), follow=True))
    assert str(Deed.objects.get()) == "the server was asked by e-mail for a new password of ann"
    assert Letter.objects.get().body == ""  # the link is not kept


def test_only_an_address_that_counts_gets_a_link(
    can_mail: None, with_address: WithAddress, client: Client
) -> None:
    with_address("viewer", "ann", verified=False)
    gone = with_address("viewer", "bob")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    for name in ("ann", "bob"):
        client.post("/login/reset/", {"email": f"{name}@example.org"})
    assert not Letter.objects.exists()


def test_without_a_mail_server_an_administrator_is_asked(with_address: WithAddress, client: Client) -> None:
    with_address("viewer", "ann")
    assert "Ask an administrator for a link" in texts(client.get("/login/reset/"))
    client.post("/login/reset/", {"email": "ann@example.org"})
    assert not Letter.objects.exists()


# --- one's own address ------------------------------------------------------------------------


def test_new_address_counts_once_it_is_confirmed(can_mail: None, client_for: ClientFor) -> None:
    client = client_for("viewer")
    sent = {"email": "new@example.org", "action_add": ""}
    page = client.post("/people/me/sign-in/address/", sent, follow=True)  # first the password
    page = client.post(page.redirect_chain[-1][0], {"password": "secret"}, follow=True)
    assert "new@example.org waits" in texts(client.get("/people/me/sign-in/"))
    path = link_in(Letter.objects.get().body)
    assert not EmailAddress.objects.filter(verified=True).exists()
    assert "Confirm" in texts(client.get(path))  # as robots do, which changes nothing
    assert not EmailAddress.objects.filter(verified=True).exists()
    client.post(path)
    assert EmailAddress.objects.get(verified=True).email == "new@example.org"


def test_administrator_enters_an_address(client_for: ClientFor, with_address: WithAddress) -> None:
    client, ann, bob = (
        client_for("administrator"),
        with_address("viewer", "ann"),
        with_address("viewer", "bob"),
    )
    path = f"/people/{ann.pk}/address/"
    assert "Saved" in texts(client.post(path, {"address": "A@example.org"}, follow=True))
    assert "it was so already" in texts(client.post(path, {"address": "a@example.org"}, follow=True))
    assert "another person" in texts(client.post(path, {"address": "bob@example.org"}, follow=True))
    assert "no e-mail address" in texts(client.post(path, {"address": "x"}, follow=True))
    rows = dict(EmailAddress.objects.values_list("user", "email"))
    assert rows == {ann.pk: "a@example.org", bob.pk: "bob@example.org"}
    assert Deed.objects.get().about == "ann: ann@example.org → a@example.org"


# --- notices ----------------------------------------------------------------------------------


def test_chosen_events_come_by_mail_once(
    mail_server: FakeMailServer, with_address: WithAddress, client_for: ClientFor
) -> None:
    with_address("viewer")
    with_address("curator")  # chooses nothing
    client = client_for("viewer")
    for _ in range(2):  # a repeated click
        assert client.post("/notices/mail/", {"events": ["job.failed"]}).status_code == 302
    for _ in range(2):
        announce("job.failed", title="Export: failed", url="/jobs/1/", key="job 1")
    announce("run.ended", title="Run 4")
    letters.deliver_due()
    [letter] = mail_server.taken
    assert "Subject: [Scenetag] Export: failed" in letter
    assert f"{SITE}/jobs/1/" in letter
    assert f"To stop it: {SITE}/notices/mail/" in letter


def test_each_reader_is_told_in_their_own_language(
    can_mail: None, with_address: WithAddress, client_for: ClientFor
) -> None:
    for role in ("viewer", "curator"):
        with_address(role)
        client_for(role).post("/notices/mail/", {"events": ["job.failed"]})
    client_for("viewer").post("/people/me/", {"what": "profile", "language": "ru", "time_zone": ""})
    with translation.override("ru"):  # of whoever made it happen
        announce("job.failed", title=Text("%(job)s: failed", job="Export"))
    of_viewer, of_curator = Letter.objects.order_by("-user__username")
    assert of_viewer.subject == "[Scenetag] Export: не удалось"
    assert "не удалось задание, кроме запусков, а вы выбрали" in of_viewer.body
    assert of_curator.subject == "[Scenetag] Export: failed"
    assert "because a job other than a run failed, and you chose" in of_curator.body


def test_nobody_is_told_what_their_role_hides(
    can_mail: None, with_address: WithAddress, client_for: ClientFor
) -> None:
    viewer, client = with_address("viewer"), client_for("viewer")
    client.post("/notices/mail/", {"events": ["job.failed"]})
    viewer.groups.get().permissions.remove(Permission.objects.get(codename="view_job"))
    announce("job.failed", title="Export: failed")
    assert not Letter.objects.exists()
    assert "a job other than" not in texts(client.get("/notices/mail/"))
    assert client.post("/notices/mail/", {"events": ["job.failed"]}).status_code == 422
    assert client_for("validator").post("/notices/mail/", {"events": []}).status_code == 403


def test_ill_mail_server_is_tried_again_and_then_named(
    mail_server: FakeMailServer, with_address: WithAddress, client_for: ClientFor
) -> None:
    letters.write(user=with_address("viewer"), to="viewer@example.org", subject="News", body="x")
    mail_server.is_ill = True
    for attempt in range(len(letters.PAUSES) + 1):
        assert letters.deliver_due() == 1
        assert letters.deliver_due() == 0, attempt  # not at once again
        Letter.objects.filter(state="waiting").update(due_at=timezone.now())
    row = Letter.objects.get()
    assert (row.state, row.body, "come back later" in row.error) == ("failed", "", True)
    assert "come back later" in texts(client_for("viewer").get("/notices/mail/"))
    answers, warns = look_at_mail()
    assert (answers.verdict, warns.verdict) == ("ok", "warn")
    assert "come back later" in warns.fact
    mail_server.is_ill = False
    letters.write(user=row.user, to=row.to, subject="News", body="x")
    Letter.objects.update(due_at=timezone.now())
    letters.deliver_due()
    assert len(mail_server.taken) == 1
