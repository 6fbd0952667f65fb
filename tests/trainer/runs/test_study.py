"""A finished run's page beyond its figures: thresholds, reliability, costly classes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from mapping.models import MappingEntry
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, TrainingRun
from trainer.runs.study import epoch_charts

ClientFor = Callable[..., Client]


@pytest.fixture
def studied(run: TrainingRun) -> TrainingRun:
    """With the parts of a report that older runs do not have."""
    for scene in set(run.photo_set.photos.values_list("scene_class", flat=True)):
        MappingEntry.objects.create(scene_class_id=scene)
    run.report |= {
        "reliability": [
            {"from": 0.6, "to": 0.7, "photos": 3, "confidence": 0.65, "accuracy": 0.5},
            {"from": 0.9, "to": 1.0, "photos": 5, "confidence": 0.95, "accuracy": 0.8},
        ],
        "calibration_error": 0.15,
        "targets": [
            {
                "target": t / 100,
                "thresholds": {"beach": t / 100, "bar": 1.01},
                "precision": t / 100,
                "coverage": 1 - t / 200,
                "tagged_other": 0.25,
            }
            for t in range(50, 100)
        ],
        "scene_costs": [
            {
                "scene_class": "a/abbey",
                "label": "bar",
                "photos": 2,
                "wrong": 2,
                "taken_for": "beach",
                "taken_for_count": 2,
            },
            {
                "scene_class": "gone/class",
                "label": "bar",
                "photos": 4,
                "wrong": 1,
                "taken_for": "other",
                "taken_for_count": 1,
            },
        ],
        "stopped_early": "accuracy has not grown in 3 epochs",
        "best_epoch": 2,
        "tta": {"copies": 8, "accuracy": 0.812, "balanced_accuracy": 0.798},
    }
    run.recipe = {"kind": "frozen", "keep": "best"}
    run.preset = "table4-row8"
    run.save()
    return run


def test_page_shows_the_whole_study(client_for: ClientFor, studied: TrainingRun) -> None:
    page = client_for("admin").get(studied.get_absolute_url()).content.decode()
    assert "off by 15 points" in page
    assert "Stopped before the last epoch: accuracy has not grown in 3 epochs." in page
    assert "The model is from epoch 2" in page
    assert "0.798 / 0.812" in page
    assert "the thesis: 0.781" in page


def test_page_says_how_silent_it_is(client_for: ClientFor, studied: TrainingRun) -> None:
    studied.report |= {"aurc": 0.1234, "augrc": 0.056}
    studied.report["targets"] = [row | {"tagged_outside": 0.07} for row in studied.report["targets"]]
    studied.save()
    page = client_for("admin").get(studied.get_absolute_url()).content.decode()
    assert "123 in 1,000 suggestions are wrong on average (AURC)" in page
    assert "56 in 1,000 get a wrong suggestion (AUGRC)" in page
    assert "of photos out of scope get one" in page
    assert '<option value="each">' in page


def test_photos_of_a_label_folder_are_shown(
    client_for: ClientFor, studied: TrainingRun, photo_set: PhotoSet
) -> None:
    photo = photo_set.photos.create(
        label_folder="_other/pets", path="_other/1.jpg", sha256="1" * 64, width=1, height=1
    )
    studied.held_out.create(photo=photo, true="other", predicted="bar", confidence=0.5)
    page = client_for("viewer").get(f"{studied.get_absolute_url()}photos/?scene=_other/pets")
    assert [item.photo for item in page.context["page"]] == [photo]
    assert "A photo of _other/pets" in page.content.decode()
    assert "_other/pets" in client_for("viewer").get(photo_set.get_absolute_url()).content.decode()


def test_a_costly_class_opens_its_row_of_the_mapping_and_its_photos(
    client_for: ClientFor, studied: TrainingRun
) -> None:
    client = client_for("admin")
    page = client.get(studied.get_absolute_url())
    costs = page.context["costs"]
    assert [(row["wrong"], row["mostly"]) for row in costs] == [(2, True), (1, False)]
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    assert f'href="/mapping/{entry.pk}/"' in page.content.decode()
    photos = client.get(f"{studied.get_absolute_url()}photos/?scene=a%2Fabbey")
    assert {str(p.photo.scene_class) for p in photos.context["page"]} == {"a/abbey"}
    assert "?scene=a%2Fabbey" in page.content.decode()


@pytest.mark.parametrize(
    ("wanted", "shown"), [("75", 75), ("", 90), ("10", 50), ("100", 99), ("nonsense", 90), ("-5", 90)]
)
def test_the_slider_takes_the_nearest_target(
    client_for: ClientFor, studied: TrainingRun, wanted: str, shown: int
) -> None:
    answer = client_for("admin").get(
        studied.get_absolute_url(), {"target": wanted}, headers={"hx-request": "true"}
    )
    target = answer.context["target"]
    assert target["percent"] == shown
    assert target["spoken"] == [("beach", shown / 100)]
    assert target["silent"] == ["bar"]
    page = answer.content.decode()
    assert f'name="target_precision" value="{shown / 100:.2f}"' in page
    assert page.lstrip().startswith('<div id="target">')


def test_the_slider_keeps_the_chosen_promise(client_for: ClientFor, studied: TrainingRun) -> None:
    address = f"{studied.get_absolute_url()}?target=80&promise=each"
    page = client_for("admin").get(address, headers={"HX-Request": "true"}).content.decode()
    assert 'value="each" selected' in page
    assert 'value="overall" selected' not in page
    assert 'hx-include="#id_promise"' in page


def test_settings_that_the_kind_ignores_are_not_listed(client_for: ClientFor, studied: TrainingRun) -> None:
    studied.recipe = PRESETS["frozen-lite0"].recipe.as_dict()
    studied.save()
    page = client_for("viewer").get(studied.get_absolute_url())
    names = [name for name, _ in page.context["settings"]]
    assert "backbone" in names
    assert not {"network", "image_size", "photo_cache", "mask_loss"} & set(names)
    assert "<dt>backbone</dt>" in page.content.decode()


def test_without_script_the_slider_is_a_form(client_for: ClientFor, studied: TrainingRun) -> None:
    page = client_for("viewer").get(studied.get_absolute_url(), {"target": "66"}).content.decode()
    assert "66 %</output>" in page
    assert "target_precision" not in page  # a viewer exports nothing


def test_an_older_run_has_a_page_all_the_same(client_for: ClientFor, run: TrainingRun) -> None:
    page = client_for("admin").get(run.get_absolute_url())
    assert page.status_code == 200
    assert page.context["target"] is None
    assert "Not measured" in page.content.decode()


def test_the_running_epoch_is_shown(client_for: ClientFor, run: TrainingRun) -> None:
    run.job.state, run.job.finished_at, run.job.lease_until = "running", None, run.job.started_at
    run.job.save()
    run.live = {
        "epoch": 4,
        "step": 310,
        "steps": 1000,
        "loss": 0.4321,
        "lr": 0.01,
        "photos_per_second": 412.0,
        "memory_mb": 1234,
        "gpu_memory_mb": 777,
        "seconds_left": 95,
        "curve": [[1, 2.0, 0.01], [300, 0.5, 0.01]],
    }
    run.save()
    page = client_for("viewer").get(run.get_absolute_url(), headers={"hx-request": "true"}).content.decode()
    for words in ("0.432", "412", "1,234 MB", "GPU 777 MB", "Loss, batch by batch"):
        assert words in page
    assert "1 min 35 s" not in page  # the job says it


def test_page_says_what_was_held_out_and_how_far_eight_photos_can_be_trusted(
    run: TrainingRun, client_for: ClientFor
) -> None:
    page = client_for("viewer").get(run.get_absolute_url()).content.decode()
    assert "held-out photos: 20\u00a0% at random, seed 0" in page
    assert "95 % interval 0.41 to 0.93" in page  # Wilson: 6 of 8
    run.report |= {"test_photos": 5000}
    run.recipe = {"kind": "frozen", "split": "sun-03"}
    run.save()
    page = client_for("viewer").get(run.get_absolute_url()).content.decode()
    assert "SUN397’s own partition 3" in page
    assert "95 % interval" not in page


def test_training_and_held_out_have_the_same_colours_in_each_chart(run: TrainingRun) -> None:
    run.epochs.update(train_accuracy=0.9)
    loss, accuracy, *_ = epoch_charts(list(run.epochs.all()))
    for chart in (loss, accuracy):
        assert [(line.name, line.css) for line in chart.lines[:2]] == [
            ("training", "line-0"),
            ("held-out", "line-1"),
        ]
    run.epochs.update(train_accuracy=None)
    assert epoch_charts(list(run.epochs.all()))[1].lines[0].css == "line-1"


def test_contents_lead_to_the_parts_of_the_page(run: TrainingRun, client_for: ClientFor) -> None:
    page = client_for("viewer").get(run.get_absolute_url()).content.decode()
    contents = page.split('aria-label="On this page"')[1].split("</nav>")[0]
    for name in re.findall(r'href="#(\w+)"', contents):
        assert f'id="{name}"' in page, name


def test_results_can_be_downloaded(run: TrainingRun, client_for: ClientFor) -> None:
    run.held_out.filter(true="bar").update(true="=bar")  # a name that a spreadsheet would execute
    client, files = client_for("viewer"), f"{run.get_absolute_url()}files/"
    assert client.get(f"{files}report.json").json() == run.report
    confusion = client.get(f"{files}confusion.csv").content.decode("utf-8-sig").splitlines()
    assert confusion[:2] == ["true \\ predicted,architecture,bar,beach,other", "architecture,2,0,0,0"]
    predictions = client.get(f"{files}predictions.csv").content.decode("utf-8-sig").splitlines()
    assert len(predictions) == 1 + run.held_out.count()
    assert predictions[0] == "photo,true,predicted,confidence"
    assert any(",'=bar,bar," in line for line in predictions)
    assert client.get(f"{files}weights.pt").status_code == 404
    TrainingRun.objects.update(report={})
    assert client.get(f"{files}report.json").status_code == 404
