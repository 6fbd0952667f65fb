"""A number that is none ends a run, wherever it stands; what is on disk stays good."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainer.engine.conftest import Engine
from trainer.engine.errors import NotANumberError
from trainer.engine.events import StopRequest
from trainer.engine.networks.features import FeatureCache
from trainer.engine.networks.parts import Head, LabelLayer
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.sources import FeatureSource
from trainer.engine.recipe import Recipe
from trainer.engine.serving.heldout import HeldOut
from trainer.engine.training import checkpoint
from trainer.engine.training.loop import Trainer

Poison = Callable[[Trainer], None]


def into_weights(trainer: Trainer) -> None:
    trainer.network.state_dict()["0.1.weight"].fill_(torch.nan)


def into_batch_norm(trainer: Trainer) -> None:
    """Divided by infinity all answers are 0: they are numbers."""
    trainer.network.state_dict()["0.0.running_var"].fill_(torch.inf)


def into_the_optimizer(trainer: Trainer) -> None:
    """Divided by infinity all steps are 0: the weights stay as they are."""
    next(iter(trainer.optimizer.state.values()))["exp_avg_sq"].fill_(torch.inf)


def into_the_test_loss(trainer: Trainer) -> None:
    """Weights and answers are numbers, but the distance between two of them is none."""
    trainer.network.state_dict()["0.1.weight"].copy_(torch.tensor([[1e38], [-1e38]]))


def trainer_in(out: Path, poison: Poison | None = None, *, at_step: int = 3) -> Trainer:
    """Three epochs of one step each on four points; the poison comes right after a step."""
    points = torch.tensor([[-1.0], [-2.0], [1.0], [2.0]])
    labels = torch.tensor([0, 0, 1, 1])
    photos = [Photo(str(at), "x.jpg", "left", "left", str(at)) for at in range(4)]
    source = FeatureSource(
        points[None], points, (labels, labels, labels, labels), photos, batch_size=4, seed=0
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 2)), LabelLayer(2))
    recipe = Recipe(epochs=3, warmup=0.0, mixup=0.0, scene_loss=0.0, schedule="constant")
    trainer = Trainer(
        recipe, network, source, out, identity={"labels": ["left", "right"]}, stop=StopRequest()
    )
    steps = 0

    def after_step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if poison and steps == at_step:
            poison(trainer)

    trainer.optimizer.register_step_post_hook(after_step)
    return trainer


@pytest.mark.parametrize(
    ("poison", "words"),
    [
        (into_weights, "answers to test photos"),
        (into_batch_norm, r"0\.0\.running_var"),
        (into_the_optimizer, "exp_avg_sq"),
        (into_the_test_loss, "test_loss became inf"),
    ],
)
def test_the_last_step_made_it(tmp_path: Path, poison: Poison, words: str) -> None:
    with pytest.raises(NotANumberError, match=words) as caught:
        trainer_in(tmp_path, poison).run()
    assert "in epoch 3, step 3; the last good checkpoint was written after epoch 1" in caught.value.message
    assert "0.002" in caught.value.hint
    assert not (tmp_path / "best.pt").exists()
    state = checkpoint.latest(tmp_path)["state"]
    assert all(torch.isfinite(value).all() for value in state.values())
    trainer_in(tmp_path).run()  # that checkpoint is good
    assert (tmp_path / "best.pt").exists()


def test_a_step_before_the_first_checkpoint_made_it(tmp_path: Path) -> None:
    with pytest.raises(NotANumberError, match="in epoch 1, step 1; there is no checkpoint"):
        trainer_in(tmp_path, into_batch_norm, at_step=1).run()
    assert not checkpoint.exists(tmp_path)


def test_the_loss_of_the_next_step_shows_it(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path)
    trainer.at.epoch = 1
    into_weights(trainer)
    with pytest.raises(NotANumberError, match="the loss became nan in epoch 2, step 2"):
        trainer._train_epoch()


def test_a_single_training_photo_has_no_deviation() -> None:
    head = Head(2, 2)
    head.standardise_by(torch.tensor([[3.0, 4.0]]))
    assert head.std.tolist() == [1.0, 1.0]


def test_cached_features_that_are_no_numbers_are_computed_again(tmp_path: Path) -> None:
    FeatureCache(tmp_path).add(["a"], np.full((1, 2), np.inf, np.float16))
    assert FeatureCache(tmp_path).rows == {}
    assert not list(tmp_path.iterdir())


def test_no_calibration_rests_on_logits_that_are_no_numbers(tmp_path: Path) -> None:
    file = tmp_path / "test_predictions.csv"
    file.write_text('path,true,logits\nx.jpg,a,"[NaN, 1.0]"\n')
    with pytest.raises(NotANumberError, match="test_predictions"):
        HeldOut.read(file, ["a", "b"])


@pytest.mark.integration
def test_a_frozen_run_that_explodes_in_its_last_epoch(
    tmp_path: Path, frozen: dict[str, Any], engine: Engine
) -> None:
    """Its weights grow a hundredfold a step, until they leave the range of numbers."""
    explosive = {"optimizer": "sgd", "momentum": 0.0, "lr": 10.0, "weight_decay": 10.0}
    plain = {"warmup": 0.0, "schedule": "constant", "mixup": 0.0, "dropout": 0.0, "label_smoothing": 0.0}
    job = json.loads(frozen["job"].read_text())
    epochs = 40
    for out in ("unbounded", "bounded"):
        recipe = {**explosive, **plain, "scene_loss": 0.0, "batch_size": 4096, "epochs": epochs}
        file = tmp_path / f"{out}.json"
        file.write_text(json.dumps({**job, "recipe": recipe, "out": str(tmp_path / out)}))
        code, events = engine("train", file)
        assert (code, events[-1]["event"], events[-1]["kind"]) == (1, "error", "nan"), events[-1]
        epochs = max(event["epoch"] for event in events if event["event"] == "epoch") + 1
        assert f"in epoch {epochs}, step {epochs}; the last good checkpoint" in events[-1]["message"]
        assert not (tmp_path / out / "report.json").exists()
