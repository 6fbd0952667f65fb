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
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = 12
DECIDED_AGAIN = "c/coffee_shop"  # the class on the picture of the queue


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
            _fill()
            _take(f"http://localhost:{port}", out)
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


def _fill() -> None:
    """Reopens some classes of the mapping, and lets a made-up crowd vote."""
    import django

    django.setup()
    from django.contrib.auth.models import Group, User

    from mapping.models import MappingEntry
    from validation.models import Campaign
    from validation.voting.assignment import assign
    from validation.voting.votes import record_vote

    rows = MappingEntry.objects.filter(scene_class__key__gte=DECIDED_AGAIN)
    again = rows.order_by("scene_class__key").values("pk")[:60]
    MappingEntry.objects.filter(pk__in=again).update(status=MappingEntry.Status.IMPORTED)

    chance = random.Random(3)  # noqa: S311
    campaign = Campaign.objects.get()
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


def _take(address: str, out: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        _shoot(browser, address, "curator", f"/mapping/queue/?at={DECIDED_AGAIN}", out / "queue.png")
        _shoot(
            browser, address, "validator", "/validation/vote/1/", out / "ballot.png", width=390, height=780
        )
        _shoot(browser, address, "viewer", "/validation/agreement/?campaign=1", out / "dashboard.png")
        browser.close()


def _shoot(
    browser: Browser, address: str, name: str, path: str, file: Path, *, width: int = 1280, height: int = 800
) -> None:
    phone = width < 500
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        device_scale_factor=2 if phone else 1,
        has_touch=phone,
        is_mobile=phone,
    )
    page = context.new_page()
    page.goto("/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", name)
    page.click("main form button")
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file)
    context.close()
    print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")


if __name__ == "__main__":
    main()
