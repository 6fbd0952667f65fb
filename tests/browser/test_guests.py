"""A guest's way in a real browser: the link, the examples, the ballot, a closer look, and back again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import wait_for
from tests.validation.conftest import MakeCampaign, hashtags, make_campaign, model  # noqa: F401
from validation.models import Guest, Vote
from validation.people import guests

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(("width", "height"), [(390, 780), (1280, 900)])
def test_a_guest_knows_what_to_do_and_finds_their_place_again(
    make_campaign: MakeCampaign,  # noqa: F811
    page_for: Callable[..., Page],
    width: int,
    height: int,
) -> None:
    campaign = make_campaign(
        "cafe", "bar", "sport", name="Summer photos", audience="link", would_post_share=0.0
    )
    link = f"/validation/join/{guests.token(campaign)}/"
    page = page_for("stranger", width=width, height=height)
    page.goto(link)
    for words in ("Summer photos", "3 photos are waiting", "about 1 minute", "#beach", "#restaurant"):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_text("Swipe to the right if the hashtag fits")).to_be_visible()
    page.wait_for_function(
        "[...document.querySelectorAll('.examples img')].every((one) => one.naturalWidth === 400)"
    )
    assert page.locator("header a, header button").count() == 0  # no sign-in of members
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#ballot[data-ready]")
    assert page.get_by_text("Sign out").count() == 0
    page.get_by_role("button", name="Zoom").click()
    expect(page.locator("dialog.zoom img")).to_be_visible()
    page.keyboard.press("f")  # nobody answers behind it
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog.zoom")).to_be_hidden()
    page.keyboard.press("f")
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    for address in ("/", link):
        page.goto(address)
        expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    wait_for(Vote.objects.exists, 20, "the vote did not arrive")
    assert Guest.objects.count() == Vote.objects.count() == 1
