"""Figures as PNG, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("few")]


def test_figure_is_saved_as_png(page_for: Callable[..., Page]) -> None:
    page = page_for("viewer")
    page.goto("/mapping/hashtags/")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the popularity as PNG").click()
    assert waiting.value.suggested_filename == "figure-6-posts.png"
    with Image.open(waiting.value.path()) as picture:
        assert picture.format == "PNG"
        assert picture.width == 2 * 640
        colours = {colour for _, colour in picture.convert("RGB").getcolors(100_000) or ()}
    assert {(255, 255, 255), (0x1D, 0x5A, 0x96)} <= colours  # the paper and the bars
    page.route("**/posts.svg", lambda route: route.fulfill(status=503))
    page.get_by_role("button", name="Download the popularity as PNG").click()
    page.wait_for_selector("text=PNG failed")
