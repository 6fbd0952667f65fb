"""The engine as an engineer uses it: recipes and folders in, text or JSON out."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.engine.conftest import CLASSES, Engine, write_photo
from trainer.engine.errors import PhotosError
from trainer.engine.photos.folder import read_meanings, write_manifest
from trainer.engine.terminal import Screen

TINY = {
    "kind": "finetune",
    "weights": "none",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 8,
    "num_workers": 0,
}


def photos(folder: Path, each: int = 6) -> Path:
    for scene_class in CLASSES:
        for at in range(each):
            write_photo(folder / scene_class / f"{at}.jpg", scene_class, at)
    return folder


def labels(file: Path, rows: dict[str, str]) -> Path:
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([["raw_name", "hashtag"], *rows.items()])
    return file


def test_a_folder_becomes_a_manifest(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 2)
    table = labels(tmp_path / "labels.csv", {"/a/alley": "street", "/p/pantry": ""})
    assert write_manifest(folder, table, tmp_path / "manifest.csv") == 4
    with (tmp_path / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["scene_class"], row["label"]) for row in rows} == {
        ("a/alley", "street"),
        ("p/pantry", "other"),
    }
    write_manifest(folder, None, tmp_path / "manifest.csv")
    with (tmp_path / "manifest.csv").open(newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"alley", "beach", "pantry"}


def test_an_epoch_that_was_not_tested_is_told_without_figures(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"epoch": 1, "epochs": 2, "loss": 0.5, "lr": 0.01, "photos_per_second": 90.0}
    Screen()("epoch", row | {"accuracy": None, "balanced_accuracy": None})
    Screen()("epoch", row | {"accuracy": 0.5, "balanced_accuracy": 0.25})
    words = capsys.readouterr().err
    assert "not tested" in words
    assert "accuracy 0.500  balanced 0.250" in words


def test_both_trainings_and_masks_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    Screen()("masks", {"photos": 1200, "with_masks": 30, "unusable": 2, "faults": []})
    Screen()("pseudo_labels", {"unlabelled": 90, "labelled": 61})
    Screen()("compared", {"only_first": 2, "only_again": 12, "p": 0.0129, "kept": True})
    words = capsys.readouterr().err
    assert "30 of 1,200 training photos have masks, 2 files cannot be used" in words
    assert "61 of 90 photos without labels get one" in words
    assert "second training kept: 12 photos are right only with it, 2 only without, p = 0.013" in words


def test_an_empty_folder_and_a_table_without_labels_are_reported(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="holds no photos"):
        write_manifest(tmp_path, None, tmp_path / "manifest.csv")
    (tmp_path / "odd.csv").write_text("one,two\n1,2\n")
    with pytest.raises(PhotosError, match=r"odd\.csv cannot be read: It needs one column of raw_name"):
        read_meanings(tmp_path / "odd.csv")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train"], "photos: is missing"),
        (["train", "--photos", "x", "--out", "y", "--preset", "none-such"], "there is no none-such"),
        (["train", "--photos", "x", "--out", "y", "--set", "epochs"], "give it as --set name=value"),
        (["train", "--photos", "x", "--out", "y", "--set", "epochs=many"], "epochs: must be of type int"),
        (["train", "no.json", "--photos", "x", "--out", "y"], "no.json cannot be read"),
    ],
)
def test_a_wrong_option_is_reported_by_name(engine: Engine, arguments: list[str], words: str) -> None:
    code, events = engine(*arguments)
    assert code == 1
    assert words in events[-1]["message"]


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from trainer.engine.__main__ import main

    assert main(["presets"]) == 0
    output = capsys.readouterr().out
    assert output.count("(thesis: ") == 17
    assert "0.810 / 0.781" in output


@pytest.mark.integration
def test_a_recipe_trains_on_a_folder_and_continues_after_ctrl_c(
    tmp_path: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(TINY))
    argv = ["--progress", "train", str(recipe)]
    argv += ["--photos", str(photos(tmp_path / "photos", 12)), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer.engine", *argv, "--set", "epochs=300"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    output = ""
    while "epoch " not in output:
        output += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    assert "continues from the checkpoint" in process.communicate(timeout=30)[1]
    assert process.returncode == 143
    settings = json.loads((tmp_path / "run" / "job.json").read_text())["recipe"]
    assert settings["epochs"] == 300
    code, _ = engine(*argv, "--set", "epochs=2")
    assert code == 1
    assert "epochs was 300, now it is 2" in capsys.readouterr().err
