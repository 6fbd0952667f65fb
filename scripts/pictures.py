"""Takes README's three pictures from a demo of its own: python scripts/pictures.py [--out docs/pictures]

The photos are the free samples; the votes behind the dashboard are made up, with the model's confidence as
the chance that a person agrees.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = 12
ON_THE_BALLOT = "000000078499.jpg"  # a landscape
REOPENED = "k/kitchen"  # the class on the picture of the queue


@dataclass(frozen=True)
class Picture:
    file: str
    account: str  # of the demo; its password is the same
    path: str
    width: int = 1280
    height: int = 800

    @property
    def is_phone(self) -> bool:
        return self.width < 500


PICTURES = (
    Picture("queue.png", "curator", f"/mapping/queue/?at={REOPENED}"),
    Picture("ballot.png", "validator", "/validation/vote/1/", width=390, height=844),
    Picture("dashboard.png", "viewer", "/validation/agreement/?campaign=1"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scenetag-pictures-") as folder:
        os.environ |= {"SCENETAG_VAR": folder, "DJANGO_SETTINGS_MODULE": "hashtags_site.settings"}
        port = _free_port()
        site = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", "--demo", "--port", str(port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            _wait_until_ready(site, port)
            _map()
            _leave_one_question()
            _take(f"http://localhost:{port}", out, PICTURES[:2])
            _vote()
            _take(f"http://localhost:{port}", out, PICTURES[2:])
        finally:
            site.terminate()
            site.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(site: subprocess.Popen[str], port: int) -> None:
    assert site.stdout
    for line in site.stdout:
        print(line, end="")
        if f":{port}" in line:
            return
    raise SystemExit("The demo did not start.")


def _map() -> None:
    """Confirms the mapping but for the last classes, from the one on the picture on."""
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from mapping.models import MappingEntry

    classes = MappingEntry.objects.all()
    classes.filter(scene_class__key__lt=REOPENED).update(status=MappingEntry.Status.CONFIRMED)


def _leave_one_question() -> None:
    """The ballot shows the same photo each time."""
    from validation.models import Question

    Question.objects.exclude(photo__name=ON_THE_BALLOT).update(is_done=True)


def _vote() -> None:
    """Lets a made-up crowd answer everything."""
    from django.contrib.auth.models import Group, User

    from validation.models import Campaign, Question
    from validation.voting.assignment import assign
    from validation.voting.votes import record_vote

    chance = random.Random(3)  # noqa: S311
    campaign = Campaign.objects.get()
    Question.objects.update(is_done=False)
    for number in range(PEOPLE):
        person = User.objects.create_user(f"person{number + 1}")
        person.groups.add(Group.objects.get(name="validator"))
        while questions := assign(campaign=campaign, person=person).questions:
            question = questions[0]
            agrees = chance.random() < (question.confidence or 0.1)
            record_vote(
                campaign=campaign,
                photo=question.photo,
                hashtag=question.hashtag,
                person=person,
                answer="fits" if agrees else "does_not_fit",
                request_id=uuid4(),
                seconds=chance.uniform(1.5, 6),
            )


def _take(address: str, out: Path, pictures: Sequence[Picture]) -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", program)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in pictures:
            _shoot(browser, address, picture, out / picture.file)
        browser.close()


def _shoot(browser: Browser, address: str, picture: Picture, file: Path) -> None:
    context = browser.new_context(
        base_url=address,
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=2 if picture.is_phone else 1,
        has_touch=picture.is_phone,
        is_mobile=picture.is_phone,
    )
    page = context.new_page()
    page.goto("/login/")
    page.fill("[name=username]", picture.account)
    page.fill("[name=password]", picture.account)
    page.click("main form button")
    page.goto(picture.path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file)
    context.close()
    print(file)


if __name__ == "__main__":
    main()
