"""Voting by key, by tap, by swipe, through a connection that drops, and undo, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Error, Page, Route, expect

from tests.conftest import wait_for
from tests.validation.conftest import MakeCampaign, hashtags, make_campaign, model  # noqa: F401
from validation.campaigns import acts
from validation.models import Campaign, Question, Vote
from validation.views import vote
from validation.voting import assignment, votes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., Page]
READY = "#ballot[data-ready]"
NETWORK, QUEUE = (f"import('/static/validation/{name}.js')" for name in ("vote_network", "vote_queue"))


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Campaign:  # noqa: F811
    new_campaign = make_campaign("cafe", "bar", "sport", None)
    Campaign.objects.update(would_post_share=0)
    return new_campaign


def answers() -> list[str]:
    return list(Vote.objects.order_by("pk").values_list("answer", flat=True))


def expect_answers(*expected: str, page: Page | None = None) -> None:
    """With a page its routes go on: Playwright calls them only while it is being asked something."""
    wait_for(lambda: (page is None or page.title()) and answers() == list(expected), 20, f"not {expected}")


def open_ballot(page: Page, campaign: Campaign) -> None:
    page.goto(f"/validation/vote/{campaign.pk}/", wait_until="domcontentloaded")
    page.wait_for_selector(READY)


def hold(page: Page, what: str) -> list[Route]:
    """Requests for this address wait until the test answers them."""
    held_routes: list[Route] = []
    page.route(what, lambda route: held_routes.append(route))
    return held_routes


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.wait_for_selector(READY)
        page.keyboard.press(key)


def test_page_made_before_the_last_vote_arrived_does_not_ask_for_it_again(
    campaign: Campaign, page_for: PageFor
) -> None:
    """Whoever answers and leaves at once: the next page is made while the vote is on its way."""
    page = page_for("validator")
    address = f"/validation/vote/{campaign.pk}/"
    open_ballot(page, campaign)
    early = page.request.get(address).text()
    with page.expect_response(lambda response: response.request.method == "POST"):
        press(page, "f")
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    answered = Vote.objects.get().photo_id
    page.route(f"**{address}", lambda route: route.fulfill(body=early, content_type="text/html"))
    open_ballot(page, campaign)
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    for count in ("3 of 3", "3 answered"):
        press(page, "d")
        expect(page.locator(".ballot-count")).to_have_text(count)
    expect_answers("fits", "does_not_fit", "does_not_fit")
    assert Vote.objects.filter(photo=answered).count() == 1


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
    """A key held down, hit twice, or hit before the next photo is visible gives one vote."""
    page = page_for("validator", reduced_motion="no-preference")
    open_ballot(page, campaign)
    page.evaluate(
        """() => { for (const repeat of [false, true, true, false])
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "f", repeat, bubbles: true})); }"""
    )
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    page.locator("#answer-d").focus()
    for _ in range(3):
        page.wait_for_selector(READY)
        page.keyboard.down("Enter")
    expect(page.locator(".ballot-count")).to_have_text("3 of 3")
    page.keyboard.up("Enter")
    expect_answers("fits", "does_not_fit")


def test_switching_the_language_gives_no_answer(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.get_by_role("button", name="Русский").click()
    expect(page.get_by_role("heading", name="Подходит ли")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    assert answers() == []


def test_no_total_is_shown_while_there_are_too_many_to_count(
    make_campaign: MakeCampaign,  # noqa: F811
    page_for: PageFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assignment, "COUNTED", 4)
    campaign = make_campaign(*["cafe", "bar"] * 3)
    Campaign.objects.update(would_post_share=0)
    page = page_for("validator")
    open_ballot(page, campaign)
    for count in ("0 answered", "1 answered", "2 answered"):
        expect(page.locator(".ballot-count")).to_have_text(count)
        expect(page.locator(".ballot progress")).to_be_hidden()
        press(page, "f")
    expect(page.locator(".ballot-count")).to_have_text("4 of 6")
    expect(page.locator(".ballot progress")).to_be_visible()


def test_a_hundred_photos_by_keyboard(make_campaign: MakeCampaign, page_for: PageFor) -> None:  # noqa: F811
    campaign = make_campaign(*["cafe", "bar"] * 50)
    Campaign.objects.update(would_post_share=0)
    page = page_for("validator")
    open_ballot(page, campaign)
    press(page, *["f", "d", "ArrowRight", "s", "ArrowLeft"] * 20)
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    wait_for(lambda: Vote.objects.count() == 100, 20, "not every answer arrived")
    assert len(set(Vote.objects.values_list("photo", "hashtag"))) == 100
    verdicts = answers()
    assert [verdicts.count(one) for one in ("fits", "does_not_fit", "skip")] == [40, 40, 20]


def test_reason_and_would_post_are_asked_after_the_vote(campaign: Campaign, page_for: PageFor) -> None:
    """Both questions come after the vote, and neither delays the next photo."""
    page = page_for("validator")
    open_ballot(page, campaign)
    press(page, "d")
    page.keyboard.press("2")
    wait_for(lambda: Vote.objects.filter(reason="too_general").count() == 1, 20, "no reason")
    Campaign.objects.update(would_post_share=1)
    open_ballot(page, campaign)
    press(page, "f")
    expect(page.get_by_role("heading", name="Would you post")).to_be_visible()
    press(page, "n")
    expect(page.get_by_role("heading", name="Does #")).to_be_visible()
    wait_for(lambda: Vote.objects.filter(would_post=False).count() == 1, 20, "nothing about posting")
    assert answers() == ["does_not_fit", "fits"]


def swipe(page: Page, dx: float, dy: float = 0) -> None:
    """Move a finger over the photo in steps, as a touch screen reports it."""
    page.wait_for_selector(READY)
    box = page.locator(".ballot-photo").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)
    points = [[{"x": x + dx * part / 6, "y": y + dy * part / 6}] for part in range(7)]
    kinds = ["touchStart", *["touchMove"] * 6]
    for kind, touches in [*zip(kinds, points, strict=True), ("touchEnd", [])]:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_swipes_vote_on_a_phone(campaign: Campaign, page_for: PageFor) -> None:
    phone = {"width": 390, "height": 700, "has_touch": True, "is_mobile": True}
    page = page_for("validator", reduced_motion="no-preference", **phone)
    open_ballot(page, campaign)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    swipe(page, 160)
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    swipe(page, -160)
    expect(page.locator(".ballot-count")).to_have_text("3 of 3")
    swipe(page, 0, -150)
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    expect_answers("fits", "does_not_fit", "skip")


def drag(page: Page, what: str, dx: float, dy: float = 0) -> None:
    """The same with a mouse."""
    box = page.locator(what).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def test_zooming_scrolling_and_selecting_give_no_vote(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator", width=390, height=700, has_touch=True, is_mobile=True)
    open_ballot(page, campaign)
    look = page.context.new_cdp_session(page)
    look.send("Emulation.setPageScaleFactor", {"pageScaleFactor": 2})
    page.wait_for_function("() => visualViewport.scale === 2")
    drag(page, ".ballot-photo", -120)
    swipe(page, -120)
    page.wait_for_function("() => visualViewport.offsetLeft > 20")  # the finger moves the page about
    look.send("Emulation.setPageScaleFactor", {"pageScaleFactor": 1})
    page.wait_for_function("() => visualViewport.scale === 1")
    drag(page, "figcaption", -160)
    page.set_viewport_size({"width": 740, "height": 340})  # on its side
    drag(page, ".ballot-photo", 0, -120)
    swipe(page, 0, -120)
    expect(page.locator(".ballot-count")).to_have_text("1 of 3")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    swipe(page, 160)
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    expect_answers("fits")


def test_taps_vote_on_a_phone(campaign: Campaign, page_for: PageFor) -> None:
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
    page.context.set_offline(False)  # the browser reports it, and the queue is sent at once
    expect_answers("fits")
    lost_requests: list[str] = []

    def lose(route: Route) -> None:
        lost_requests.append(route.request.url)
        route.fetch()
        with suppress(Error):  # the page has been left meanwhile
            route.abort()

    page.route("**/votes/", lose)
    press(page, "s")
    expect_answers("fits", "skip", page=page)
    open_ballot(page, campaign)  # the answer is known to the server and waits in the page: one to take back
    page.keyboard.press("u")
    expect(page.locator("#undo")).to_be_hidden()
    page.unroute("**/votes/")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_function("() => !localStorage.length")
    assert lost_requests
    assert answers() == ["fits"]
    expect(page.get_by_role("button", name="Undo: fits")).to_be_visible()


def test_answer_of_a_proxy_does_not_refuse_a_vote(campaign: Campaign, page_for: PageFor) -> None:
    """A proxy's error page refuses no vote, and its Retry-After does not decide how long people wait."""
    page = page_for("validator")
    open_ballot(page, campaign)
    page.evaluate(f"{NETWORK}.then(({{ LIMITS }}) => {{ LIMITS.longestWait = .01 }})")
    statuses = [503, 404]

    def proxy(route: Route) -> None:
        if statuses:
            route.fulfill(status=statuses.pop(0), headers={"Retry-After": "86400"}, body="<h1>Elsewhere</h1>")
        else:
            route.continue_()

    page.route("**/votes/", proxy)
    press(page, "f")
    expect_answers("fits", page=page)


def test_vote_that_fails_on_the_server_lets_the_others_pass(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.evaluate(f"{QUEUE}.then(({{ VoteQueue }}) => {{ VoteQueue.ENOUGH = 1 }})")
    photo = asked(page).photo_id

    def stumble(route: Route) -> None:
        bad = f"photo={photo}&" in (route.request.post_data or "")
        route.fulfill(status=500, body="<h1>Server Error</h1>") if bad else route.continue_()

    page.route("**/votes/", stumble)
    press(page, "f", "d", "s")
    expect_answers("does_not_fit", "skip", page=page)
    expect(page.locator(".ballot-unsent")).to_have_text("1 unsent")
    page.unroute("**/votes/")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect_answers("does_not_fit", "skip", "fits")


def test_a_full_storage_loses_nothing(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    press(page, "f")
    page.evaluate(
        """() => { for (let size = 4e6; size > 9; size /= 2)
        try { for (let n = 0; ; n += 1) localStorage.setItem(`${size}:${n}`, "x".repeat(size)); }
        catch { /* less, then */ } }"""
    )
    press(page, "d", "s")
    page.evaluate(
        "Object.keys(localStorage).forEach((key) => key.includes('votes') || localStorage.removeItem(key))"
    )
    page.context.set_offline(False)
    expect_answers("fits", "does_not_fit", "skip")


def test_last_answer_is_sent_although_the_page_is_left(
    campaign: Campaign, page_for: PageFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a connection, because all six of the browser's are busy."""
    page = page_for("validator")
    open_ballot(page, campaign)
    page.wait_for_load_state("networkidle")
    is_answered, state = Event(), vote._state
    monkeypatch.setattr(vote, "_state", lambda *given: (is_answered.wait(10), state(*given))[1])
    page.evaluate("for (let n = 1; n < 7; n += 1) fetch(`${ballot.dataset.next}?n=${n}`); 0")
    press(page, "f")
    page.wait_for_function("() => localStorage[ballot.dataset.store].includes('\"tries\":1')")
    page.goto("about:blank")
    is_answered.set()
    expect_answers("fits")


def test_unsent_votes_of_a_closed_campaign_are_reported_as_not_kept(
    campaign: Campaign, page_for: PageFor
) -> None:
    """The page must not say that they were kept."""
    page = page_for("validator")
    open_ballot(page, campaign)
    page.wait_for_load_state("networkidle")
    # Not offline: requests sent while the page is left (keepalive) arrive once the connection is back.
    page.route("**/votes/", lambda route: route.abort())
    press(page, "f", "d")
    expect(page.locator(".ballot-unsent")).to_have_text("2 unsent")
    page.goto("about:blank")
    acts.set_open(
        campaign=campaign, is_open=False
    )  # before the last try of the page that was left can arrive
    page.unroute("**/votes/")
    page.goto(f"/validation/vote/{campaign.pk}/")
    expect(page.locator(".ballot-trouble")).to_contain_text("campaign had closed: 2.")
    assert page.evaluate("localStorage.length") == 0
    assert answers() == []


def test_vote_that_was_not_kept_cannot_be_undone_or_explained(campaign: Campaign, page_for: PageFor) -> None:
    """One photo was withdrawn, and another was answered differently in another window."""
    page = page_for("validator")
    open_ballot(page, campaign)
    acts.withdraw_photo(campaign=campaign, photo=asked(page).photo)
    expect_refused(page, "withdrawn")
    one = asked(page)
    votes.record_vote(
        campaign=campaign,
        person=User.objects.get(username="validator"),
        photo=one.photo,
        hashtag=one.hashtag,
        answer="fits",
        request_id=uuid4(),
    )
    expect_refused(page, "already answered this: fits")
    expect(page.locator(".ballot-count")).to_have_text("2 of 2")
    press(page, "s")
    expect_answers("fits", "skip")


def asked(page: Page) -> Question:
    page.wait_for_selector(READY)
    image = page.locator(".ballot-photo img").first.get_attribute("src") or ""
    return Question.objects.get(photo=int(image.split("/")[-1].split(".")[0]))


def expect_refused(page: Page, words: str) -> None:
    press(page, "d")
    expect(page.locator(".ballot-trouble")).to_contain_text(words)
    expect(page.locator(".ballot-why")).to_have_class("ballot-why is-empty")
    expect(page.locator("#undo")).to_be_hidden()


def test_nobody_judges_a_photo_they_have_not_seen(campaign: Campaign, page_for: PageFor) -> None:
    """One that is not here yet is awaited, and one that cannot be loaded may can only skip it."""
    page = page_for("validator")
    page.clock.install()
    held_routes = hold(page, "**/*.jpg*")
    page.goto(f"/validation/vote/{campaign.pk}/", wait_until="domcontentloaded")
    page.wait_for_selector(".is-live")
    page.clock.fast_forward(1_000)
    page.keyboard.press("f")
    expect(page.locator(".ballot-count")).to_have_text("1 of 3")
    page.route("**/*.jpg*", lambda route: route.abort())
    for route in held_routes:
        route.abort()
    trouble = page.locator(".ballot-trouble")
    expect(trouble).to_contain_text("can only skip it")
    press(page, "f", "s")
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    expect(trouble).to_contain_text("can only skip it")
    page.unroute("**/*.jpg*")
    press(page, "s", "f")
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    expect_answers("skip", "skip", "fits")


def test_requests_that_hang_do_not_block_the_ballot(make_campaign: MakeCampaign, page_for: PageFor) -> None:  # noqa: F811
    """A photo, a vote that brings more, and the request for more."""
    campaign = make_campaign(*["cafe", "bar", "sport"] * 2)
    Campaign.objects.update(would_post_share=0)
    page = page_for("validator")
    page.clock.install()
    page.add_init_script(
        "patience = 300; { const { timeout } = AbortSignal;"
        "AbortSignal.timeout = (ms) => timeout.call(AbortSignal, Math.min(ms, patience)); }"
    )
    photos: list[str] = []

    def slow(route: Route) -> None:
        path = route.request.url.split("?")[0]
        if path not in photos:
            photos.append(path)
        if photos.index(path) != 1:
            route.continue_()

    page.route("**/*.jpg*", slow)
    hold(page, "**/next/*")
    hold(page, "**/votes/")
    open_ballot(page, campaign)
    press(page, "f", "d")
    expect(page.get_by_role("heading", name="Waiting for the next photo")).to_be_visible()
    page.evaluate("patience = 15_000")
    page.unroute("**/next/*")
    page.unroute("**/votes/")
    page.clock.fast_forward(3_000)
    expect(page.get_by_role("heading", name="Does #")).to_be_visible()
    press(page, "s")
    expect_answers("fits", "does_not_fit", "skip", page=page)


def test_a_vote_brings_the_next_questions(make_campaign: MakeCampaign, page_for: PageFor) -> None:  # noqa: F811
    """One request for each judged photo: nothing is asked for beside the votes."""
    campaign = make_campaign(*["cafe", "bar", "sport"] * 4)
    Campaign.objects.update(would_post_share=0)
    page = page_for("validator")
    paths: list[str] = []
    open_ballot(page, campaign)
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: paths.append(request.url.partition("?")[0].split("/")[-2]))
    press(page, *"fdsfdsfds")
    expect_answers(*["fits", "does_not_fit", "skip"] * 3, page=page)
    page.wait_for_load_state("networkidle")  # the last answer may be kept before its request is told of
    assert (paths.count("votes"), paths.count("next")) == (9, 0)


def test_ballot_works_without_script(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator", java_script_enabled=False)
    page.goto(f"/validation/vote/{campaign.pk}/")
    page.get_by_role("button", name="Skip").click()
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".ballot-count")).to_have_text("1 of 3")
    assert answers() == []


def test_person_who_was_signed_out_is_led_to_the_sign_in_page(campaign: Campaign, page_for: PageFor) -> None:
    page = page_for("validator")
    open_ballot(page, campaign)
    page.context.clear_cookies()
    page.keyboard.press("f")
    page.wait_for_selector("input[name=username]")
    assert answers() == []
