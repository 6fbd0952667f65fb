"""No page shows the made-up campaign without saying that it is made up."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.site.access import ACCESS
from tests.site.addresses import all_addresses
from tests.site.conftest import World
from validation.models import Campaign

pytestmark = pytest.mark.django_db
NAME = "Of nobody at all"
BANNER = "Made-up votes: nobody real has voted"
ELSEWHERE = ("mapping:", "people:", "notices:")  # these apps know no campaigns


@pytest.fixture
def everywhere(world: World, everybody: Client) -> Client:
    """The world's campaign is the made-up one."""
    Campaign.objects.filter(pk=world.campaign.pk).update(is_made_up=True, name=NAME)
    return everybody


def test_every_page_that_names_the_made_up_campaign_has_its_banner(world: World, everywhere: Client) -> None:
    named, faults = [], []
    pages = [one for one in all_addresses() if "GET" in ACCESS[one.name] and not one.is_api]
    paths = [world.path(one) for one in pages if not one.name.startswith(ELSEWHERE)]
    queries = [f"/validation/agreement/{rest}?campaign={world.campaign.pk}" for rest in ("", "photos/")]
    for path in [*paths, *queries]:
        response = everywhere.get(path)
        if response.streaming or not response["Content-Type"].startswith("text/html"):
            continue
        page = response.content.decode()
        if NAME in page:
            named.append(path)
            if BANNER not in page:
                faults.append(path)
    assert not faults, f"These pages show the made-up campaign and do not say so: {faults}"
    assert len(named) > 8  # the walk finds its pages
