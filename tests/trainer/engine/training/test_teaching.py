"""Learning from a teacher: what its probabilities weigh, and whose labels they stand for."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainer.engine.conftest import CLASSES, TINTS, Engine, write_job, write_manifest, write_photo
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import ModelError, RecipeError
from trainer.engine.events import StopRequest
from trainer.engine.networks.parts import LabelLayer
from trainer.engine.networks.teacher import Teacher
from trainer.engine.photos.sources import Batch, Taught
from trainer.engine.recipe import Recipe
from trainer.engine.training.criterion import Criterion
from trainer.engine.training.run import RunJob, train
from trainer.engine.training.teaching import Translation

# One process for all that use the finished run of conftest.py, its model and its cached features.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]

SCENES = ["a/alley", "b/beach", "p/pantry"]
SPEC = {"size": 32, "mean": [0, 0, 0], "std": [1, 1, 1], "resize": "squeeze"}
LABELS = ["street", "water", "other"]
FINETUNE: dict[str, Any] = {"kind": "finetune", "network": "test_resnet", "weights": "none", "image_size": 32}
FINETUNE |= {"mixup": 0.0, "epochs": 2, "batch_size": 8}


@pytest.mark.parametrize("heat", [1.0, 2.0])
def test_label_and_teacher_share_the_loss_of_each_photo(heat: float) -> None:
    """Two photos: one with a label, of which the teacher has a quarter, and one without, mixed 3 to 1."""
    recipe = Recipe(teacher_weight=0.25, teacher_temperature=heat, label_smoothing=0.0, scene_loss=2.0)
    outputs = torch.tensor([[2.0, 1.0, 0.0], [0.0, -1.0, 3.0]])
    labels, scenes = torch.tensor([[0.7, 0.3], [0.1, 0.9]]), torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.0, 0.9]])
    taught = Taught(torch.tensor([0.25, 1.0]), labels, scenes, torch.tensor([1.0, 0.0]))
    batch = Batch(outputs, torch.tensor([0, 1]), torch.tensor([1, 2]), taught=taught)
    network = nn.Sequential(nn.Identity(), LabelLayer(2, [0, 0, 1])).train()

    def expected(logits: list[list[float]], own: list[int], teacher: list[list[float]]) -> float:
        total = 0.0
        for row, first, second in zip(logits, (0, 1), (1, 0), strict=True):
            for photo, part in ((first, 0.75), (second, 0.25)):
                share = (0.25, 1.0)[photo]
                logs = torch.tensor(row).log_softmax(0)
                soft = (torch.tensor(row) / heat).log_softmax(0) * torch.tensor(teacher[photo])
                total -= part * float((1 - share) * logs[own[photo]] + share * heat**2 * soft.sum())
        return total / 2

    mixed = (0.75 * outputs + 0.25 * outputs.flip(0)).tolist()
    sums = [[math.log(math.exp(a) + math.exp(b)), c] for a, b, c in mixed]
    loss, _ = Criterion(recipe)(network, batch, (torch.tensor([1, 0]), 0.75))
    of_labels = expected(sums, [0, 1], labels.tolist())
    parts = of_labels + 2 * expected(mixed, [1, 2], scenes.tolist())
    assert loss.item() == pytest.approx(parts, rel=1e-5)

    # A teacher of labels only leaves scene classes to the photos that have one of their own, at full weight.
    batch.taught = replace(taught, scenes=None)
    loss, _ = Criterion(recipe)(network, batch, (torch.tensor([1, 0]), 0.75))
    own = -(0.75 * torch.tensor(mixed[0]).log_softmax(0)[1] + 0.25 * torch.tensor(mixed[1]).log_softmax(0)[1])
    assert loss.item() == pytest.approx(of_labels + 2 * float(own) / 2, rel=1e-5)


def test_a_teacher_is_asked_for_scene_classes_or_else_for_labels() -> None:
    """The label of a scene class is the run's: the teacher's own may be of another release."""
    spec = BACKBONES["efficientnet_lite0"].input
    teacher = Teacher("t", Path("x"), "0", spec, ("other", "water"), ("x/x", *SCENES))
    told = Translation.of(teacher, ["water", "other"], SCENES, [1, 0, 0])
    rows = torch.tensor([[9.0, 0.0, 99.0, *torch.tensor([0.5, 0.3, 0.2]).log()]])
    labels, scenes = told.logs(rows)
    assert scenes is not None
    assert scenes.exp().tolist()[0] == pytest.approx([0.5, 0.3, 0.2])
    assert labels.exp().tolist()[0] == pytest.approx([0.5, 0.5])
    labels, scenes = Translation.of(teacher, ["water", "other"], ["n/new"], [0]).logs(rows)
    assert scenes is None
    assert labels.argmax(1).tolist() == [1]
    with pytest.raises(RecipeError, match=r"does not know street"):
        Translation.of(teacher, LABELS, ["n/new"], [0])


@pytest.fixture
def wrong_labels(tmp_path: Path) -> Path:
    """Photos whose classes say nothing of what they show: each third of a tint is in another class."""
    write_manifest(tmp_path, 12)
    manifest = tmp_path / "wrong.csv"
    rows = []
    for at, tint in enumerate(TINTS):
        for number in range(12):
            scene = SCENES[(at + number) % 3]
            path = tmp_path / "photos" / tint / f"{number}.jpg"
            rows.append([f"{tint}/{number}", str(path), CLASSES[scene], scene])
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    return manifest


def test_a_frozen_head_learns_what_the_teacher_says(
    frozen: dict[str, Any], model: Path, engine: Engine, wrong_labels: Path, tmp_path: Path
) -> None:
    """Its labels are wrong, so what it knows of the held-out photos it has from the teacher."""
    for at, tint in enumerate([*TINTS, *TINTS]):
        write_photo(tmp_path / "new" / f"{at}.jpg", tint, 50 + at)
    write_photo(tmp_path / "new" / "known.jpg", "b/beach", 0)  # the same bytes as b/beach/0
    (tmp_path / "new" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    recipe = {"epochs": 8, "batch_size": 8, "unlabelled": str(tmp_path / "new")}
    recipe |= {"teacher": str(model), "teacher_weight": 1.0, "teacher_temperature": 2.0}
    job = write_job(tmp_path, wrong_labels, recipe, cache=frozen["folder"] / "cache")
    code, events = engine("train", job)
    assert code == 0, events[-1]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    facts = report["teacher"]
    assert facts["sha256"] == json.loads((model / "manifest.json").read_text())["sha256"]
    assert (facts["unlabelled"], facts["tells_scenes"], report["train_photos"]) == (6, True, 24 + 6 + 6)
    assert facts["photos"] == 30
    assert facts["accuracy"] == pytest.approx(1 / 3, abs=0.2)
    with (tmp_path / "run" / "test_predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        shown = CLASSES[row["photo_id"].rpartition("/")[0]]
        assert row["predicted"] == shown != row["true"] or row["true"] == shown
    assert [e["phase"] for e in events if e["event"] == "progress"].count("teacher")


def test_fine_tuning_learns_the_labels_of_a_teacher_without_scene_classes(
    frozen: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    manifest = write_manifest(tmp_path, 6)
    labels_only = tmp_path / "model"
    shutil.copytree(model, labels_only)
    content = json.loads((labels_only / "manifest.json").read_text())
    del content["scenes"]
    (labels_only / "manifest.json").write_text(json.dumps(content))
    losses = []
    for weight, teacher in ((0.0, ""), (0.5, str(labels_only))):
        (tmp_path / str(weight)).mkdir()
        recipe = FINETUNE | {"teacher": teacher, "teacher_weight": weight}
        job = write_job(tmp_path / str(weight), manifest, recipe, cache=frozen["folder"] / "cache")
        report = train(RunJob.read(job), StopRequest())
        losses.append(report["history"][0]["loss"])
    assert report["teacher"]["accuracy"] == 1
    assert not report["teacher"]["tells_scenes"]
    assert losses[0] != losses[1]


def test_a_teacher_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    recipe = FINETUNE | {"teacher": str(tmp_path / "gone"), "teacher_weight": 0.5}
    job = write_job(tmp_path, write_manifest(tmp_path, 2), recipe)
    with pytest.raises(ModelError, match="there is no model in"):
        train(RunJob.read(job), StopRequest())
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "model.onnx").write_bytes(b"no network")
    facts = {"format": "scenetag-model/1", "labels": LABELS}
    for spec, words in ((3, "has no labels or no input"), ({}, "has no"), (SPEC, "gone cannot be loaded")):
        (tmp_path / "gone" / "manifest.json").write_text(json.dumps(facts | {"input": spec}))
        with pytest.raises(ModelError, match=words):
            train(RunJob.read(job), StopRequest())
