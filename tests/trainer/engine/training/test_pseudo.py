"""Pseudo-labels: which photos get one, and which of both trainings is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.engine.conftest import TINTS, Engine, StopsAfter, write_job, write_photo
from tests.trainer.engine.conftest import write_manifest as write_labelled
from trainer.engine.errors import PhotosError
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.photos.manifest import Photo
from trainer.engine.training import checkpoint
from trainer.engine.training.pseudo import compare, label_confident, read_unlabelled, without_known
from trainer.engine.training.run import RunJob, train

# One process for all that use the finished run of conftest.py and its cached features.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]

PHOTOS = [Photo(str(at), f"{at}.jpg", "", "", str(at)) for at in range(4)]
NAMES = (["street", "water", "other"], ["a/alley", "b/beach", "l/lake", "p/pantry"], [0, 1, 1, 2])


def test_photos_above_the_confidence_get_their_label_and_its_best_scene_class() -> None:
    logits = np.log([[0.9, 0.05, 0.05], [0.02, 0.95, 0.03], [0.4, 0.3, 0.3], [0.05, 0.05, 0.9]])
    scenes = np.array([[9.0, 0, 0, 0], [5.0, 1, 2, 0], [9.0, 0, 0, 0], [0.0, 0, 0, 1]])
    labelled = label_confident(PHOTOS, logits, scenes, names=NAMES, confidence=0.89)
    assert [(p.photo_id, p.label, p.scene_class) for p in labelled] == [
        ("0", "street", "a/alley"),
        ("1", "water", "l/lake"),  # of the label's classes: alley has a higher logit, but is a street
        ("3", "other", "p/pantry"),
    ]
    without_scenes = label_confident(PHOTOS, logits, None, names=NAMES, confidence=0.94)
    assert [(p.photo_id, p.scene_class) for p in without_scenes] == [("1", "b/beach")]


def test_known_photos_and_copies_get_no_pseudo_label() -> None:
    """Known are those for training, which have a label, and the held-out ones."""
    copy = replace(PHOTOS[2], photo_id="copy", path="elsewhere.jpg")
    assert without_known([*PHOTOS, copy], PHOTOS[:2]) == PHOTOS[2:]


def answers(right: list[int]) -> np.ndarray[Any, Any]:
    return np.eye(2)[[1 - at for at in right]]


@pytest.mark.parametrize(
    ("again", "p", "kept"),
    [
        ([1] * 6 + [0] * 4, 2 / 64, True),  # six more are right: p = .031
        ([1] * 5 + [0] * 5, 2 / 32, False),  # five more: better, but perhaps by luck
        ([0] * 10, 1.0, False),
    ],
)
def test_the_second_training_is_kept_if_it_is_better_by_more_than_chance(
    again: list[int], p: float, kept: bool
) -> None:
    true = np.zeros(10, np.int64)
    facts = compare(answers([0] * 10), answers(again), true)
    assert (facts["p"], facts["kept"]) == (pytest.approx(p), kept)
    assert (facts["first"]["accuracy"], facts["again"]["accuracy"]) == (0.0, sum(again) / 10)
    backwards = compare(answers(again), answers([0] * 10), true)
    assert not backwards["kept"]


def test_photos_without_labels_come_from_a_folder_or_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "new" / "deep" / "1.jpg", "b/beach", 1)
    (tmp_path / "new" / "notes.txt").write_text("no photo")
    file = str(tmp_path / "new" / "deep" / "1.jpg")
    (tmp_path / "new" / "more").symlink_to(tmp_path / "new" / "deep")
    assert [photo.path for photo in read_unlabelled(tmp_path / "new")] == [file]
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["photo_id"]) == ("skipped", "more")
    assert "links are not followed" in event["reason"]
    table = tmp_path / "new" / "list.csv"
    table.write_text(f"Path;licence\ndeep/1.jpg;CC0\n{file};CC0\n")
    assert [photo.path for photo in read_unlabelled(table)] == [file, file]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), ("photo\n1.jpg\n", "has the column path"), ("path\n", "holds no photos")],
)
def test_a_place_without_photos_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    table = tmp_path / "list.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(PhotosError, match=words):
        read_unlabelled(table)


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """Photos of another seed, one of them already known, and a file that is none."""
    for at, scene in enumerate([*TINTS, *TINTS]):
        write_photo(tmp_path / "new" / f"{at}.jpg", scene, 50 + at)
    write_photo(tmp_path / "new" / "known.jpg", "b/beach", 0)  # the same bytes as b/beach/0
    (tmp_path / "new" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    return tmp_path / "new"


def test_a_frozen_run_tells_both_trainings(
    frozen: dict[str, Any], engine: Engine, unlabelled: Path, tmp_path: Path
) -> None:
    recipe = {"epochs": 8, "batch_size": 8, "pseudo_confidence": 0.4, "unlabelled": str(unlabelled)}
    manifest = write_labelled(tmp_path, 12)
    job = write_job(tmp_path, manifest, recipe, cache=frozen["folder"] / "cache")
    code, events = engine("train", job)
    assert code == 0, events[-1]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    facts = report["pseudo_labels"]
    assert facts["unlabelled"] == 6  # neither the broken file nor the known one
    assert 0 < facts["labelled"] <= 6
    assert sum(facts["labels"].values()) == facts["labelled"]
    assert not facts["kept"]  # nearly all held-out photos are right the first time
    assert report["accuracy"] == facts["first"]["accuracy"]
    assert report["train_photos"] == 30
    told = [event["event"] for event in events]
    assert told.count("epoch") == 8
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["phase"], last["done"]) == ("training again", last["total"])
    assert [e["kept"] for e in events if e["event"] == "compared"] == [False]
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.is_dir()) == ["tensorboard"]
    assert engine("train", job)[0] == 0  # it only tells its report again


def test_a_wrong_place_is_found_before_the_first_training(
    frozen: dict[str, Any], tmp_path: Path, engine: Engine
) -> None:
    recipe = {"epochs": 2, "pseudo_confidence": 0.4, "unlabelled": str(tmp_path / "gone")}
    job = write_job(tmp_path, write_labelled(tmp_path, 12), recipe, cache=frozen["folder"] / "cache")
    code, events = engine("train", job)
    assert (code, events[-1]["kind"]) == (1, "photos")
    assert "epoch" not in [event["event"] for event in events]


def test_a_finished_run_without_pseudo_labels_leaves_folders_of_such_names(
    frozen: dict[str, Any], tmp_path: Path, engine: Engine
) -> None:
    manifest = write_labelled(tmp_path, 12)
    job = write_job(tmp_path, manifest, {"epochs": 1}, cache=frozen["folder"] / "cache")
    assert engine("train", job)[0] == 0
    mine = tmp_path / "run" / "first" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("another run's")
    assert engine("train", job)[0] == 0
    assert mine.exists()


# One step at a low rate, after which a tenth of the photos, few of them, are predicted wrong.
WEAK: dict[str, Any] = {"test_share": 0.9, "epochs": 1, "batch_size": 4, "lr": 0.0015, "schedule": "constant"}
WEAK |= {"warmup": 0.0, "mixup": 0.0, "dropout": 0.0, "balance": 0.0, "pseudo_confidence": 0.45}


def test_a_better_second_training_becomes_the_run(
    frozen: dict[str, Any], tmp_path: Path, engine: Engine
) -> None:
    """Stopped in the second training, it goes on and ends with the same weights."""
    for at, scene in enumerate([*TINTS] * 20):
        write_photo(tmp_path / "new" / f"{at}.jpg", scene, 50 + at)
    manifest = write_labelled(tmp_path, 24)
    states = {}
    for name, looks in (("whole", 0), ("parts", 12)):
        (tmp_path / name).mkdir()
        recipe = WEAK | {"unlabelled": str(tmp_path / "new")}
        job = write_job(tmp_path / name, manifest, recipe, cache=frozen["folder"] / "cache")
        if looks:
            with pytest.raises(Stopped):
                train(RunJob.read(job), StopsAfter(looks))
            assert checkpoint.exists(tmp_path / name / "run" / "again")
        code, events = engine("train", job)
        assert code == 0, events[-1]
        states[name] = checkpoint.load(tmp_path / name / "run" / "best.pt")["state"]
    report = json.loads((tmp_path / "whole" / "run" / "report.json").read_text())
    facts = report["pseudo_labels"]
    assert facts["kept"]
    assert report["accuracy"] == facts["again"]["accuracy"] > facts["first"]["accuracy"]
    assert report["train_photos"] == 6 + facts["labelled"]
    losses = [event["loss"] for event in events if event["event"] == "epoch"]
    assert losses[-1] == report["history"][-1]["loss"] != losses[0]  # the epochs of what was kept come last
    assert all(torch.equal(states["whole"][key], states["parts"][key]) for key in states["whole"])


def test_fine_tuning_learns_from_pseudo_labels_too(tmp_path: Path, unlabelled: Path) -> None:
    """It predicts no scene classes; with none sure enough, there is no second training. Only photos that can
    be read are counted.
    """
    recipe = {"kind": "finetune", "network": "test_resnet", "weights": "none", "image_size": 32, "epochs": 1}
    recipe |= {"batch_size": 8, "mixup": 0.0, "unlabelled": str(unlabelled)}
    manifest = write_labelled(tmp_path, 6)
    (tmp_path / "photos" / "a" / "alley" / "1.jpg").write_bytes(b"no photo")
    for confidence, some in ((0.2, True), (1.0, False)):
        (tmp_path / str(confidence)).mkdir()
        job = write_job(tmp_path / str(confidence), manifest, recipe | {"pseudo_confidence": confidence})
        report = train(RunJob.read(job), StopRequest())
        assert bool(report["pseudo_labels"]["labelled"]) == some
        assert report["pseudo_labels"]["unlabelled"] == 6
        if not some:
            assert (report["pseudo_labels"]["p"], report["pseudo_labels"]["kept"]) == (1.0, False)
            assert (report["train_photos"], report["test_photos"]) == (14, 3)
