"""A curator settles the differences of the thesis's two tables by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page, Route, expect

from mapping.models import MappingEntry

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.usefixtures("catalogue")
def test_curator_settles_fourteen_differences_by_keyboard(page_for: Callable[..., Page]) -> None:
    page = page_for("curator")
    page.goto("/mapping/settle/")

    def settled(number: int) -> None:
        page.get_by_text(f"{number} of 14 settled", exact=False).wait_for()

    def marked(key: str) -> None:
        expect(page.locator(".is-current code")).to_have_text(key)

    settled(0)
    marked("b/ball_pit")
    page.keyboard.press("2")
    settled(1)
    page.keyboard.press("ArrowDown")
    marked("b/bullring")
    page.keyboard.press("o")
    settled(2)
    page.keyboard.press("u")
    settled(1)
    marked("b/batters_box")
    page.keyboard.press("/")
    page.keyboard.type("chur")
    page.locator(".is-current .found button").first.wait_for()
    page.keyboard.press("Enter")
    settled(2)
    for number in range(3, 15):
        page.keyboard.press("1")
        settled(number)
    page.get_by_text("All 14 differences are settled").wait_for()
    labels = {
        key: MappingEntry.objects.get(scene_class__key=key).label
        for key in ("b/ball_pit", "b/batters_box", "i/ice_shelf", "s/swimming_pool/outdoor")
    }
    assert list(labels.values()) == ["sport", "church", "snow", "other"]


@pytest.mark.usefixtures("catalogue")
def test_enter_takes_what_is_found_for_all_letters_also_if_it_comes_later(
    page_for: Callable[..., Page],
) -> None:
    page = page_for("curator")
    page.goto("/mapping/settle/")
    page.keyboard.press("/")
    page.keyboard.type("s")
    page.locator(".is-current .found button").first.wait_for()
    asked: list[Route] = []
    page.route("**/queue/hashtags/*", lambda route: asked.append(route))
    page.keyboard.type("no")
    page.keyboard.press("Enter")
    page.unroute("**/queue/hashtags/*")
    for route in asked:
        with suppress(Error):  # the next letter has taken its place
            route.continue_()
    page.get_by_text("1 of 14 settled").wait_for()
    assert MappingEntry.objects.get(status="confirmed").label == "snow"


@pytest.mark.usefixtures("catalogue")
def test_enter_in_a_field_never_takes_an_answer(page_for: Callable[..., Page]) -> None:
    page = page_for("curator")
    page.goto("/mapping/settle/")
    page.keyboard.press("/")
    page.keyboard.type("zzz")
    page.keyboard.press("Enter")
    page.get_by_text("“zzz” is not a known hashtag").wait_for()
    assert not MappingEntry.objects.filter(status="confirmed").exists()
