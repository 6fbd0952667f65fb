"""What a newcomer does, in a real browser: map, publish, and look around on a phone in the dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from mapping.models import MappingEntry, Release

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("catalogue"),
]
PageFor = Callable[..., Page]


def test_curator_changes_a_class_and_publishes(page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/")
    page.get_by_role("link", name="View the mapping").click()
    page.wait_for_url("**/mapping/**")
    page.wait_for_load_state("load")  # what is typed before its script is there waits for Enter
    page.get_by_role("textbox", name="Search", exact=True).fill("toyshop")
    expect(page.get_by_role("status")).to_contain_text("1 scene class")  # htmx: no button was pressed
    page.get_by_role("link", name="toyshop", exact=True).click()
    page.locator("label", has_text="#art").click()
    page.get_by_label("Note").fill("Toys are art")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("toyshop: #art. Saved.")).to_be_visible()
    entry = MappingEntry.objects.get(scene_class__key="t/toyshop")
    assert (entry.label, entry.hypernym) == ("art", "shop")
    page.get_by_role("link", name="Matching classes").click()
    page.get_by_role("link", name="Publish 1 change").click()
    page.get_by_label("Note").fill("Toys are art")
    page.get_by_role("button", name="Publish and freeze").click()
    expect(page.get_by_role("heading", name="Release 2")).to_be_visible()
    assert Release.objects.get(number=2).labels.get(scene_key="t/toyshop").label == "art"


def test_choosing_another_sense_brings_its_hypernyms(page_for: PageFor) -> None:
    entry = MappingEntry.objects.get(scene_class__key="d/diner/indoor")
    page = page_for("curator")
    page.goto(f"/mapping/{entry.pk}/")
    page.locator('input[name=sense][value="dining_car.n.01"]').click()
    expect(page.locator("#path")).to_contain_text("passenger car")


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_of_the_mapping_is_wider_than_its_window_or_breaks_the_policy(
    page_for: PageFor, width: int
) -> None:
    page = page_for("curator", width=width, color_scheme="dark")
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    first = MappingEntry.objects.order_by("pk").values_list("pk", flat=True)[0]
    for path in (
        "/",
        "/mapping/",
        f"/mapping/{first}/",
        "/mapping/hashtags/",
        "/mapping/releases/1/",
        "/jobs/",
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert complaints == []


def test_mapping_works_without_script(page_for: PageFor) -> None:
    page = page_for("curator", java_script_enabled=False)
    page.goto("/mapping/?q=toyshop")
    page.get_by_role("link", name="toyshop", exact=True).click()
    page.locator("label", has_text="#art").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("toyshop: #art. Saved.")).to_be_visible()
