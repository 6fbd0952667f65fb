"""A zip, photos and a table are dropped together; the upload is cut, goes on, and becomes a campaign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from pytest_django import Settings

from jobs.models import Job
from mapping.models import Hashtag
from tests.validation.conftest import hashtags, model
from tests.validation.photos.hostile import archive
from tests.validation.photos.test_intake import noise
from trainer.models import TrainedModel
from validation.models import Campaign, Intake, Photo, Upload

__all__ = ["hashtags", "model"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PIECE = 5000  # bytes: the zip has several


def test_interrupted_drop_goes_on_and_becomes_a_campaign(
    page_for: Callable[..., Page],
    run_jobs: Callable[[], list[Job]],
    hashtags: dict[str, Hashtag],
    model: TrainedModel,
    settings: Settings,
    tmp_path: Path,
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.UPLOAD_PIECE_BYTES = PIECE
    files = {
        "many.zip": archive({f"{n}.jpg": noise(n, (400, 300)) for n in range(10, 13)}),
        **{f"{n}.jpg": noise(n) for n in range(3)},
        "list.csv": b"file,author\n0.jpg,Ann\n11.jpg,Bo\n",
        "notes.txt": b"no photo",
    }
    folder = tmp_path / "chosen"
    folder.mkdir()
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    paths = [folder / name for name in files]
    page = page_for("admin")
    page.goto("/validation/intakes/new/")

    def cut(route: Route) -> None:
        offset = int(route.request.headers.get("upload-offset", "0"))
        route.abort() if offset >= PIECE else route.continue_()

    page.route("**/validation/uploads/*/", cut)
    page.locator("#id_name").fill("Dropped")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()  # it is there once its script is
    chooser.value.set_files(paths)
    expect(page.locator("[data-refused]")).to_contain_text("notes.txt: Photos (JPEG")
    expect(page.get_by_text("5 files,")).to_be_visible()
    page.get_by_role("button", name="Take photos in").click()
    row = page.locator("[data-list] li", has_text="many.zip")
    expect(page.get_by_text("4 of 5 files uploaded")).to_be_visible()
    page.reload()  # first, or the page tries again and goes on
    page.unroute("**/validation/uploads/*/")
    expect(row).to_contain_text("not complete")
    begun = Upload.objects.get(name="many.zip")
    assert begun.offset == PIECE
    page.locator("#id_name").fill("Dropped")
    offsets: list[str] = []
    page.on("request", lambda request: offsets.append(request.headers.get("upload-offset", "")))
    with page.expect_file_chooser() as chooser:
        row.get_by_role("button", name="Go on").click()
    chooser.value.set_files(folder / "many.zip")
    page.get_by_role("button", name="Take photos in").click()
    expect(page.get_by_role("heading", name="Dropped")).to_be_visible()
    assert str(PIECE) in offsets
    assert "0" not in offsets
    intake = Intake.objects.get()
    run_jobs()
    assert intake.files.filter(state="taken").count() == 6
    page.reload()
    page.get_by_role("link", name="Make a campaign of these 6").click()
    expect(page.locator("#effort")).to_contain_text("6 photos, 6 with a suggestion: 21 to 33 votes")
    page.locator("#id_name").fill("From a drop")
    page.locator("[name=votes_per_photo]").fill("5")
    expect(page.locator("#effort")).to_contain_text("35 to 47 votes")
    page.get_by_role("button", name="Create and predict").click()
    expect(page.get_by_role("heading", name="From a drop")).to_be_visible()
    assert Campaign.objects.get().photos.count() == 6
    assert set(Photo.objects.values_list("author", flat=True)) == {"", "Ann", "Bo"}
