"""Voting by key, by tap on a phone, and undo, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import wait_for
from tests.validation.conftest import MakeCampaign, hashtags, make_campaign, model  # noqa: F401
from validation.models import Campaign, Vote

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., Page]
READY = "#ballot[data-ready]"


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Campaign:  # noqa: F811
    return make_campaign("cafe", "bar", "sport", None)


def answers() -> list[str]:
    return list(Vote.objects.order_by("pk").values_list("answer", flat=True))


def open_ballot(page: Page, campaign: Campaign) -> None:
    page.goto(f"/validation/vote/{campaign.pk}/")
    page.wait_for_selector(READY)


def test_three_keys_vote_and_u_takes_the_last_back(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    for key, count in (("ArrowRight", "2 of 3"), ("d", "3 of 3")):
        page.keyboard.press(key)
        expect(page.locator(".ballot-count")).to_have_text(count)
        page.wait_for_selector(READY)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    assert answers() == ["fits", "does_not_fit", "skip"]
    page.wait_for_selector(READY)
    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Fits", exact=False).first).to_be_visible()
    assert answers() == ["fits", "does_not_fit"]


def test_one_press_is_one_vote(campaign: Campaign, page_for: PageFor) -> None:
    """Held down, hit twice, or hit before the next photo could be seen: one vote."""
    page = page_for("validator")
    open_ballot(page, campaign)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.evaluate(
        """() => { for (const repeat of [false, true, true, false])
        document.dispatchEvent(new KeyboardEvent("keydown", {key: "f", repeat, bubbles: true})); }"""
    )
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    page.keyboard.press("f")  # the second photo has been there for a moment only
    page.wait_for_selector(READY)
    assert (len(sent), answers()) == (1, ["fits"])


def test_taps_on_a_phone(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator", width=390, height=700, has_touch=True, is_mobile=True)
    open_ballot(page, campaign)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    button = page.get_by_role("button", name="Does not fit")
    box = button.bounding_box()
    assert box
    assert box["height"] >= 48
    assert box["y"] + box["height"] <= 700  # no scrolling to vote
    button.tap()
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    page.wait_for_selector(READY)
    page.get_by_role("button", name="Undo").tap()
    expect(page.locator(".ballot-count")).to_have_text("1 of 3")
    wait_for(lambda: answers() == [], 5, "the vote was not taken back")


def test_a_lost_connection_says_so_and_the_answer_counts_once(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.context.set_offline(True)
    page.keyboard.press("f")
    expect(page.get_by_role("alert")).to_contain_text("could not be sent")
    page.context.set_offline(False)
    page.keyboard.press("f")
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    assert answers() == ["fits"]


def test_without_script_it_is_plain_forms(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator", java_script_enabled=False)
    page.goto(f"/validation/vote/{campaign.pk}/")
    page.get_by_role("button", name="Skip").click()
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".ballot-count")).to_have_text("1 of 3")
    assert answers() == []


def test_signed_out_meanwhile_leads_to_the_sign_in_page(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.context.clear_cookies()
    page.keyboard.press("f")
    page.wait_for_selector("input[name=username]", timeout=5000)
    assert answers() == []
