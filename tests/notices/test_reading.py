"""The list in the browser: for each person what they may see, how much of it is new, marking it as read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from notices.announcements import announce
from notices.models import Notice

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def client(client_for: ClientFor) -> Client:
    client = client_for("viewer")
    announce("run.ended", title="Run 4: succeeded", url="/trainer/runs/4/")
    announce("job.failed", title="Export: failed")
    return client


def count(client: Client) -> str:
    html = client.get("/notices/count/").content.decode()
    return html.partition('title="new notices">')[2].partition("<")[0]


def test_new_notices_are_counted_and_marked_as_read(client: Client) -> None:
    assert count(client) == "2"
    html = client.get("/notices/").content.decode()
    assert html.count(">new<") == 2
    assert '<a href="/trainer/runs/4/">Run 4: succeeded</a>' in html
    announce("run.ended", title="Came after the page was loaded")
    last = Notice.objects.get(title="Export: failed").pk
    for _ in range(2):  # a repeated click
        client.post("/notices/read/", {"last": last})
        assert count(client) == "1"
    newest = Notice.objects.order_by("-pk")[0].pk
    client.post("/notices/read/", {"last": newest})
    client.post("/notices/read/", {"last": last})  # a stale page
    assert count(client) == ""
    assert ">new<" not in client.get("/notices/").content.decode()


@pytest.mark.parametrize("last", ["", "x", "-1", "9" * 18])
def test_an_odd_number_marks_nothing_that_is_still_to_come(client: Client, last: str) -> None:
    client.post("/notices/read/", {"last": last})
    announce("run.ended", title="Later")
    assert count(client) in ("1", "3")


def test_each_person_reads_for_themselves(client: Client, client_for: ClientFor) -> None:
    User.objects.filter(username="viewer").update(date_joined=timezone.now() - timedelta(days=1))
    other = client_for("viewer", "other")
    assert count(other) == ""  # it happened before they came
    User.objects.update(date_joined=timezone.now() - timedelta(days=1))
    client.post("/notices/read/", {"last": Notice.objects.order_by("-pk")[0].pk})
    assert (count(client), count(other)) == ("", "2")


def test_nobody_sees_what_their_role_hides(client_for: ClientFor, user_for: Callable[..., User]) -> None:
    person = client_for("viewer")
    announce("run.ended", title="Run 4: succeeded")
    announce("job.failed", title="Export: failed")
    assert count(person) == "2"
    from django.contrib.auth.models import Permission

    role = user_for("viewer").groups.get()
    role.permissions.remove(Permission.objects.get(codename="view_trainingrun"))
    assert count(person) == "1"
    assert "Run 4" not in person.get("/notices/").content.decode()


@pytest.mark.parametrize("role", ["validator", "network", "nobody"])
def test_others_have_no_list(client_for: ClientFor, role: str) -> None:
    client = client_for(role)
    assert client.get("/notices/").status_code == 403
    assert client.post("/notices/read/", {"last": 1}).status_code == 403


def test_the_head_of_each_page_has_the_count_for_who_may_see_it(client_for: ClientFor) -> None:
    assert 'hx-get="/notices/count/"' in client_for("viewer").get("/notices/").content.decode()
    assert "/notices/" not in client_for("nobody").get("/").content.decode()
