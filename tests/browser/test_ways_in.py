"""How people come to their work in a real browser: by an invitation, as guests, and from the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.conftest import wait_for
from tests.validation.conftest import MakeCampaign, hashtags, make_campaign, model  # noqa: F401
from validation.models import Question, Vote
from validation.people import guests
from validation.voting.votes import record_vote

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., Page]


def test_an_invitation_leads_to_somebody_signed_in(page_for: PageFor) -> None:
    page = page_for("administrator")
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="People").click()
    page.get_by_role("link", name="Invite").first.click()
    page.get_by_label("For whom").fill("Bea of the mapping team")
    page.get_by_label("Curator").check()
    page.get_by_role("button", name="Make the link").click()
    address = page.locator(".copy input").first.input_value()
    guest = page_for("stranger", width=390)
    guest.goto(address)
    expect(guest.get_by_text("Your roles: curator")).to_be_visible()
    guest.get_by_label("User name").fill("bea")
    for label in ("Password", "Password again"):
        guest.get_by_label(label, exact=True).fill("correct horse 5")
    guest.get_by_role("button", name="Join").click()
    expect(guest.get_by_role("link", name="bea")).to_be_visible()
    assert guest.get_by_role("link", name="Sign in").count() == 0
    assert list(User.objects.get(username="bea").groups.values_list("name", flat=True)) == ["curator"]
    guest.goto(address)  # it works once
    expect(guest.get_by_role("heading", name="This link no longer works")).to_be_visible()


def test_of_five_guests_the_idle_one_turns_nobody_away(
    make_campaign: MakeCampaign,  # noqa: F811
    page_for: PageFor,
) -> None:
    campaign = make_campaign("cafe", "bar", audience="link", votes_per_photo=4, would_post_share=0.0)
    pages = [page_for("stranger", width=390) for _ in range(5)]
    for page in pages:
        page.goto(f"/validation/join/{guests.token(campaign)}/")
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector("#ballot[data-ready]")
    for page in pages[1:]:
        page.keyboard.press("f")
        expect(page.locator(".ballot-count")).to_have_text("2 of 2")
        page.wait_for_selector("#ballot[data-ready]")
        page.keyboard.press("f")
        expect(page.get_by_role("heading", name="All done")).to_be_visible()
    wait_for(lambda: Vote.objects.count() == 8, 20, "not every answer arrived")
    assert not Question.objects.filter(is_done=False).exists()


def test_a_viewer_finds_the_next_step_in_one_click(
    make_campaign: MakeCampaign,  # noqa: F811
    page_for: PageFor,
    user_for: Callable[..., User],
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar")
    for question in campaign.questions.filter(hashtag__name="bar"):
        record_vote(
            campaign=campaign,
            photo=question.photo,
            hashtag=question.hashtag,
            person=user_for("validator"),
            answer="fits",
            request_id=uuid4(),
        )
    page = page_for("viewer")
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Agreement").click()
    card = page.locator(".first-screen .card", has=page.get_by_role("heading", name="What is next?"))
    expect(card).to_contain_text("more votes on #")
    with page.expect_response("**/validation/campaigns/**") as answer:
        card.locator("a.is-primary").click()
    assert answer.value.status == 200
    expect(page.locator("h1")).to_contain_text("Test")
