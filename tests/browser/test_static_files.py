"""Scripts as a real installation serves them: collected, compressed and named by their content."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test.testcases import LiveServerThread
from playwright.sync_api import ConsoleMessage, Page, Request, expect
from pytest_django import Settings

from hashtags_site import settings as production
from tests.validation.conftest import MakeCampaign, hashtags, make_campaign, model  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., Page]
OF_THE_API = ["drf_spectacular_sidecar", "rest_framework"]


@pytest.fixture
def address(transactional_db: None, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """A server whose static files come from WhiteNoise; `live_server` would find them in the source."""
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = production.STORAGES
    # The API's pages are four fifths of the files; `manage.py up` collects them in tests/site/test_up.py.
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=OF_THE_API)
    server = LiveServerThread("localhost", lambda handler: handler)  # type: ignore[arg-type]
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    yield f"http://localhost:{server.port}"
    server.terminate()


def watch(page: Page, address: str) -> tuple[list[str], list[str]]:
    """The names of the scripts that the page requests, and the browser's errors."""
    names: list[str] = []
    complaints: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "script":
            names.append(request.url.split("/static/")[-1])

    def complain(message: ConsoleMessage) -> None:
        # page_for starts on the other server, which has no files with a hash.
        if message.type == "error" and message.location["url"].startswith(address):
            complaints.append(message.text)

    page.on("request", note)
    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return names, complaints


def expect_hashed(names: list[str], *modules: str) -> None:
    plain = [re.sub(r"\.[0-9a-f]{12}\.js$", "", name) for name in names]
    assert set(modules) <= set(plain), plain
    assert not [name for name in plain if name.endswith(".js")]  # all had a hash


def test_modules_find_each_other_under_hashed_names(
    address: str,
    make_campaign: MakeCampaign,  # noqa: F811
    page_for: PageFor,
) -> None:
    campaign = make_campaign("cafe", "bar", "sport")
    page = page_for("validator")
    names, complaints = watch(page, address)
    page.goto(f"{address}/validation/vote/{campaign.pk}/")
    page.wait_for_selector("#ballot[data-ready]")
    page.keyboard.press("s")
    expect(page.locator(".ballot-count")).to_have_text("2 of 3")
    expect_hashed(names, "site/keys", "validation/vote", "validation/vote_network", "validation/vote_queue")
    page = page_for("curator")
    names, more = watch(page, address)
    page.goto(f"{address}/mapping/settle/")
    expect_hashed(names, "site/keys", "mapping/settle", "mapping/one_answer")
    assert complaints + more == []
