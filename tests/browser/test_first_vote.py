"""From an empty installation to the first vote in a browser: after `manage.py up` nobody needs a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as site_settings
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from hashtags_site.management.commands.up import Command
from jobs.models import Job
from mapping.models import SceneClass
from people.models import Installation
from trainer.models import Promotion
from validation.models import Campaign, Photo, Vote

SAMPLES = sorted((site_settings.BASE_DIR / "samples/campaign").glob("*.jpg"))[:3]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("starter"),  # a second browser costs less than a second assembly of the model
]


def test_link_of_up_leads_to_the_first_vote(
    starter: None,
    page_for: Callable[..., Page],
    live_server: LiveServer,
    run_jobs: Callable[[], list[Job]],
    capsys: pytest.CaptureFixture[str],
    settings: Settings,
    tmp_path: Path,
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"

    def finish_jobs(page: Page) -> None:
        for job in run_jobs():
            assert job.state == Job.State.SUCCEEDED, job.error
        page.reload()

    # The account, by the link that `manage.py up` prints.
    Command()._say_how_to_begin(live_server.url)
    link = next(word for word in capsys.readouterr().out.split() if "/people/join/" in word)
    page = page_for("stranger", locale="en")
    page.goto(link)
    page.get_by_label("User name").fill("ann")
    for label in ("Password", "Password again"):
        page.get_by_label(label, exact=True).fill("correct horse 5")
    page.get_by_role("button", name="Join").click()

    # The site: its name, and what is loaded.
    expect(page.get_by_role("heading", name="Set up the site")).to_be_visible()
    page.get_by_label("Name of the site").fill("Tags of Example")
    page.get_by_label("Time zone").select_option("Europe/Riga")
    page.get_by_label("Language").select_option("en")
    page.get_by_text("SUN397’s 397 scene classes").click()
    page.get_by_text("the fast one, on EfficientNet-Lite2").click()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("Load what was chosen at the first start")).to_be_visible()
    finish_jobs(page)
    site = Installation.objects.get()
    assert (site.name, site.time_zone, site.language) == ("Tags of Example", "Europe/Riga", "en")
    assert SceneClass.objects.count() == 397
    active = Promotion.objects.current()
    assert active is not None

    # Photos and a campaign of them.
    page.get_by_role("link", name="Tags of Example").click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="New campaign").first.click()
    page.locator("#id_name").fill("First questions")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()  # it is there once its script is
    chooser.value.set_files(SAMPLES)
    expect(page.get_by_text("3 files,")).to_be_visible()
    page.get_by_text("members and anyone with the link").click()
    page.get_by_role("button", name="Create and predict").click()
    expect(page.get_by_role("heading", name="First questions")).to_be_visible()
    finish_jobs(page)
    campaign = Campaign.objects.get()
    assert campaign.model == active.model
    assert campaign.questions.exists()
    for_guests = page.locator("#id_link").input_value()

    # A guest's vote.
    guest = page_for("stranger", locale="en")
    guest.goto(for_guests)
    guest.get_by_role("button", name="Start").click()
    guest.wait_for_selector("#ballot[data-ready]")
    with guest.expect_response(lambda response: response.request.method == "POST"):
        guest.keyboard.press("f")
    vote = Vote.objects.get()
    assert vote.answer == "fits"
    assert vote.photo in Photo.objects.filter(campaigns=campaign)
