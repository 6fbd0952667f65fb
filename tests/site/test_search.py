"""One search for everything that has a name: what is found, who may see it, and how little it reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page, expect

from hashtags_site.search import FEW, KINDS
from mapping.models import MappingEntry, SceneClass
from tests.site.conftest import SECRET, World

ClientFor = Callable[..., Client]
PageFor = Callable[..., Page]


@pytest.mark.django_db
def test_each_kind_is_found_and_each_link_leads_somewhere(world: World, client_for: ClientFor) -> None:
    client = client_for("viewer")
    groups = client.get("/search/", {"q": SECRET[:5].lower()}).context["groups"]
    assert [group.title for group in groups] == [kind.title for kind in KINDS]
    for group in groups:
        assert SECRET.lower() in group.found[0].words.lower(), group.title
        assert client.get(group.found[0].url).status_code == 200, group.title


@pytest.mark.django_db
def test_a_name_must_have_all_the_words_in_any_order(world: World, client_for: ClientFor) -> None:
    scene = SceneClass.objects.create(key="b/boat_house", name="boat house")
    entry = MappingEntry.objects.create(scene_class=scene)
    client = client_for("viewer")
    groups = client.get("/search/", {"q": " #HOUSE boat "}).context["groups"]
    assert [found.url for group in groups for found in group.found] == [f"/mapping/{entry.pk}/"]
    page = client.get("/search/", {"q": "house yacht"})
    assert page.context["groups"] == []
    assert "Nothing that you may see has “house yacht” in its name." in page.content.decode()


@pytest.mark.django_db
def test_what_begins_with_the_words_comes_first_and_the_rest_is_a_link(
    world: World, client_for: ClientFor
) -> None:
    for number in range(FEW + 1):
        scene = SceneClass.objects.create(key=f"a/a_{number}_bay", name=f"a {number} bay")
        MappingEntry.objects.create(scene_class=scene)
    scene = SceneClass.objects.create(key="b/bay", name="bay")
    MappingEntry.objects.create(scene_class=scene)
    client = client_for("viewer")
    with CaptureQueriesContext(connection) as queries:
        (group,) = client.get("/search/", {"q": "bay"}).context["groups"]
    assert len([q for q in queries if "LIKE" in q["sql"]]) == len(KINDS)
    assert len(group.found) == FEW
    assert group.found[0].words == "bay"
    assert client.get(group.more_url).context["count"] == FEW + 2


@pytest.mark.django_db
def test_only_who_may_look_finds_anything(world: World, client_of: Callable[[str], Client]) -> None:
    for role in ("nobody", "guest", "validator", "network"):
        response = client_of(role).get("/search/", {"q": SECRET})
        assert response.status_code == 403, role
        assert SECRET not in response.content.decode(), role


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_key_opens_the_search_on_any_page(world: World, page_for: PageFor) -> None:
    page = page_for("viewer")
    page.goto("/jobs/")
    page.keyboard.press("/")
    dialog = page.get_by_role("dialog", name="Search")
    expect(dialog).to_be_visible()
    page.keyboard.type(SECRET)
    dialog.get_by_role("link", name=f"#{SECRET.lower()}").wait_for()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{page.url.split('/jobs')[0]}/search/?q={SECRET}")
    expect(page.get_by_role("link", name=f"{SECRET}.jpg")).to_be_visible()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_in_the_queue_the_slash_stays_with_the_hashtags(world: World, page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/mapping/queue/")
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Search")).to_be_visible()
