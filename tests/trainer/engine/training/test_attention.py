"""Object masks as supervised attention, on photos that are composed: no real masks are at hand."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.trainer.engine.conftest import Engine, StopsAfter, write_job
from tests.trainer.engine.photos.test_masks import labelme, thing
from trainer.engine.errors import PhotosError, RecipeError
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.networks.finetuned import build_network
from trainer.engine.networks.taps import tap_features, tap_map
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint
from trainer.engine.training.attention import Attention, attention, shares_inside
from trainer.engine.training.run import RunJob, train

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]

RECIPE: dict[str, Any] = {
    "kind": "finetune",
    "network": "test_resnet",
    "weights": "none",
    "image_size": 64,
    "mixup": 0.0,
    "epochs": 3,
    "batch_size": 8,
    "lr": 0.003,
    "warmup": 0.0,
    "schedule": "constant",
    "mask_loss": 1.0,
}


class OneMap(nn.Module):
    """A network whose last feature map is its input, a map of two cells by two and of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Identity()
        self.body = nn.Conv2d(3, 1, 1, bias=False)

    def forward(self, photos: Tensor) -> Tensor:
        cells: Tensor = self.body(self.first(photos)).flatten(1)
        return cells


def cells(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 2, 2)


def test_attention_is_the_share_of_the_squared_positive_values() -> None:
    maps = torch.tensor([[[[2.0, 1.0], [0.0, -9.0]], [[2.0, 1.0], [0.0, -9.0]]]])
    assert attention(maps)[0].tolist() == [[pytest.approx(0.8), pytest.approx(0.2)], [0, 0]]
    assert shares_inside(maps, cells(1, 0, 0, 1)).tolist() == [pytest.approx(0.8)]
    assert shares_inside(torch.zeros(1, 1, 2, 2), cells(1, 1, 1, 1)).tolist() == [0]  # no attention at all


def part(**settings: Any) -> tuple[Attention, OneMap]:
    network = OneMap()
    nn.init.ones_(network.body.weight)
    recipe = Recipe(**{**RECIPE, "image_size": 2, **settings})
    attending = Attention(recipe, network)
    with torch.no_grad():
        attending.segmenter.weight.fill_(10.0)
        attending.segmenter.bias.fill_(-5.0)
    return attending, network


PHOTO = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).expand(1, 3, 2, 2) / 3
NONE = torch.full((1, 2, 2), math.nan)


def test_the_loss_is_the_logarithm_of_the_attention_on_objects() -> None:
    """Half of the attention is on the object; of the segmenter only its own loss counts."""
    attending, network = part(mask_loss=2.0)
    network(PHOTO)
    loss = attending.loss(cells(1, 1, 0, 0), epoch=0)
    inside = -math.log(0.5)
    segmenter = np.mean([-math.log(1 / (1 + math.exp(-z))) for z in (5, -5, -5, 5)])
    assert loss.item() == pytest.approx(2 * inside + segmenter)
    loss.backward()  # type: ignore[no-untyped-call]
    assert network.body.weight.grad is not None  # the attention loss reached the network
    attending, network = part(mask_loss=2.0)
    network(PHOTO)
    attending.segmenter(attending.map.value.detach()).sum().backward()
    assert network.body.weight.grad is None


def test_a_photo_without_a_mask_counts_once_the_segmenter_may_stand_in() -> None:
    """It is sure of the left cells (.993 each), where all of the attention is."""
    attending, network = part(segmenter_after=2)
    network(PHOTO)
    assert attending.loss(NONE, epoch=1).item() == 0
    sure = 1 / (1 + math.exp(-5))
    assert attending.loss(NONE, epoch=2).item() == pytest.approx(-math.log(sure), rel=1e-4)
    never, network = part(segmenter_after=0)
    network(PHOTO)
    assert never.loss(NONE, epoch=9).item() == 0


def test_where_the_segmenter_sees_nothing_it_gives_no_mask() -> None:
    attending, network = part(segmenter_after=1)
    with torch.no_grad():
        attending.segmenter.bias.fill_(-20.0)
    network(PHOTO)
    assert attending.loss(NONE, epoch=1).item() == 0


@pytest.mark.parametrize(
    ("name", "channels", "features"),
    [
        ("resnet18", 512, 512),
        ("vgg11", 512, 4096),
        ("efficientnet_lite0", 1280, 1280),
        ("test_resnet", 96, 96),
    ],
)
def test_every_family_of_convolutional_networks_can_be_tapped(
    name: str, channels: int, features: int
) -> None:
    recipe = Recipe(**RECIPE | {"network": name})
    network = build_network(recipe, 5)[0].train()
    tap, count = tap_map(network, recipe)
    inputs, width = tap_features(network, recipe, 5)
    assert network.training
    network(torch.zeros(2, 3, 64, 64))
    assert (count, width) == (channels, features)
    assert tap.value.shape[:2] == (2, channels)
    assert tap.value.shape[2] == tap.value.shape[3] > 1
    assert inputs.value.shape == (2, features)


def test_a_network_without_a_feature_map_is_refused() -> None:
    recipe = Recipe(**RECIPE | {"network": "test_vit", "image_size": 32})
    with pytest.raises(RecipeError, match="has no feature map"):
        tap_map(build_network(recipe, 5)[0], recipe)


def compose(folder: Path, count: int = 12, *, masks: int = 6) -> Path:
    """Photos of two classes, told apart by the colour of one quarter. Another one is grey: the object that
    some have a mask of. A quarter is a cell of the last feature map.
    """
    rng = np.random.default_rng(5)
    rows = []
    for scene, colour in (("a/alley", (230, 40, 40)), ("b/beach", (40, 40, 230))):
        for at in range(count):
            pixels = rng.integers(60, 200, (64, 64, 3), dtype=np.uint8)
            (left, top), (x, y) = 32 * rng.permutation([(0, 0), (0, 1), (1, 0), (1, 1)])[:2]
            pixels[top : top + 32, left : left + 32] = colour
            pixels[y : y + 32, x : x + 32] = 128
            file = folder / "photos" / scene / f"{at}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
            if at < masks:
                corners = ((x, y), (x + 32, y), (x + 32, y + 32), (x, y + 32))
                size = "<imagesize><nrows>64</nrows><ncols>64</ncols></imagesize>"
                file.with_suffix(".xml").write_text(labelme(thing("square", corners), size=size))
            rows.append([f"{scene}/{at}", str(file), scene[2:], scene])
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as opened:
        csv.writer(opened).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    return manifest


def test_masks_pull_the_attention_to_the_objects(tmp_path: Path, engine: Engine) -> None:
    """Away from what tells the classes apart."""
    manifest = compose(tmp_path, masks=12)
    inside = {}
    for weight in (0.01, 3.0):
        (tmp_path / str(weight)).mkdir()
        job = write_job(tmp_path / str(weight), manifest, RECIPE | {"mask_loss": weight, "epochs": 10})
        code, events = engine("train", job)
        assert code == 0, events[-1]
        masks = json.loads((tmp_path / str(weight) / "run" / "report.json").read_text())["masks"]
        assert (masks["with_masks"], masks["photos"], masks["test_photos"]) == (20, 20, 4)
        inside[weight] = masks["attention_inside"]
    assert inside[3.0] > 1.5 * inside[0.01]


def test_a_run_with_masks_continues_bit_for_bit(tmp_path: Path) -> None:
    """With distorted photos, photos without masks and a file that cannot be used."""
    manifest = compose(tmp_path)
    (tmp_path / "photos" / "a" / "alley" / "11.xml").write_text("<annotation>")
    recipe = RECIPE | {"augment": 2, "segmenter_after": 1, "batch_size": 5}
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(RunJob.read(write_job(tmp_path / "whole", manifest, recipe)), StopRequest())
    assert whole["masks"]["with_masks"] < whole["masks"]["photos"] == 20
    parts = write_job(tmp_path / "parts", manifest, recipe)
    with pytest.raises(Stopped):
        train(RunJob.read(parts), StopsAfter(6))
    train(RunJob.read(parts), StopRequest())
    first, second = (checkpoint.load(tmp_path / name / "run" / "best.pt") for name in ("whole", "parts"))
    assert first["extras"].keys() == {f"extras.attention.segmenter.{name}" for name in ("weight", "bias")}
    for name in ("state", "extras"):
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name])


def test_photos_without_masks_are_refused(tmp_path: Path) -> None:
    manifest = compose(tmp_path, count=3, masks=0)
    with pytest.raises(PhotosError, match="none of the training photos has masks") as error:
        train(RunJob.read(write_job(tmp_path, manifest, RECIPE)), StopRequest())
    assert "x.xml" in error.value.hint
