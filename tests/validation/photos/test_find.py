"""Photos found by author, name, source, intake and day: to make a campaign of them, and to withdraw one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.validation.conftest import MakeCampaign, taken_in
from validation.models import Campaign, Intake, IntakeFile, Photo

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
PATH = "/validation/photos/"


@pytest.fixture
def photos(make_campaign: MakeCampaign) -> dict[str, Photo]:
    """Photo 0 is in a campaign; 1 and 2 were taken in for nothing, 1 by an intake."""
    make_campaign("cafe")
    rows = {
        "used": Photo.objects.get(),
        "ann": taken_in(1, author="Ann Lee", source_url="https://example.org/ann/1"),
        "old": taken_in(2, author="Bob"),
    }
    intake = Intake.objects.create(name="Harbour", kind=Intake.Kind.FOLDER, path="x")
    IntakeFile.objects.create(
        intake=intake, name="harbour/IMG_7.jpg", photo=rows["ann"], state=IntakeFile.State.TAKEN
    )
    Photo.objects.filter(pk=rows["old"].pk).update(added_at=timezone.now() - timedelta(days=400))
    return rows


def test_photos_are_found_by_whatever_a_request_names(
    photos: dict[str, Photo], client_for: ClientFor
) -> None:
    client = client_for("admin")
    today = timezone.localdate()
    searches: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"used", "ann", "old"}),
        ({"q": "ann lee"}, {"ann"}),
        ({"q": "org/ANN"}, {"ann"}),
        ({"q": "img_7"}, {"ann"}),
        ({"q": "2.jpg"}, {"old"}),
        ({"intake": Intake.objects.get().pk}, {"ann"}),
        ({"since": today}, {"used", "ann"}),
        ({"until": today - timedelta(days=1)}, {"old"}),
        ({"unused": "on"}, {"ann", "old"}),
        ({"unused": "on", "q": "nobody"}, set()),
    ]
    for query, names in searches:
        page = client.get(PATH, query)
        assert {one.pk for one in page.context["page"]} == {photos[name].pk for name in names}, query
    for wrong in ({"intake": "9" * 30}, {"since": "tomorrow"}):
        assert client.get(PATH, wrong).status_code == 422


def test_a_campaign_is_made_of_photos_found(
    photos: dict[str, Photo], client_for: ClientFor, model: object
) -> None:
    client = client_for("admin")
    intake = Intake.objects.get()
    address = f"/validation/campaigns/new/?intake={intake.pk}"
    form = {"name": "Harbour", "model": Campaign.objects.get().model_id, "votes_per_photo": 3}
    assert b"It gets 1 photo taken in before" in client.get(address).content
    Photo.objects.filter(pk=photos["ann"].pk).update(withdrawn_at=timezone.now())
    page = client.post(address, form)  # stale: the photo was withdrawn meanwhile
    assert (page.status_code, b"No photo fits the search any more" in page.content) == (422, True)
    Photo.objects.filter(pk=photos["ann"].pk).update(withdrawn_at=None)
    for _ in range(2):
        client.post(address, form)
    assert list(Campaign.objects.get(name="Harbour").photos.all()) == [photos["ann"]]
    wrong = client.get("/validation/campaigns/new/?since=tomorrow")
    assert wrong["Location"].startswith(PATH)
    assert client_for("viewer").post(address, form).status_code == 403
