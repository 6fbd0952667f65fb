"""A curator's session in a real browser: sixty classes by keyboard alone, then by touch on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page, Route, expect

from mapping.models import Change, MappingEntry
from tests.mapping.conftest import few  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., Page]
SESSION = 60
COUNTED = 25  # classes whose keys docs/measured.md counts
COUNT_KEYS = """addEventListener("keydown", () =>
  sessionStorage.setItem("keys", 1 + Number(sessionStorage.getItem("keys"))), true)"""


def key_of(page: Page) -> str:
    return page.locator(".queue-class code").inner_text()


def press(page: Page, key: str) -> None:
    """Press a key, and wait until the next class is visible, as a curator does."""
    before = key_of(page)
    page.keyboard.press(key)
    expect(page.locator(".queue-class code")).not_to_have_text(before)


@pytest.mark.usefixtures("catalogue")
def test_curator_decides_sixty_classes_by_keyboard_only(page_for: PageFor) -> None:
    page = page_for("curator")
    page.add_init_script(COUNT_KEYS)
    page.goto("/mapping/queue/")
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    truth = {
        row.scene_class.key: row.label
        for row in MappingEntry.objects.select_related("scene_class", "hashtag")
    }
    answers: dict[str, str] = {}
    while len(answers) < SESSION:
        key = key_of(page)
        answer = answers[key] = truth[key] or ""
        if answer == "other":
            press(page, "o")
        elif (button := page.locator(f'.verdict[value="{answer}"][data-keys]').first).count():
            press(page, button.get_attribute("data-keys") or "")
        else:
            page.keyboard.press("/")
            page.keyboard.type(answer)
            expect(page.locator("#found button").first).to_have_value(answer)
            press(page, "Enter")
        if len(answers) == COUNTED:
            assert page.evaluate("Number(sessionStorage.getItem('keys'))") == COUNTED
    assert wrong == []
    rows = MappingEntry.objects.filter(status="confirmed").select_related("scene_class", "hashtag")
    assert {row.scene_class.key: row.label for row in rows} == answers
    assert Change.objects.count() == SESSION


@pytest.mark.usefixtures("few")
def test_keys_for_note_sense_help_moving_and_undo_work(page_for: PageFor) -> None:
    MappingEntry.objects.filter(scene_class__key="a/abbey").update(hypernym_sense="church.n.02")
    page = page_for("curator")
    page.goto("/mapping/queue/")
    page.locator(".tree").scroll_into_view_if_needed()
    expect(page.locator(".tree input:checked")).to_be_in_viewport()
    first = page.locator("input[name=sense]:checked")
    sense = first.input_value()
    page.keyboard.press("s")
    expect(first).not_to_have_value(sense)
    page.keyboard.press("s")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    press(page, "ArrowRight")
    press(page, "ArrowLeft")
    page.keyboard.press("n")
    page.keyboard.type("half of 1 monastery")  # o and 1 are letters here
    page.keyboard.press("Enter")
    assert key_of(page) == "a/abbey"
    press(page, "Enter")  # keep
    abbey = MappingEntry.objects.get(scene_class__key="a/abbey")
    assert (abbey.label, abbey.status, abbey.note) == ("church", "confirmed", "half of 1 monastery")
    press(page, "o")
    press(page, "u")
    press(page, "u")
    assert key_of(page) == "a/abbey"
    assert not MappingEntry.objects.filter(status="confirmed").exists()


@pytest.mark.usefixtures("few")
def test_key_held_down_or_hit_twice_is_one_decision(page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/mapping/queue/")
    page.evaluate(
        """() => { for (const repeat of [false, true, true, false])
        document.dispatchEvent(new KeyboardEvent("keydown", {key: "o", repeat, bubbles: true})); }"""
    )
    expect(page.locator(".queue-class code")).to_have_text("a/alley")
    assert Change.objects.count() == 1


@pytest.mark.usefixtures("few")
def test_key_pressed_as_soon_as_the_next_class_is_there_decides_about_it(page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/mapping/queue/")
    page.evaluate(
        """() => {
          window.isSamePage = true;
          const observer = new MutationObserver(() => {
            if (document.querySelector(".queue-class code").textContent !== "a/alley") return;
            observer.disconnect();
            document.dispatchEvent(new KeyboardEvent("keydown", {key: "o", bubbles: true}));
          });
          observer.observe(document.querySelector("main"), {childList: true, subtree: true});
        }"""
    )
    page.keyboard.press("o")
    expect(page.locator(".queue-class code")).not_to_have_text(re.compile("a/abbey|a/alley"))
    assert page.evaluate("window.isSamePage")  # the form was sent by htmx, not by the browser with a new page
    assert Change.objects.count() == 2


@pytest.mark.usefixtures("few")
def test_curator_decides_by_touch_and_confirms_a_group_on_a_phone(page_for: PageFor) -> None:
    page = page_for("curator", width=390, height=844, has_touch=True)
    page.goto("/mapping/queue/")
    page.get_by_role("button", name="keep #church").tap()
    expect(page.locator(".queue-class code")).to_have_text("a/alley")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto("/mapping/")
    page.get_by_label("Tick beach").check()
    page.get_by_label("Tick toyshop").check()
    expect(page.get_by_text("2 of 7 ticked")).to_be_visible()
    page.get_by_role("button", name="Confirm ticked as they are").tap()
    expect(page.get_by_text("2 classes: confirmed. Saved.")).to_be_visible()
    assert MappingEntry.objects.filter(status="confirmed").count() == 3


@pytest.mark.usefixtures("few")
def test_server_that_does_not_answer_loses_nothing(page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/mapping/queue/")
    page.context.set_offline(True)
    page.keyboard.press("o")
    expect(page.get_by_text("The server did not answer.")).to_be_visible()
    page.context.set_offline(False)
    press(page, "o")
    assert Change.objects.count() == 1


@pytest.mark.usefixtures("catalogue")
def test_enter_before_the_results_have_come_takes_the_first_of_them(page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/mapping/queue/")
    before = key_of(page)
    asked: list[Route] = []
    page.route("**/queue/hashtags/*", lambda route: asked.append(route))
    page.keyboard.press("/")
    page.keyboard.type("street")
    page.keyboard.press("Enter")
    assert page.locator("#found button").count() == 0
    page.unroute("**/queue/hashtags/*")
    for route in asked:
        with suppress(Error):  # the next letter has taken its place
            route.continue_()
    expect(page.locator(".queue-class code")).not_to_have_text(before)
    assert MappingEntry.objects.get(status="confirmed").label == "street"
    press(page, "u")  # a key again, no letter in the box
    assert not MappingEntry.objects.filter(status="confirmed").exists()


@pytest.mark.usefixtures("few")
def test_enter_saves_another_sense_of_a_confirmed_class(page_for: PageFor) -> None:
    page = page_for("curator")
    page.goto("/mapping/queue/?status=&at=a/abbey")
    press(page, "Enter")
    page.goto("/mapping/queue/?status=&at=a/abbey")
    page.keyboard.press("s")
    chosen = page.locator("input[name=sense]:checked").input_value()
    press(page, "Enter")
    abbey = MappingEntry.objects.get(scene_class__key="a/abbey")
    assert (abbey.sense, abbey.label, abbey.status) == (chosen, "church", "confirmed")
