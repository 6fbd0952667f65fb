"""Voting by key, by tap, by swipe, through a connection that drops, and undo, in a real browser."""

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
    made = make_campaign("cafe", "bar", "sport", None)
    Campaign.objects.update(would_post_share=0)
    return made


def answers() -> list[str]:
    return list(Vote.objects.order_by("pk").values_list("answer", flat=True))


def expect_answers(*expected: str) -> None:
    wait_for(lambda: answers() == list(expected), 5, f"not {expected}")


def open_ballot(page: Page, campaign: Campaign) -> None:
    page.goto(f"/validation/vote/{campaign.pk}/")
    page.wait_for_selector(READY)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.wait_for_selector(READY)
        page.keyboard.press(key)


def test_three_keys_vote_and_u_takes_the_last_back(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    for key, count in (("ArrowRight", "2 of 3"), ("d", "3 of 3")):
        press(page, key)
        expect(page.locator(".ballot-count")).to_have_text(count)
    press(page, "ArrowDown")
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    expect_answers("fits", "does_not_fit", "skip")
    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Fits", exact=False).first).to_be_visible()
    expect_answers("fits", "does_not_fit")
    press(page, "f")
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    expect_answers("fits", "does_not_fit", "fits")


def test_one_press_is_one_vote(campaign: Campaign, page_for: PageFor) -> None:
    """Held down, hit twice, or hit before the next photo could be seen: one vote."""
    page = page_for("validator")
    open_ballot(page, campaign)
    page.evaluate(
        """() => { for (const repeat of [false, true, true, false])
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "f", repeat, bubbles: true})); }"""
    )
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    page.wait_for_selector(READY)
    expect_answers("fits")


def test_a_hundred_photos_by_keyboard(make_campaign: MakeCampaign, page_for: PageFor) -> None:  # noqa: F811
    campaign = make_campaign(*["cafe", "bar"] * 50)
    Campaign.objects.update(would_post_share=0)
    page = page_for("validator")
    open_ballot(page, campaign)
    press(page, *["f", "d", "ArrowRight", "s", "ArrowLeft"] * 20)
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    wait_for(lambda: Vote.objects.count() == 100, 10, "not every answer arrived")
    assert len(set(Vote.objects.values_list("photo", "hashtag"))) == 100
    said = answers()
    assert [said.count(one) for one in ("fits", "does_not_fit", "skip")] == [40, 40, 20]


def test_why_and_would_you_post_it(campaign: Campaign, page_for: PageFor) -> None:
    """Both are asked after the vote, and neither holds up the next photo."""
    page = page_for("validator")
    open_ballot(page, campaign)
    press(page, "d")
    page.keyboard.press("2")
    wait_for(lambda: Vote.objects.filter(reason="too_general").count() == 1, 5, "no reason")
    Campaign.objects.update(would_post_share=1)
    open_ballot(page, campaign)
    press(page, "f")
    expect(page.get_by_role("heading", name="Would you post")).to_be_visible()
    press(page, "n")
    expect(page.get_by_role("heading", name="Does #")).to_be_visible()
    wait_for(lambda: Vote.objects.filter(would_post=False).count() == 1, 5, "nothing about posting")
    assert answers() == ["does_not_fit", "fits"]


def swipe(page: Page, dx: float, dy: float = 0) -> None:
    """A finger on the photo, in steps, as the touch screen's driver reports it."""
    page.wait_for_selector(READY)
    box = page.locator(".ballot-photo").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)
    points = [[{"x": x + dx * part / 6, "y": y + dy * part / 6}] for part in range(7)]
    kinds = ["touchStart", *["touchMove"] * 6]
    for kind, touches in [*zip(kinds, points, strict=True), ("touchEnd", [])]:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_swipes_on_a_phone(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator", width=390, height=700, has_touch=True, is_mobile=True)
    open_ballot(page, campaign)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    swipe(page, 160)
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    swipe(page, -160)
    expect(page.locator(".ballot-count")).to_have_text("3 of 3")
    swipe(page, 0, -150)
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    expect_answers("fits", "does_not_fit", "skip")


def test_taps_on_a_phone(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator", width=390, height=700, has_touch=True, is_mobile=True)
    open_ballot(page, campaign)
    button = page.get_by_role("button", name="Does not fit")
    box = button.bounding_box()
    assert box
    assert box["height"] >= 48
    assert box["y"] + box["height"] <= 700  # no scrolling to vote
    button.tap()
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    expect_answers("does_not_fit")
    page.get_by_role("button", name="Undo").tap()
    expect(page.locator(".ballot-count")).to_have_text("1 of 3")
    expect_answers()


def test_a_connection_that_drops_loses_nothing(campaign: Campaign, page_for: PageFor) -> None:
    """Two answers wait, survive a reload, and are in the database once each."""
    page = page_for("validator")
    open_ballot(page, campaign)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    press(page, "f", "d")
    expect(page.locator(".ballot-unsent")).to_have_text("2 unsent")
    assert answers() == []
    page.goto("about:blank")
    page.context.set_offline(False)
    open_ballot(page, campaign)
    expect_answers("fits", "does_not_fit")
    expect(page.locator(".ballot-unsent")).to_be_hidden()
    expect(page.locator(".ballot-count")).to_have_text("3 of 3")
    press(page, "s")
    expect_answers("fits", "does_not_fit", "skip")


def test_an_answer_whose_acknowledgement_was_lost_counts_once(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.context.set_offline(True)
    press(page, "f", "d")
    page.keyboard.press("u")
    page.context.set_offline(False)  # the browser says so, and the queue goes out at once
    expect_answers("fits")
    lost: list[str] = []

    def lose(route: object) -> None:
        lost.append(route.request.url)  # type: ignore[attr-defined]
        route.fetch()  # type: ignore[attr-defined]
        route.abort()  # type: ignore[attr-defined]

    page.route("**/votes/", lose, times=1)
    press(page, "s")
    # Playwright calls `lose` only while it is being asked something.
    wait_for(lambda: page.title() and lost and answers() == ["fits", "skip"], 5, "the answer did not arrive")
    page.wait_for_function("() => !localStorage.length")
    assert answers() == ["fits", "skip"]


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
