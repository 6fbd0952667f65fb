"""Every page of the site, wide and on a phone, light and dark: readable by everybody, and nothing is cut.

axe-core looks for what a machine can find: contrast, names of controls, headings, areas without keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import Group, User
from django.test import Client
from playwright.sync_api import Page, ViewportSize

from tests.browser.lived_in import live_in
from tests.site.access import ACCESS
from tests.site.addresses import all_addresses
from tests.site.conftest import World, world  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., Page]

WIDE = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
# Colours are all that differs in the dark, so only they are looked at there.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
ONLY_FOR_STRANGERS = {"validation:join", "people:join", "login"}

SHORT = r"const short = (text) => text.replace(/\s+/g, ' ').slice(0, 160);"
AXE = (
    """async (options) => { """
    + SHORT
    + """
  const found = await axe.run(document, {resultTypes: ["violations"], ...options});
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id}: ${short(node.html)} ${node.failureSummary.split("\\n")[1] ?? ""}`));
}"""
)

# How far apart the middles of what the head of the page shows are: 0 in one line. As many notices are new as
# are counted.
APART = """() => {
  document.querySelector(".bell span").innerHTML = '<span class="badge">99+</span>';
  const boxes = document.querySelectorAll(".top > :not(nav, [popover]), .top nav a");
  const middles = [...boxes].filter((box) => box.checkVisibility())
    .map((box) => box.getBoundingClientRect()).map((box) => (box.top + box.bottom) / 2);
  return Math.max(...middles) - Math.min(...middles);
}"""

# What sticks out of the page, and what is cut: boxes that hide a part of their content to the right, unless
# they can be scrolled and show so.
CUT = (
    """() => { """
    + SHORT
    + """
  const faults = [];
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) {
    const sticksOut = (box) => box.getBoundingClientRect().right > innerWidth + 1;
    const out = [...document.body.querySelectorAll("*")].filter(sticksOut).slice(0, 2);
    faults.push(`${wide} px wider than the screen: ${out.map((box) => short(box.outerHTML))}`);
  }
  for (const box of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(box);
    if (style.overflowX === "visible" || box.scrollWidth <= box.clientWidth + 1) continue;
    if (box.clientWidth < 20 || !box.checkVisibility({visibilityProperty: true})) continue;
    if (box.matches("input, textarea, select, option, svg, svg *, .visually-hidden")) continue;
    const cue = style.backgroundImage + style.maskImage;
    if (!/auto|scroll/.test(style.overflowX)) faults.push(`cut: ${short(box.outerHTML)}`);
    else if (!/gradient/.test(cue)) faults.push(`scrolls without a cue: ${short(box.outerHTML)}`);
  }
  return faults;
}"""
)


def paths_of(client: Client, world: World) -> list[str]:  # noqa: F811
    """The addresses that answer this person with a page."""
    paths = []
    for address in all_addresses():
        if "GET" in ACCESS[address.name] and not address.is_api and address.name not in ONLY_FOR_STRANGERS:
            response = client.get(world.path(address))
            is_page = response.get("Content-Type", "").startswith("text/html")
            if response.status_code == 200 and is_page and b"<main" in response.content:
                paths.append(world.path(address))
    return paths


def faults_at(page: Page, path: str) -> list[str]:
    """In all four looks, without loading the page again."""
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    page.goto(path, wait_until="load")
    page.evaluate(AXE_SCRIPT)
    faults = [f"wide, light: {fault}" for fault in page.evaluate(AXE, {})]
    page.emulate_media(color_scheme="dark")
    faults += [f"wide, dark: {fault}" for fault in page.evaluate(AXE, COLOURS)]
    page.set_viewport_size(PHONE)
    faults += [f"phone, dark: {fault}" for fault in page.evaluate(AXE, COLOURS)]
    page.emulate_media(color_scheme="light")
    faults += [f"phone, light: {fault}" for fault in page.evaluate(AXE, {})]
    faults += [f"phone: {fault}" for fault in page.evaluate(CUT)]
    return [f"{path} {fault}" for fault in faults]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_navigation_of_somebody_who_may_do_everything_is_one_line(
    page_for: PageFor, user_for: Callable[..., User], language: str
) -> None:
    user_for("administrator").groups.set(Group.objects.all())
    page = page_for("administrator", locale=language, width=WIDE["width"])
    page.goto("/")
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator(".top nav a").count() == 11
    assert page.evaluate(APART) < 8


def test_every_page_can_be_read_by_everybody(
    world: World,  # noqa: F811
    page_for: PageFor,
    client_for: Callable[..., Client],
    user_for: Callable[..., User],
) -> None:
    live_in(world)
    user_for("admin").groups.set(Group.objects.all())
    options: dict[str, Any] = {"bypass_csp": True}
    page = page_for("admin", **options)
    faults = [fault for path in paths_of(client_for("admin"), world) for fault in faults_at(page, path)]
    outside = page_for("stranger", **options)
    for name in ONLY_FOR_STRANGERS:
        path = next(world.path(address) for address in all_addresses() if address.name == name)
        faults += faults_at(outside, path)
    assert not faults, "\n".join(faults)
