"""Limits from two runs, and one model folder of two: by the engine's own commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.engine.conftest import Engine, write_photo
from trainer.engine.serving.predict import Suggester

LIMITS = {"temperature": 1.0, "thresholds": {}, "silent_below": 0.0, "held_out": {"cost": 0.5}}

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]


def test_a_model_joined_with_itself_says_what_it_says(
    frozen: dict[str, Any], model: Path, tmp_path: Path, engine: Engine
) -> None:
    """Whoever answers, the same network does."""
    code, events = engine("limits", frozen["run"], frozen["run"], tmp_path / "limits.json", "--cost", 0.3)
    assert code == 0, events
    assert events[-1]["held_out"]["cost"] == pytest.approx(0.3 + events[-1]["held_out"]["asked"])
    code, events = engine("join", tmp_path / "limits.json", model, model, tmp_path / "joined")
    assert code == 0, events
    write_photo(tmp_path / "new.jpg", "b/beach", 99)
    whole, alone = (next(Suggester(f).suggest([tmp_path / "new.jpg"])) for f in (tmp_path / "joined", model))
    assert whole.probabilities == alone.probabilities
    checked = [next(Suggester(f).check([tmp_path / "new.jpg"])) for f in (tmp_path / "joined", model)]
    assert checked[0].probabilities == checked[1].probabilities
    assert {*checked[0].probabilities} == {"street", "water"}
    joined, single = (json.loads((f / "manifest.json").read_text()) for f in (tmp_path / "joined", model))
    assert joined["sha256"] != joined["cascade"]["sha256"] == single["sha256"]
    assert joined["cascade"]["input"] == single["input"]
    assert (joined["metrics"], bool(single["metrics"])) == ({}, True)


def test_photos_are_paired_by_path_in_whatever_order_they_stand(
    frozen: dict[str, Any], tmp_path: Path, engine: Engine
) -> None:
    other = shutil.copytree(frozen["run"], tmp_path / "other")
    head, *rows = (other / "test_predictions.csv").read_text().splitlines(keepends=True)
    (other / "test_predictions.csv").write_text(head + "".join(rows[::-1]))
    found = [engine("limits", run, frozen["run"], tmp_path / "limits.json") for run in (other, frozen["run"])]
    assert found[0][1][-1]["held_out"] == found[1][1][-1]["held_out"]


def test_runs_without_a_common_photo_are_refused(
    frozen: dict[str, Any], tmp_path: Path, engine: Engine
) -> None:
    shutil.copytree(frozen["run"], tmp_path / "other")
    predictions = tmp_path / "other/test_predictions.csv"
    predictions.write_text(predictions.read_text().replace("/photos/", "/elsewhere/"))
    code, events = engine("limits", frozen["run"], tmp_path / "other", tmp_path / "limits.json")
    assert (code, events[-1]["event"]) == (1, "error")
    assert "no photo was held out by both" in events[-1]["message"]
    assert not (tmp_path / "limits.json").exists()


def test_runs_of_other_labels_are_refused(frozen: dict[str, Any], tmp_path: Path, engine: Engine) -> None:
    other = shutil.copytree(frozen["run"], tmp_path / "other")
    report = json.loads((other / "report.json").read_text())
    (other / "report.json").write_text(json.dumps(report | {"labels": report["labels"][::-1]}))
    code, events = engine("limits", frozen["run"], other, tmp_path / "limits.json")
    assert (code, events[-1]["message"]) == (1, "the two runs have different labels")


def test_models_of_other_labels_are_refused(model: Path, tmp_path: Path, engine: Engine) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"labels": ["art", "bar", "other"]}))
    (tmp_path / "limits.json").write_text(json.dumps(LIMITS))
    code, events = engine("join", tmp_path / "limits.json", model, other, tmp_path / "joined")
    assert (code, events[-1]["message"]) == (1, "the two models have different labels")
    assert not (tmp_path / "joined").exists()


@pytest.mark.parametrize("missing", ["temperature", "thresholds", "silent_below", "held_out", "{", None])
def test_a_file_without_limits_is_refused(model: Path, tmp_path: Path, engine: Engine, missing: str) -> None:
    text = json.dumps({key: value for key, value in LIMITS.items() if key != missing})
    if missing:
        (tmp_path / "limits.json").write_text("{" if missing == "{" else text)
    code, events = engine("join", tmp_path / "limits.json", model, model, tmp_path / "joined")
    assert (code, events[-1]["event"]) == (1, "error")
    assert "limits.json does not hold the limits of a cascade" in events[-1]["message"]
    assert not (tmp_path / "joined").exists()


def test_what_is_no_single_model_is_not_joined(model: Path, tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "limits.json").write_text(json.dumps(LIMITS))
    code, events = engine("join", tmp_path / "limits.json", tmp_path, model, tmp_path / "joined")
    assert (code, events[-1]["message"]) == (1, f"there is no model in {tmp_path}")
    engine("join", tmp_path / "limits.json", model, model, tmp_path / "joined")
    code, events = engine("join", tmp_path / "limits.json", tmp_path / "joined", model, tmp_path / "more")
    assert (code, events[-1]["message"]) == (1, "one of the two models is a cascade itself")


def test_an_unfinished_run_has_no_limits(frozen: dict[str, Any], tmp_path: Path, engine: Engine) -> None:
    code, events = engine("limits", frozen["run"], tmp_path, tmp_path / "limits.json")
    assert (code, events[-1]["message"]) == (1, f"the run {tmp_path.name} has no report.json")


def test_a_target_that_is_no_share_is_refused(frozen: dict[str, Any], tmp_path: Path, engine: Engine) -> None:
    arguments = (frozen["run"], frozen["run"], tmp_path / "limits.json", "--target-precision", 90)
    code, events = engine("limits", *arguments)
    assert (code, events[-1]["message"]) == (1, "a target precision of 90 is not between 0 and 1")


def test_a_cascade_does_not_take_over_the_promise_of_one_model(
    frozen: dict[str, Any], model: Path, tmp_path: Path, engine: Engine
) -> None:
    assert engine("limits", frozen["run"], frozen["run"], tmp_path / "limits.json")[0] == 0
    promised = shutil.copytree(model, tmp_path / "promised")
    manifest = json.loads((promised / "manifest.json").read_text())
    (promised / "manifest.json").write_text(json.dumps(manifest | {"promise": {"kind": "overall"}}))
    assert engine("join", tmp_path / "limits.json", model, promised, tmp_path / "joined")[0] == 0
    assert "promise" not in json.loads((tmp_path / "joined" / "manifest.json").read_text())
