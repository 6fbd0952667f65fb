"""What a step does to the weights, and which epoch becomes the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainer.engine.conftest import StopsAfter, write_photo
from trainer.engine.events import Stopped
from trainer.engine.networks.parts import LabelLayer
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.sources import FeatureSource, PhotoSource, order_of
from trainer.engine.preprocess import Input
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint
from trainer.engine.training.loop import Trainer
from trainer.engine.training.optimizer import build_optimizer
from trainer.engine.training.schedule import rates


def weights_after(steps: int, *, gradient: float, **settings: Any) -> tuple[float, float]:
    """A weight and a bias that began at 1, after steps of always the same gradient."""
    layer = nn.Linear(1, 1)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    optimizer = build_optimizer(Recipe(lr=0.1, **settings), layer)
    for _ in range(steps):
        layer.weight.grad = torch.full((1, 1), gradient)
        layer.bias.grad = torch.full((1,), gradient)
        optimizer.step()
    return layer.weight.item(), layer.bias.item()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_carries_a_step_of_sgd_on(momentum: float) -> None:
    settings: dict[str, Any] = {"optimizer": "sgd", "momentum": momentum, "weight_decay": 0.0}
    # The first step goes 0.1 · 1 down, the second one 0.1 · (1 + momentum).
    assert weights_after(1, gradient=1.0, **settings) == pytest.approx((0.9, 0.9))
    down = 0.1 + 0.1 * (1 + momentum)
    assert weights_after(2, gradient=1.0, **settings) == pytest.approx((1 - down, 1 - down))


@pytest.mark.parametrize(
    ("optimizer", "weight"),
    [
        ("sgd", 1 - 0.1 * 0.2),  # the decay is a gradient: lr · decay · weight
        ("adamw", 1 - 0.1 * 0.2),  # the decay stands beside the gradient
        ("adam", 1 - 0.1),  # the decay is the whole gradient, whose size Adam divides away
    ],
)
def test_weight_decay_spares_biases(optimizer: str, weight: float) -> None:
    decayed = weights_after(1, gradient=0.0, optimizer=optimizer, weight_decay=0.2)
    assert decayed == pytest.approx((weight, 1.0), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_recipe_names_the_optimizer(name: str, kind: type) -> None:
    optimizer = build_optimizer(Recipe(optimizer=name, lr=0.1), nn.Linear(1, 1))
    assert (isinstance(optimizer, kind), type(optimizer).__name__) == (True, kind.__name__)


def train(out: Path, *, scale: float = 1, looks: int = 1000, **settings: Any) -> Trainer:
    """Three epochs on points to the left and right of nought, from weights that tell all of them wrong."""
    points = scale * torch.tensor([[-1.0], [-2.0], [1.0], [2.0]])
    labels = torch.tensor([0, 0, 1, 1])
    layer = nn.Linear(1, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        layer.bias.zero_()
    photos = [Photo(str(at), "x.jpg", "left", "left", str(at)) for at in range(4)]
    source = FeatureSource(
        points[None],
        points,
        (labels, labels, labels, labels),
        photos,
        batch_size=settings.get("batch_size", 4),
        seed=0,
    )
    recipe = Recipe(
        **{"epochs": 3, "warmup": 0.0, "mixup": 0.0, "scene_loss": 0.0, "schedule": "constant", **settings}
    )
    trainer = Trainer(
        recipe,
        nn.Sequential(layer, LabelLayer(2)),
        source,
        out,
        identity={"labels": ["left", "right"]},
        stop=StopsAfter(looks),
    )
    trainer.run()
    return trainer


@pytest.mark.parametrize(("loss", "value"), [("absolute", 2.0), ("squared", 1.0)])
def test_the_recipe_names_the_loss(loss: str, value: float, tmp_path: Path) -> None:
    """In training and on the held-out photos: all are told wrong with certainty, where it is largest."""
    trainer = train(tmp_path, loss=loss, label_smoothing=0.0, optimizer="sgd", lr=1e-7, scale=100)
    first = trainer.at.history[0]
    assert (first["loss"], first["test_loss"]) == pytest.approx((value, value))


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_a_network_learns_by_each_loss(loss: str, tmp_path: Path) -> None:
    trainer = train(tmp_path, loss=loss, optimizer="sgd", momentum=0.0, weight_decay=0.0, lr=0.5, epochs=20)
    assert trainer.at.history[-1]["accuracy"] == 1.0
    assert trainer.at.history[-1]["test_loss"] < trainer.at.history[0]["test_loss"]


def saved_weight(out: Path) -> float:
    return float(checkpoint.load(out / "best.pt")["state"]["0.weight"][0])


def test_of_equally_good_epochs_the_first_is_the_best(tmp_path: Path) -> None:
    trainer = train(tmp_path, keep="best", optimizer="sgd", weight_decay=0.0, lr=0.01)
    assert [row["accuracy"] for row in trainer.at.history] == [0.0, 0.0, 0.0]
    assert trainer.at.best_epoch == 1
    train(tmp_path / "once", keep="last", optimizer="sgd", weight_decay=0.0, lr=0.01, epochs=1)
    assert (
        saved_weight(tmp_path)
        == saved_weight(tmp_path / "once")
        != trainer.network.state_dict()["0.weight"][0].item()
    )


def test_a_better_epoch_takes_the_place_of_the_best(tmp_path: Path) -> None:
    trainer = train(tmp_path, keep="best", optimizer="sgd", weight_decay=0.0, lr=0.5)
    assert [row["accuracy"] for row in trainer.at.history] == [0.0, 1.0, 1.0]
    assert trainer.at.best_epoch == 2


def test_the_last_epoch_is_kept_unless_the_best_is_asked_for(tmp_path: Path) -> None:
    trainer = train(tmp_path, keep="last", optimizer="sgd", weight_decay=0.0, lr=0.5)
    assert trainer.at.best_epoch == 2
    assert saved_weight(tmp_path) == trainer.network.state_dict()["0.weight"][0].item()


def test_the_running_average_is_what_is_kept(tmp_path: Path) -> None:
    trainer = train(tmp_path, ema=0.9, optimizer="sgd", weight_decay=0.0, lr=0.5)
    average = trainer.judged.get_parameter("0.weight")[0].item()
    assert saved_weight(tmp_path) == average != trainer.network.state_dict()["0.weight"][0].item()


@pytest.mark.parametrize("batches", [2, 4])  # the second is more than an epoch has
def test_batches_that_make_one_step_count_as_one(batches: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimizer": "sgd", "weight_decay": 0.0, "lr": 0.5}
    train(tmp_path / "one", **settings)
    train(tmp_path / "several", **settings, batch_size=2, accumulate=batches)
    assert saved_weight(tmp_path / "several") == pytest.approx(saved_weight(tmp_path / "one"), rel=1e-5)


def test_a_step_ends_with_its_last_batch_even_if_that_has_one_photo(tmp_path: Path) -> None:
    """Four batches of two, two a step; of the second batch one photo cannot be read."""
    photos = []
    for at in range(8):
        write_photo(tmp_path / f"{at}.jpg", ("a/alley", "b/beach")[at % 2], at)
        photos.append(Photo(str(at), str(tmp_path / f"{at}.jpg"), "left", "left", str(at)))
    Path(photos[int(order_of(8, 0, 0)[2])].path).write_bytes(b"no photo")
    names = {"left": 0, "right": 1}
    source = PhotoSource(
        photos,
        photos,
        names,
        names,
        spec=Input(8, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
        batch_size=2,
        seed=0,
        num_workers=0,
    )
    recipe = Recipe(kind="finetune", epochs=1, mixup=0.0, ema=0.5, batch_size=2, accumulate=2)
    network = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), LabelLayer(2))
    trainer = Trainer(
        recipe, network, source, tmp_path, identity={"labels": ["left", "right"]}, stop=StopsAfter(1000)
    )
    trainer.run()
    assert trainer.average is not None
    assert int(trainer.average.n_averaged) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "cosine", "warmup": 2.5},
        {"schedule": "annealing", "period": 3, "lr": 0.1, "lr_min": 0.001},
        {"schedule": "constant"},
    ],
)
def test_a_run_records_the_rates_that_were_planned(settings: dict[str, Any], tmp_path: Path) -> None:
    trainer = train(tmp_path, epochs=7, **settings)
    assert [row["lr"] for row in trainer.at.history] == rates(trainer.recipe, steps=trainer.steps)


SLOW: dict[str, Any] = {"optimizer": "sgd", "weight_decay": 0.0, "lr": 0.07, "epochs": 9, "test_every": 2}


def epochs_with_figures(trainer: Trainer) -> list[int]:
    names = ("accuracy", "balanced_accuracy", "test_loss")
    figures = [[row[name] is not None for name in names] for row in trainer.at.history]
    assert all(len(set(known)) == 1 for known in figures)  # all three or none
    return [row["epoch"] for row, known in zip(trainer.at.history, figures, strict=True) if known[0]]


def test_held_out_photos_are_tested_every_so_many_epochs_and_at_the_end(tmp_path: Path) -> None:
    trainer = train(tmp_path, **SLOW)
    assert epochs_with_figures(trainer) == [2, 4, 6, 8, 9]
    assert [row["epoch"] for row in trainer.at.history] == list(range(1, 10))
    assert epochs_with_figures(train(tmp_path / "never", **SLOW | {"test_every": 50})) == [9]


def test_only_a_tested_epoch_is_the_best_or_the_last(tmp_path: Path) -> None:
    every = train(tmp_path / "every", **SLOW | {"test_every": 1, "keep": "best"})
    first = next(row["epoch"] for row in every.at.history if row["accuracy"] == 1.0)
    assert first == 5  # it would be the best, but is not tested
    trainer = train(tmp_path / "second", **SLOW | {"epochs": 20}, keep="best", stop_after=3)
    assert trainer.at.best_epoch == 6
    assert epochs_with_figures(trainer) == [2, 4, 6, 8, 10]
    assert trainer.at.history[-1]["epoch"] == 10
    assert trainer.stopped_early == "accuracy has not grown in 3 epochs"


@pytest.mark.parametrize("looks", range(1, 9))
def test_stopped_anywhere_it_tests_the_same_epochs(looks: int, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", **SLOW, keep="best")
    with pytest.raises(Stopped):
        train(tmp_path / "parts", **SLOW, keep="best", looks=looks)
    parts = train(tmp_path / "parts", **SLOW, keep="best")
    assert (epochs_with_figures(parts), parts.at.best_epoch) == (
        epochs_with_figures(whole),
        whole.at.best_epoch,
    )
    assert saved_weight(tmp_path / "parts") == saved_weight(tmp_path / "whole")


def test_a_run_interrupted_by_an_upgrade_continues(tmp_path: Path) -> None:
    """Its checkpoint names none of the settings that came later."""
    with pytest.raises(Stopped):
        train(tmp_path, looks=2)
    content = checkpoint.load(tmp_path / "checkpoint.pt")
    for name in ("loss", "test_every"):
        del content["recipe"][name]
    checkpoint.save(tmp_path / "checkpoint.pt", content)
    assert train(tmp_path).at.epoch == 3
    with pytest.raises(checkpoint.CheckpointError, match="other recipe"):
        train(tmp_path, loss="squared")
