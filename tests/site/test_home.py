"""The pipeline with live numbers, and the next sensible action of each role."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hashtags_site.pipeline import Station

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
TITLES = ["Classes mapped", "Photos", "Training runs", "Active model", "Campaigns", "Agreement"]


def stations(client: Client) -> list[Station]:
    shown: list[Station] = client.get("/").context["stations"]
    return shown


@pytest.mark.usefixtures("catalogue")
def test_home_page_shows_six_stations_with_live_numbers(client_for: ClientFor) -> None:
    shown = stations(client_for("viewer"))
    assert [s.title for s in shown] == TITLES
    assert shown[0].figure == "397 of 397"
    assert not any(s.action for s in shown)


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(("role", "action"), [("curator", "View the mapping"), ("admin", "Register photos")])
def test_each_role_sees_its_next_action(client_for: ClientFor, role: str, action: str) -> None:
    following = [s for s in stations(client_for(role)) if s.is_next]
    assert [s.action for s in following] == [action]


def test_validator_is_sent_to_the_photos_and_sees_no_figures(client_for: ClientFor) -> None:
    response = client_for("validator").get("/")
    assert response.context["stations"] == []
    assert b"Start voting" in response.content


def test_account_without_a_role_is_told_so(client_for: ClientFor) -> None:
    assert b"has no role" in client_for("nobody").get("/").content


@pytest.mark.usefixtures("catalogue")
def test_number_of_queries_is_bounded(client_for: ClientFor) -> None:
    client = client_for("admin")
    client.get("/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/")
    assert len(queries) <= 24
