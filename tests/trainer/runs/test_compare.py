"""The page of runs side by side."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from mapping.models import Release
from trainer.engine.presets import PRESETS
from trainer.models import Epoch, PhotoSet, Sweep, TrainingRun
from trainer.runs import choose, compare_curves, comparison

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
PAGE = "/trainer/runs/compare/"


@pytest.fixture
def runs_for(photo_set: PhotoSet, release: Release, finished_job: Callable[..., Any]) -> Callable[..., Any]:
    """Finished runs of a preset, each with a different accuracy, seed and learning rate."""

    def make(count: int, preset: str = "table3-resnet18", **fields: Any) -> list[TrainingRun]:
        new_runs = [
            TrainingRun.objects.create(
                name=f"Run {n}",
                photo_set=photo_set,
                release=release,
                preset=preset,
                recipe=replace(PRESETS[preset].recipe, seed=n, lr=0.01 * (1 + n % 2)).as_dict(),
                job=finished_job("trainer.train"),
                accuracy=0.9 - n / 1000,
                balanced_accuracy=0.5 + n / 1000,
                report={
                    "best_epoch": 2,
                    "per_label": [{"label": "bar", "recall": n / 1000}, {"label": "beach", "recall": None}],
                },
                **fields,
            )
            for n in range(count)
        ]
        Epoch.objects.bulk_create(
            Epoch(run=run, number=e, loss=1 / e, accuracy=e / 10, balanced_accuracy=e / 20, memory_mb=900 + e)
            for run in new_runs
            for e in (1, 2, 3)
        )
        return new_runs

    return make


def rows_of(query: str) -> list[comparison.Row]:
    return comparison.read_rows(choose.read_choice(QueryDict(query)))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("run=1&run=3", [0, 2]),
        ("run=2-4", [1, 2, 3]),
        ("run=1-2&run=5-999999999999", [0, 1, 4]),
        ("run=x&run=-1&run=4-2&run=3", [2]),
        ("run=9999999999999999999", []),
        ("sweep=999", []),
        ("", []),
    ],
)
def test_choice(runs_for: Any, query: str, found: list[int]) -> None:
    runs = runs_for(5)
    first = runs[0].pk
    own_query = re.sub(r"(?<![\d])[1-5](?!\d)", lambda number: str(int(number[0]) + first - 1), query)
    assert [row.pk for row in rows_of(own_query)] == [runs[at].pk for at in found]


def test_address_of_a_thousand_runs_is_short() -> None:
    query = QueryDict("&".join(f"run={n}" for n in range(1, 1001)))
    assert comparison.address(choose.read_choice(query), sort="-accuracy").endswith(
        "?run=1-1000&sort=-accuracy"
    )


def test_by_sweep_and_by_photo_set(runs_for: Any, photo_set: PhotoSet) -> None:
    sweep = Sweep.objects.create(name="Table 3")
    inside, _ = runs_for(2, sweep=sweep), runs_for(3)
    assert [row.pk for row in rows_of(f"sweep={sweep.pk}")] == [run.pk for run in inside]
    assert len(rows_of(f"photo_set={photo_set.pk}&all=1")) == 5


def test_only_what_differs_unless_all_is_asked_for(client_for: ClientFor, runs_for: Any) -> None:
    first, second = runs_for(2)
    client, url = client_for("viewer"), f"{PAGE}?run={first.pk}&run={second.pk}"
    few = client.get(url).content.decode()
    assert '<th scope="row">seed</th>' in few
    assert '<th scope="row">batch size</th>' not in few
    assert '<td class="is-other-value">0.01</td>' in few
    assert '<th scope="row">batch size</th>' in client.get(f"{url}&settings=all").content.decode()


def test_a_setting_without_effect_is_not_a_difference() -> None:
    recipe = PRESETS["table3-resnet18"].recipe
    run = {"photo_set__name": "P", "release__number": 1, "code_version": ""}
    adam, other = (
        comparison._settings(run | {"recipe": replace(recipe, momentum=m).as_dict()}) for m in (0.9, 0.5)
    )
    assert adam == other
    assert adam["backbone"] == comparison.NOTHING
    sgd = comparison._settings(run | {"recipe": replace(recipe, optimizer="sgd").as_dict()})
    assert sgd["momentum"] == "0.9"


def test_best_of_all_is_marked_and_unknown_figures_come_last(runs_for: Any) -> None:
    runs = runs_for(3)
    TrainingRun.objects.filter(pk=runs[1].pk).update(accuracy=None)
    rows = rows_of(f"run={runs[0].pk}-{runs[2].pk}")
    assert [("accuracy" in row.best, "balanced_accuracy" in row.best) for row in rows] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert "photos_per_second" not in rows[0].best  # nobody measured it
    by = [comparison.sort_rows(rows, sort) for sort in ("accuracy", "-accuracy", "no-such")]
    assert [[row.name for row in one] for one in by] == [
        ["Run 2", "Run 0", "Run 1"],
        ["Run 0", "Run 2", "Run 1"],
        ["Run 0", "Run 1", "Run 2"],
    ]


def test_page_shows_the_thesis_and_the_best_epoch(client_for: ClientFor, runs_for: Any) -> None:
    first, second = runs_for(2)
    TrainingRun.objects.filter(pk=second.pk).update(report={})  # an older engine's: from its curve then
    page = client_for("viewer").get(f"{PAGE}?run={first.pk}&run={second.pk}").content.decode()
    thesis = PRESETS["table3-resnet18"].thesis
    assert thesis
    assert f"thesis {thesis.accuracy:.3f}" in page
    assert '<td class="num">2</td>' in page
    assert '<td class="num">3</td>' in page
    assert "– There is no record of the base run&#x27;s test photos." in page


def test_live_and_failed_runs_can_be_compared(client_for: ClientFor, runs_for: Any) -> None:
    first, second = runs_for(2)
    TrainingRun.objects.filter(pk=second.pk).update(accuracy=None, balanced_accuracy=None, report={})
    Job.objects.filter(pk=second.job_id).update(state=Job.State.QUEUED, finished_at=None)
    Epoch.objects.filter(run=second).delete()
    page = client_for("viewer").get(f"{PAGE}?run={first.pk}&run={second.pk}")
    assert "queued" in page.content.decode()


def test_curves_are_thinned_evenly(runs_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [run] = runs_for(1)
    Epoch.objects.bulk_create(
        Epoch(run=run, number=e, loss=1, accuracy=0.5, balanced_accuracy=0.5) for e in range(4, 101)
    )
    monkeypatch.setattr(compare_curves, "CURVE_ROWS", 20)
    [points] = compare_curves.read_curves(rows_of(f"run={run.pk}")).values()
    assert [point[0] for point in points] == list(range(1, 101, 5))


@pytest.mark.postgres
def test_of_epochs_without_figures_the_tested_ones_stay(
    runs_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [run] = runs_for(1)
    Epoch.objects.filter(run=run).delete()
    Epoch.objects.bulk_create(
        Epoch(run=run, number=e, loss=1, accuracy=None if e % 2 else e / 100, lr=0.1) for e in range(1, 41)
    )
    rows = rows_of(f"run={run.pk}")
    [all_points] = compare_curves.read_curves(rows).values()
    assert len(all_points) == 40
    charts = compare_curves.curve_charts(rows, {run.pk: all_points})
    assert [chart.title for chart in charts] == [
        "Accuracy on held-out photos",
        "Training loss",
        "Learning rate",
    ]
    assert len(charts[0].lines[0].points.split()) == 20
    monkeypatch.setattr(compare_curves, "CURVE_ROWS", 20)
    [points] = compare_curves.read_curves(rows).values()
    assert [point[0] for point in points] == list(range(2, 41, 4))


@pytest.mark.postgres
def test_best_epoch_of_a_run_without_report_is_judged_by_its_metric(runs_for: Any) -> None:
    runs = runs_for(2)
    for run, metric in zip(runs, ("accuracy", "balanced_accuracy"), strict=True):
        TrainingRun.objects.filter(pk=run.pk).update(report={}, recipe=run.recipe | {"stop_metric": metric})
        figures = [(1, None, None), (2, 0.7, 0.2), (3, 0.6, 0.3), (4, 0.6, 0.3)]
        Epoch.objects.filter(run=run).delete()
        for number, accuracy, balanced in figures:
            Epoch.objects.create(
                run=run, number=number, loss=1, accuracy=accuracy, balanced_accuracy=balanced
            )
    rows = rows_of(f"run={runs[0].pk}&run={runs[1].pk}")
    comparison.add_best_epochs(rows)
    assert [row.figures["best_epoch"] for row in rows] == [2, 3]


def test_an_older_run_differs_by_no_setting_that_came_later(runs_for: Any) -> None:
    new, old = runs_for(2)
    recipe = {name: value for name, value in new.recipe.items() if name not in ("loss", "test_every")}
    TrainingRun.objects.filter(pk=old.pk).update(recipe=recipe)
    rows = rows_of(f"run={new.pk}&run={old.pk}")
    assert comparison.setting_rows(rows, rows[0], everything=False) == []


def test_nan_loss_does_not_break_the_chart(runs_for: Any) -> None:
    rows = rows_of(f"run={runs_for(2)[0].pk}-999999")
    points: compare_curves.Points = {
        rows[0].pk: [(1, 0.5, 0.5, float("inf"), 0.1)],
        rows[1].pk: [(1, 0.4, 0.4, 1.0, 0.1)],
    }
    assert [len(chart.lines) for chart in compare_curves.curve_charts(rows, points)] == [2, 2, 1, 2]


def test_many_runs_are_one_page_of_a_hundred(client_for: ClientFor, runs_for: Any) -> None:
    runs = runs_for(120)
    client, url = client_for("viewer"), f"{PAGE}?run={runs[0].pk}-{runs[-1].pk}"
    counts = []
    for address in (f"{PAGE}?run={runs[0].pk}-{runs[9].pk}", url):
        with CaptureQueriesContext(connection) as queries:
            page = client.get(address).content.decode()
        counts.append(len(queries))
        for query in queries:
            whole = query["sql"].replace('("trainer_trainingrun"."report", \'$.', "")  # parts of it are fine
            assert not re.search(r'trainer_trainingrun"."(report|live)"', whole), whole
    assert counts[0] == counts[1] <= 16
    assert "120 runs" in page
    assert page.count('<td class="against">') == 100
    assert "The charts show the base run and the first 60 runs of this page" in page
    assert page.count("<polyline") == 3 * 61  # the base stands on page 2
    assert "60 runs, 0.5" in page  # of each learning rate, with the mean of their balanced accuracies
    assert '<th scope="row">batch size</th>' not in page
    assert '<th scope="row">batch size</th>' in client.get(f"{url}&settings=all").content.decode()
    second = client.get(f"{url}&page=2").content.decode()
    assert second.count('<td class="against">') == 20


def test_nothing_to_compare(client_for: ClientFor, run: TrainingRun) -> None:
    client = client_for("viewer")
    assert "No runs are selected. Tick runs" in client.get(PAGE).content.decode()
    nowhere = client.get(f"{PAGE}?run=99998&sweep=1").content.decode()
    assert "Run 99998 does not exist." in nowhere
    assert "None of these runs exists" in nowhere
    assert "There is only one run" in client.get(f"{PAGE}?run={run.pk}").content.decode()


def test_unknown_runs_are_reported_and_left_out(client_for: ClientFor, runs_for: Any) -> None:
    first, second = runs_for(2)
    url = f"{PAGE}?run={first.pk}&run=99998&run=%3Cb%3E&run={second.pk}&run=50000-60000"
    page = client_for("viewer").get(url).content.decode()
    assert "Runs 99998, &lt;b&gt; do not exist." in page
    assert page.count('<td class="against">') == 2


def test_base_is_the_best_unless_chosen(client_for: ClientFor, runs_for: Any) -> None:
    runs = runs_for(12)
    client, url = client_for("viewer"), f"{PAGE}?run={runs[0].pk}-{runs[-1].pk}"
    best = client.get(url)
    assert best.context["base"].pk == runs[-1].pk
    # Although it is the last one, it is among the eight with a colour, and drawn on top.
    assert runs[-1].pk in [row.pk for row in best.context["color_rows"]]
    assert len(best.context["color_rows"]) == 8
    assert [chart.lines[-1].css for chart in best.context["charts"]] == ["pick-0 is-base"] * 3
    assert client.get(f"{url}&base={runs[2].pk}").context["base"].pk == runs[2].pk
    assert client.get(f"{url}&base=99998").context["base"].pk == runs[-1].pk


def test_take_a_run_out(client_for: ClientFor, runs_for: Any, photo_set: PhotoSet) -> None:
    runs = runs_for(4)
    client = client_for("viewer")
    page = client.get(f"{PAGE}?photo_set={photo_set.pk}&base={runs[1].pk}&sort=accuracy")
    links = {line["row"].pk: line["without"] for line in page.context["lines"]}
    after = client.get(links[runs[0].pk])
    assert [row.pk for row in after.context["rows"]] == [run.pk for run in runs[1:]]
    assert after.context["base"].pk == runs[1].pk
    # Without the base itself, the best of the others becomes the base.
    after = client.get(links[runs[1].pk])
    assert after.context["base"].pk == runs[3].pk
    # Another one is taken out and the first stays out; a run named and taken out is not reported as missing.
    again = {line["row"].pk: line["without"] for line in after.context["lines"]}
    rest = client.get(again[runs[2].pk])
    assert [row.pk for row in rest.context["rows"]] == [runs[0].pk, runs[3].pk]
    both = client.get(f"{PAGE}?run={runs[0].pk}&run={runs[1].pk}&without={runs[1].pk}")
    assert both.context["missing"] == []


def test_sorted_by_best_epoch_of_all(client_for: ClientFor, runs_for: Any) -> None:
    runs = runs_for(3)
    TrainingRun.objects.filter(pk=runs[1].pk).update(report={"best_epoch": 1})
    TrainingRun.objects.filter(pk=runs[2].pk).update(report={})  # an older engine's: 3, from its curve
    page = client_for("viewer").get(f"{PAGE}?run={runs[0].pk}-{runs[-1].pk}&sort=-best_epoch")
    assert [line["row"].pk for line in page.context["lines"]] == [runs[2].pk, runs[0].pk, runs[1].pk]


def test_more_single_runs_than_a_database_takes_conditions(runs_for: Any) -> None:
    runs = runs_for(1)
    query = "&".join(f"run={n}" for n in range(runs[0].pk, runs[0].pk + 2000, 2))
    assert [row.pk for row in rows_of(query)] == [runs[0].pk]
    assert rows_of("&".join(f"run={n}-{n + 1}" for n in range(10**6, 10**6 + 3000, 3))) == []


@pytest.mark.parametrize("role", ["validator", "network", "nobody"])
def test_others_may_not(client_for: ClientFor, role: str) -> None:
    assert client_for(role).get(PAGE).status_code == 403


def test_stranger(client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/login/")
