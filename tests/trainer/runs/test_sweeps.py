"""A whole table of the thesis, or one recipe over several splits, by one click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs.models import Job
from mapping.models import Release
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, Sweep, TrainingRun
from trainer.runs import sweeps

ClientFor = Callable[..., Client]
TABLE_3 = [name for name in PRESETS if name.startswith("table3-")]
TABLE_4 = [name for name in PRESETS if name.startswith("table4-")]


@pytest.fixture
def asked(photo_set: PhotoSet, release: Release) -> dict[str, Any]:
    return {"photo_set": photo_set.pk, "release": release.pk, "presets": TABLE_3, "splits": "", "seeds": 1}


def test_a_table_becomes_its_rows(client_for: ClientFor, asked: dict[str, Any]) -> None:
    answer = client_for("admin").post(
        "/trainer/sweeps/new/", asked | {"epochs": 2, "image_size": 299, "weights": "none"}
    )
    sweep = Sweep.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, sweep.get_absolute_url())
    assert sweep.name == "Tiny: table 3 of the thesis"
    runs = list(sweep.runs.order_by("pk"))
    assert [run.preset for run in runs] == TABLE_3
    assert [run.recipe["network"] for run in runs] == [n.removeprefix("table3-") for n in TABLE_3]
    assert {(run.recipe["epochs"], run.recipe["weights"], run.job.state) for run in runs} == {
        (2, "none", "queued")
    }


def test_table_4_has_eleven_rows_beside_the_thesis(client_for: ClientFor, asked: dict[str, Any]) -> None:
    client = client_for("admin")
    page = client.post("/trainer/sweeps/new/", asked | {"presets": TABLE_4}, follow=True)
    rows = page.context["rows"]
    assert len(rows) == 11
    assert [row["thesis"].minutes for row in rows] == [232, 320, 412, 302, 369, 275, 266, 698, 867, 889, 813]
    assert "0.781" in page.content.decode()


def test_splits_and_seeds_multiply() -> None:
    plans = sweeps.plan(presets=["frozen-lite0"], splits="fold5", seeds=2, changes={"epochs": 3})
    assert len(plans) == 10
    assert [one.words for one in plans[:3]] == [
        "fold-1-of-5, seed 0",
        "fold-1-of-5, seed 1",
        "fold-2-of-5, seed 0",
    ]
    assert {one.recipe.epochs for one in plans} == {3}
    official = sweeps.plan(presets=["frozen-lite0"], splits="sun", seeds=1, changes={})
    assert [one.recipe.split for one in official] == [f"sun-{n:02d}" for n in range(1, 11)]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"presets": []}, "presets", "Choose at least one recipe"),
        ({"image_size": 64}, "image_size", "Table 3: Inception v3: inception_v3 needs at least 75 px"),
        ({"seeds": 20, "splits": "fold10"}, "presets", "these are 1200 runs; a sweep has at most 120"),
        ({"epochs": 0}, "epochs", "must be from 1 to 1000"),
        ({"photo_set": 999}, "photo_set", "Select a valid choice"),
    ],
)
def test_an_invalid_setting_is_reported_beside_its_field(
    client_for: ClientFor, asked: dict[str, Any], change: dict[str, Any], field: str, words: str
) -> None:
    answer = client_for("admin").post("/trainer/sweeps/new/", asked | {"name": "Mine"} | change)
    assert answer.status_code == 422
    assert words in str(answer.context["form"].errors[field])
    assert 'value="Mine"' in answer.content.decode()  # what was typed stays
    assert not TrainingRun.objects.exists()


def test_a_repeated_click_is_one_sweep(client_for: ClientFor, asked: dict[str, Any]) -> None:
    client = client_for("admin")
    answers = [client.post("/trainer/sweeps/new/", asked) for _ in range(2)]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert TrainingRun.objects.count() == 6
    client.post("/trainer/sweeps/new/", asked | {"epochs": 4})
    assert Sweep.objects.count() == 2


def test_a_photo_set_that_is_being_registered_is_refused(
    client_for: ClientFor, asked: dict[str, Any], photo_set: PhotoSet, finished_job: Callable[..., Job]
) -> None:
    photo_set.job = finished_job("trainer.register", Job.State.QUEUED)
    photo_set.save()
    assert client_for("admin").post("/trainer/sweeps/new/", asked).status_code == 422
    assert not Sweep.objects.exists()


def test_the_rest_is_cancelled_and_tried_again_together(client_for: ClientFor, asked: dict[str, Any]) -> None:
    client = client_for("admin")
    client.post("/trainer/sweeps/new/", asked)
    sweep = Sweep.objects.get()
    for address, state in (("cancel", "cancelled"), ("retry", "queued")):
        for _ in range(2):  # a repeated click changes nothing more
            assert client.post(f"{sweep.get_absolute_url()}{address}/").status_code == 302
            assert set(sweep.runs.values_list("job__state", flat=True)) == {state}


def test_mean_and_deviation_over_folds(client_for: ClientFor, asked: dict[str, Any]) -> None:
    client = client_for("admin")
    client.post("/trainer/sweeps/new/", asked | {"presets": ["frozen-lite0"], "splits": "fold5"})
    sweep = Sweep.objects.get()
    for run, accuracy in zip(sweep.runs.order_by("pk"), (0.8, 0.9, 0.7), strict=False):
        TrainingRun.objects.filter(pk=run.pk).update(accuracy=accuracy, balanced_accuracy=accuracy - 0.1)
    page = client.get(sweep.get_absolute_url())
    assert "fold-2-of-5 instead of random" in page.content.decode()
    assert [[one["name"] for one in row["changed"]] for row in page.context["rows"]] == [["split"]] * 5
    summary = page.context["summaries"][0]
    assert (summary["runs"], summary["planned"]) == (3, 5)
    assert summary["accuracy"] == pytest.approx(0.8)
    assert summary["balanced_sd"] == pytest.approx(0.1)


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("curator", 403)])
def test_only_admins_launch_cancel_and_retry(
    client_for: ClientFor, asked: dict[str, Any], role: str, status: int
) -> None:
    client_for("admin").post("/trainer/sweeps/new/", asked)
    sweep = Sweep.objects.get()
    client = client_for(role)
    for address in (
        "/trainer/sweeps/new/",
        f"/trainer/sweeps/{sweep.pk}/cancel/",
        f"/trainer/sweeps/{sweep.pk}/retry/",
    ):
        assert client.post(address, asked).status_code == status
    assert Sweep.objects.count() == 1
    assert set(sweep.runs.values_list("job__state", flat=True)) == {"queued"}


def test_queries_do_not_grow_with_the_sweep(
    client_for: ClientFor, asked: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    client = client_for("admin")
    client.post("/trainer/sweeps/new/", asked | {"presets": ["frozen-lite0"], "seeds": 20})
    with django_assert_max_num_queries(9):
        client.get(Sweep.objects.get().get_absolute_url())
    with django_assert_max_num_queries(9):
        client.get("/trainer/sweeps/")
