"""In a real Chromium: try a photo, choose what a run learns from, and double-click a promotion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mapping.models import Release
from tests.trainer.conftest import jpeg, write
from trainer.models import PhotoSet, Promotion, TrainedModel, TrainingRun

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PageFor = Callable[..., "Page"]


def test_photo_is_answered_as_soon_as_it_is_chosen(
    page_for: PageFor, active_model: TrainedModel, tmp_path: Path
) -> None:
    page = page_for("admin", width=390)
    page.goto("/trainer/suggest/")
    page.set_input_files("#id_photo", write(tmp_path / "red.jpg", jpeg((250, 10, 10))))
    page.wait_for_selector(".verdict >> text=#beach")
    page.set_input_files("#id_photo", write(tmp_path / "blue.jpg", jpeg((10, 10, 250))))
    page.wait_for_selector(".verdict >> text=No suggestion")
    page.set_input_files("#id_photo", write(tmp_path / "broken.jpg", b"x"))
    page.wait_for_selector("[role=alert] >> text=cannot be read")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_run_form_keeps_what_was_typed_and_a_double_click_starts_one_run(
    page_for: PageFor, photo_set: PhotoSet, release: Release
) -> None:
    PhotoSet.objects.create(name="Empty", source="x", root="x")
    page = page_for("admin")
    page.goto("/trainer/runs/new/")
    assert page.locator("#id_photo_set option").all_inner_texts() == ["Tiny"]
    page.fill("#id_name", "My run")
    page.check("[value=frozen-lite2]")
    with page.expect_response("**/runs/new/?*"):
        page.dispatch_event("#id_release", "change")
    page.wait_for_selector("#run-form:not(.htmx-request)")
    assert page.input_value("#id_name") == "My run"
    page.dblclick("text=Start training")
    page.wait_for_selector("h1 >> text=My run")
    assert TrainingRun.objects.get().preset == "frozen-lite2"


def test_double_click_promotes_once(page_for: PageFor, tiny_model: TrainedModel) -> None:
    page = page_for("admin")
    page.goto(tiny_model.get_absolute_url())
    page.get_by_role("link", name="Promote…").click()
    page.dblclick("button:text('Promote')")
    page.wait_for_selector("text=is the active model")
    assert Promotion.objects.count() == 1


def test_the_slider_says_what_a_target_takes_and_exports_for_it(page_for: PageFor, run: TrainingRun) -> None:
    run.report["targets"] = [
        {
            "target": t / 100,
            "thresholds": {"bar": t / 100},
            "precision": t / 100,
            "coverage": 0.5,
            "tagged_other": None,
        }
        for t in range(50, 100)
    ]
    run.save()
    page = page_for("admin", width=390)
    page.goto(run.get_absolute_url())
    page.focus("#id_target")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("output >> text=89 %")
    assert page.input_value("[name=target_precision]") == "0.89"
    page.click("text=Export for 89 %")
    page.wait_for_url("**/models/*/")
    assert "89%" in TrainedModel.objects.get().name


def test_ticked_runs_stay_ticked_and_are_compared(page_for: PageFor, run: TrainingRun) -> None:
    page = page_for("viewer")
    page.goto("/trainer/runs/")
    page.check(f"#pick-{run.pk}")
    page.click("text=Compare the ticked runs")
    page.wait_for_url(f"**/compare/?run={run.pk}")
