"""From a run to a model folder and from a packed head to one: checked, complete, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.engine.conftest import Engine, write_photo
from trainer.engine.errors import ExportError, ModelError
from trainer.engine.evaluation.report import softmax
from trainer.engine.networks.finetuned import input_of
from trainer.engine.serving.assemble import HEAD, assemble, pack
from trainer.engine.serving.export import rebuild, write_model
from trainer.engine.serving.predict import Suggester

# One process for all that use the finished run of conftest.py: it takes seconds to train.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]

STARTER = Path(__file__).parents[4] / "trainer/starter/fast"


def test_the_manifest_says_how_to_use_the_model(model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["labels"] == ["street", "water", "other"]
    assert manifest["max_abs_difference"] < 1e-4
    assert manifest["checked_photos"] > 0
    assert set(manifest["thresholds"]) == {"street", "water"}
    assert manifest["held_out"]["method"].startswith("cross-fitted")
    assert manifest["input"]["size"] == 224
    assert not list(model.glob("*.part"))


def test_a_model_that_differs_from_its_network_is_refused(
    frozen: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.engine.networks import onnx
    from trainer.engine.serving import export

    network, recipe, _ = rebuild(frozen["run"])
    real = onnx.write_onnx

    def broken(network: torch.nn.Module, *rest: Any, **named: Any) -> None:
        real(network, *rest, **named)
        with torch.no_grad():
            network.head[0].layers[-1].weight.neg_()  # type: ignore[index, union-attr]

    monkeypatch.setattr(export, "write_onnx", broken)
    photos = np.random.default_rng(0).normal(0, 1, (2, 3, 224, 224)).astype(np.float32)
    with pytest.raises(ExportError, match="differ"):
        write_model(network, input_of(recipe), {"temperature": 1.0}, tmp_path, photos)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_refused(tmp_path: Path, engine: Engine) -> None:
    code, events = engine("export", tmp_path, tmp_path / "model")
    assert code == 1
    assert "best.pt" in events[-1]["message"]


def test_a_packed_run_predicts_what_the_run_predicts(
    frozen: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    pack(frozen["run"], tmp_path / "packed")
    assert (tmp_path / "packed" / HEAD).stat().st_size < 1_000_000
    assemble(tmp_path / "packed", tmp_path / "model")
    write_photo(tmp_path / "new.jpg", "b/beach", 99)
    ours, theirs = (
        next(Suggester(folder).suggest([tmp_path / "new.jpg"])) for folder in (tmp_path / "model", model)
    )
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=2e-3)


def test_a_damaged_head_is_refused(tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "starter")
    (tmp_path / "starter" / HEAD).write_bytes(b"nothing")
    with pytest.raises(ExportError, match="damaged"):
        assemble(tmp_path / "starter", tmp_path / "model")


def test_the_shipped_starter_model_works(tmp_path: Path, engine: Engine) -> None:
    code, events = engine("assemble", STARTER, tmp_path / "model")
    assert code == 0, events
    write_photo(tmp_path / "photo.jpg", "a/alley", 1, size=(640, 480))
    suggester = Suggester(tmp_path / "model")
    suggestion = next(suggester.suggest([tmp_path / "photo.jpg"]))
    assert len(suggestion.candidates) == 3
    assert sum(suggestion.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert suggestion.scene is not None
    assert suggestion.scene[0] in json.loads((STARTER / "starter.json").read_text())["scene_classes"]


def test_a_labels_probability_is_the_sum_of_its_scenes(tmp_path: Path) -> None:
    """The labels' probabilities are sums of the scene probabilities in the exported file."""
    assemble(STARTER, tmp_path / "model")
    facts = json.loads((STARTER / "starter.json").read_text())
    suggester = Suggester(tmp_path / "model")
    size = suggester.network.input.size
    photos = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
    logits, scenes = suggester.network.session.run(None, {"photos": photos})
    assert scenes.shape == (2, len(facts["scene_classes"]))
    sums = np.zeros(logits.shape)
    np.add.at(sums.T, facts["groups"], softmax(scenes).T)
    with np.load(STARTER / HEAD) as arrays:
        (shift,) = (arrays[name] for name in arrays.files if name.endswith("shift"))
    np.testing.assert_allclose(np.log(sums) + shift, logits, atol=1e-3)


@pytest.mark.parametrize("content", [None, "{", '{"format": "scenetag-model/0"}'])
def test_a_folder_without_a_whole_model_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ModelError):
        Suggester(tmp_path)
