"""Charts as files, and the learning rate that is drawn before a run starts."""

from __future__ import annotations

import csv
import io
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs.models import Job
from mapping.models import Hashtag
from trainer.engine.presets import PRESETS
from trainer.models import TrainingRun

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
SVG = "{http://www.w3.org/2000/svg}"


def svg_of(response: Any) -> ET.Element:
    assert response["Content-Type"].startswith("image/svg+xml")
    text = response.content.decode()
    assert "var(" not in text  # its colours are its own: no style sheet comes with a file
    return ET.fromstring(text)  # noqa: S314 (our own)


def words_of(svg: ET.Element) -> list[str]:
    return [(element.text or "").strip() for element in svg.iter(f"{SVG}text")]


def table_of(response: Any) -> list[list[str]]:
    assert response["Content-Type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))


@pytest.fixture
def rated(run: TrainingRun) -> TrainingRun:
    """Three epochs with a rate each; the second was not tested."""
    for epoch in run.epochs.all():
        epoch.lr = 0.1 / epoch.number
        epoch.save()
    run.epochs.filter(number=2).update(accuracy=None, balanced_accuracy=None)
    run.name = '<Tiny> & "frozen"'
    run.save()
    return run


def test_the_curves_of_a_run_can_be_downloaded(client_for: ClientFor, rated: TrainingRun) -> None:
    client, path = client_for("viewer"), f"{rated.get_absolute_url()}figures/"
    page = client.get(rated.get_absolute_url()).content.decode()
    for name in ("loss", "accuracy", "learning-rate", "posts", "photos"):
        for kind in ("svg", "csv"):
            assert f'href="{path}{name}.{kind}"' in page
            response = client.get(f"{path}{name}.{kind}")
            assert response.status_code == 200
            assert response["Content-Disposition"].startswith("attachment; filename=")
    assert table_of(client.get(f"{path}learning-rate.csv")) == [
        ["epoch", "rate"],
        ["1", "0.1"],
        ["2", "0.05"],
        ["3", str(0.1 / 3)],
    ]
    assert table_of(client.get(f"{path}accuracy.csv")) == [
        ["epoch", "held-out", "balanced"],
        ["1", "0.6", "0.5"],
        ["3", "0.6", "0.5"],
    ]
    svg = svg_of(client.get(f"{path}loss.svg"))
    assert {'Loss, <Tiny> & "frozen"', "epoch", "training", "held-out"} <= set(words_of(svg))
    assert len(list(svg.iter(f"{SVG}polyline"))) == 2


def test_what_is_measured_at_the_end_can_be_downloaded(client_for: ClientFor, rated: TrainingRun) -> None:
    bins = [{"from": 0.8, "to": 0.9, "photos": 8, "confidence": 0.85, "accuracy": 0.75}]
    rated.report |= {"reliability": bins, "calibration_error": 0.1}
    rated.save()
    client, path = client_for("viewer"), f"{rated.get_absolute_url()}figures/"
    coverage, reliability = "precision-of-suggestions-by-coverage", "share-that-is-right-by-confidence"
    page = client.get(rated.get_absolute_url()).content.decode()
    for name in (coverage, reliability):
        assert f'data-png="{path}{name}.svg"' in page
    assert ["0.1", "0.95"] in table_of(client.get(f"{path}{coverage}.csv"))
    assert ["0.85", "0.75", ""] in table_of(client.get(f"{path}{reliability}.csv"))
    rows = [(0.8, 0.9), (0.9, 0.5)]
    targets = [
        {"target": target, "precision": target, "coverage": share, "thresholds": {}} for target, share in rows
    ]
    rated.report |= {"targets": targets}
    rated.save()
    page = client.get(rated.get_absolute_url(), {"target": "80"}).content.decode()
    assert f'href="{path}{coverage}.csv?target=80"' in page
    table = table_of(client.get(f"{path}{coverage}.csv?target=80"))
    assert table[0][1:] == ["all targets", "this target"]
    assert table[1:] == [["0.5", "0.9", ""], ["0.9", "0.8", "0.8"]]


def test_figures_6_and_7_of_a_run_are_about_its_labels(client_for: ClientFor, rated: TrainingRun) -> None:
    for name, posts in {"beach": 250_000_000, "bar": 70_000_000, "cafe": 5}.items():
        Hashtag.objects.create(name=name, posts=posts, source="x", counted_on="x")
    client, path = client_for("viewer"), f"{rated.get_absolute_url()}figures/"
    assert table_of(client.get(f"{path}posts.csv")) == [
        ["label", "posts"],
        ["beach", "250000000"],
        ["bar", "70000000"],
    ]
    assert sorted(table_of(client.get(f"{path}photos.csv"))[1:]) == [
        [label, "10"] for label in ("architecture", "bar", "beach", "other")
    ]
    words = words_of(svg_of(client.get(f"{path}photos.svg")))
    assert words[0] == 'Photos per hashtag, <Tiny> & "frozen"'
    assert {"#bar", "other", "10"} <= set(words)
    svg = svg_of(client.get(f"{path}posts.svg"))
    widths = [float(bar.attrib["width"]) for bar in svg.iter(f"{SVG}rect") if bar.get("class") == "bar"]
    assert widths[1] / widths[0] == pytest.approx(70 / 250, abs=0.001)


@pytest.mark.parametrize(
    ("path", "status"), [("loss.png", 404), ("no-such.svg", 404), ("memory.csv", 404), ("loss.svg", 200)]
)
def test_unknown_figures_and_kinds(client_for: ClientFor, rated: TrainingRun, path: str, status: int) -> None:
    assert client_for("viewer").get(f"{rated.get_absolute_url()}figures/{path}").status_code == status


def test_figures_are_for_those_who_may_see_runs(client_for: ClientFor, rated: TrainingRun) -> None:
    path = f"{rated.get_absolute_url()}figures/loss.svg"
    assert client_for("validator").get(path).status_code == 403
    assert Client().get(path).status_code in (302, 403)
    assert client_for("validator").get(f"/trainer/runs/compare/figures/training-loss.svg?run={rated.pk}")
    assert client_for("viewer").get("/trainer/runs/new/rate/").status_code == 403


def test_a_run_that_has_not_begun_has_the_rate_that_its_recipe_plans(
    client_for: ClientFor, run: TrainingRun
) -> None:
    run.epochs.all().delete()
    run.preset, run.recipe = "table4-row6", PRESETS["table4-row6"].recipe.as_dict()
    run.save()
    table = table_of(client_for("viewer").get(f"{run.get_absolute_url()}figures/learning-rate.csv"))
    assert [float(value) for _, value in table[1:8]] == pytest.approx(
        [0.001 + 0.0495 * (1 + math.cos(i * math.pi / 3)) for i in range(7)]
    )
    assert len(table) == 51


def test_charts_follow_the_reader_on_pages_and_are_english_in_files(
    client_for: ClientFor, rated: TrainingRun
) -> None:
    client, russian = client_for("viewer"), {"Accept-Language": "ru"}
    compare = f"/trainer/runs/compare/?run={rated.pk}"
    for path in (rated.get_absolute_url(), compare):
        page = client.get(path, headers=russian).content.decode()
        assert "Скорость обучения" in page
        assert ">0,04</text>" in " ".join(page.split()).replace("> ", ">").replace(" <", "<")
        assert not re.search(
            r'(viewBox|points|[xy][12]?|c[xy])="[^"]*\d,\d+"', re.sub(r"\d,(?=\d+\.)", "", page)
        )
    files = (f"{rated.get_absolute_url()}figures/", f"{compare.replace('/?', '/figures/learning-rate.csv?')}")
    for path in (f"{files[0]}accuracy.svg", f"{files[0]}accuracy.csv", files[1]):
        assert client.get(path, headers=russian).content == client.get(path).content


def test_the_curves_of_compared_runs_can_be_downloaded(
    client_for: ClientFor, rated: TrainingRun, finished_job: Callable[..., Job]
) -> None:
    other = TrainingRun.objects.create(
        name="Other",
        photo_set=rated.photo_set,
        release=rated.release,
        preset=rated.preset,
        recipe=rated.recipe,
        job=finished_job("trainer.train"),
        balanced_accuracy=0.9,
    )
    other.epochs.create(number=1, loss=0.5, accuracy=0.7, balanced_accuracy=0.8, lr=0.02)
    client, query = client_for("viewer"), f"?run={rated.pk}&run={other.pk}&sort=name"
    page = client.get(f"/trainer/runs/compare/{query}").content.decode()
    path = "/trainer/runs/compare/figures/learning-rate"
    assert f'href="{path}.csv{query.replace("&", "&amp;")}"' in page
    table = table_of(client.get(f"{path}.csv{query}"))
    assert set(table[0]) == {"epoch", rated.name, "Other"}
    assert [row[table[0].index("Other")] for row in table[1:]] == ["0.02", "", ""]
    words = words_of(svg_of(client.get(f"{path}.svg{query}")))
    assert words[0] == "Learning rate"
    assert {rated.name, "Other"} <= set(words)
    for source in ("posts", "photos"):  # figures 6 and 7 of what both learned from
        address = f"{rated.get_absolute_url()}figures/{source}"
        assert page.count(f'href="{address}.svg"') == page.count(f'data-png="{address}.svg"') == 1
    assert f"labels of release {rated.release.number}" in page
    assert "(2 runs)" in page
    assert client.get(f"{path}.svg?run=999999").status_code == 404
    assert client.get("/trainer/runs/compare/").status_code == 200


class TestPlannedRate:
    URL = "/trainer/runs/new/rate/"

    def values(self, client: Client, **settings: str) -> list[float]:
        query = {"preset": "table4-row6", "filled_from": "table4-row6"} | settings
        chart = client.get(self.URL, query).context["rate_chart"]
        return [value for _, value in chart.lines[0].values]

    def test_it_follows_the_settings_as_typed(self, client_for: ClientFor) -> None:
        client = client_for("admin")
        typed = {"s-epochs": "7", "s-period": "3", "s-lr": "0.2", "s-lr_min": "0", "s-schedule": "annealing"}
        wanted = [0.1 * (1 + math.cos(i * math.pi / 3)) for i in range(7)]
        assert self.values(client, **typed) == pytest.approx(wanted)
        assert self.values(client, **typed | {"s-schedule": "constant"}) == [0.2] * 7
        assert self.values(client, **typed | {"s-schedule": "cosine"})[-1] == pytest.approx(0, abs=1e-4)
        warm = self.values(client, **typed | {"s-schedule": "constant", "s-warmup": "4"})
        assert warm == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2])

    @pytest.mark.usefixtures("photo_set", "release")
    def test_it_can_be_downloaded_as_typed(self, client_for: ClientFor) -> None:
        client = client_for("admin")
        typed = {"preset": "table4-row6", "filled_from": "table4-row6", "s-epochs": "2", "s-lr": "0.5"}
        page = client.get(self.URL, typed).content.decode()
        [address] = re.findall(r'href="([^"]+/figures/learning-rate\.csv[^"]+)"', page)
        assert "s-lr=0.5" in address
        table = table_of(client.get(address.replace("&amp;", "&")))
        assert [row[0] for row in table] == ["epoch", "1", "2"]
        assert table[1][1] == "0.5"
        assert client.get("/trainer/runs/new/figures/loss.csv").status_code == 404

    def test_what_is_wrong_is_left_out_and_said(self, client_for: ClientFor) -> None:
        query = {"preset": "table4-row6", "filled_from": "table4-row6", "s-epochs": "many", "s-lr": "0.5"}
        response = client_for("admin").get(self.URL, query)
        values = [value for _, value in response.context["rate_chart"].lines[0].values]
        assert (len(values), values[0]) == (50, 0.5)
        assert "without the settings that are wrong" in response.content.decode()
        assert client_for("admin").get(self.URL, {"preset": "gone"}).status_code == 200

    @pytest.mark.usefixtures("photo_set", "release")
    def test_it_stands_on_the_form_and_changes_with_the_preset(self, client_for: ClientFor) -> None:
        client = client_for("admin")
        page = client.get("/trainer/runs/new/", {"preset": "table4-row10"})
        assert len(page.context["rate_chart"].lines[0].values) == 30
        html = page.content.decode()
        assert f'hx-get="{self.URL}"' in html
        assert (
            html.index('id="settings"') < html.index("Learning rate, by epoch") < html.index("<legend>Data")
        )
