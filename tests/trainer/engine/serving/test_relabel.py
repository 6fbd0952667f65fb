"""Another mapping for a trained model: other sums of the same scene classes, and thresholds for them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.engine.conftest import CLASSES, Engine, write_job, write_photo
from trainer.engine.errors import ExportError, ModelError
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.report import softmax
from trainer.engine.evaluation.scenes import SCENES, SceneAnswers
from trainer.engine.serving.assemble import assemble, pack
from trainer.engine.serving.predict import Suggester
from trainer.engine.serving.relabel import Sums, read_least, relabel

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]


def write_labels(file: Path, labels: dict[str, str]) -> Path:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([["key", "hashtag"], *labels.items()])
    return file


def manifest_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def likeliest(folder: Path, photo: Path) -> str:
    return next(Suggester(folder).suggest([photo])).candidates[0][0]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_photo(tmp_path / "new.jpg", "b/beach", 99)
    return tmp_path / "new.jpg"


def test_the_same_labels_give_the_same_model(model: Path, tmp_path: Path, photo: Path) -> None:
    new = relabel(model, CLASSES, tmp_path / "same")
    old = manifest_of(model)
    for name in ("labels", "scenes", "scene_labels", "scenes_sha256"):
        assert new[name] == old[name]
    assert new["metrics"]["accuracy"] == old["metrics"]["accuracy"]
    assert new["temperature"] == pytest.approx(old["temperature"], rel=0.02)
    assert new["thresholds"] == pytest.approx(old["thresholds"], abs=2e-3)
    assert (new["relabelled"]["moves"], new["relabelled"]["changed"]) == ([], 0)
    ours, theirs = (next(Suggester(folder).suggest([photo])) for folder in (tmp_path / "same", model))
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=2e-3)
    assert ours.scene == theirs.scene
    stricter = relabel(model, CLASSES, tmp_path / "stricter", least={"water": NEVER, "street": 0.0})
    assert stricter["thresholds"] == new["thresholds"] | {"water": NEVER}  # never lowered
    told = {row["hashtag"]: row["suggested"] for row in stricter["held_out"]["per_hashtag"]}
    before = {row["hashtag"]: row["suggested"] for row in new["held_out"]["per_hashtag"]}
    assert before["water"] > 0
    assert told == before | {"water": 0}
    for text in ("[]", '{"water": "x"}', "{"):
        (tmp_path / "least.json").write_text(text)
        with pytest.raises(ExportError, match=r"least.json does not hold thresholds"):
            read_least(tmp_path / "least.json")


def test_a_release_that_adds_a_hashtag_and_drops_one(
    model: Path, tmp_path: Path, photo: Path, engine: Engine
) -> None:
    """The alley moves to other, the beach from #water to a hashtag that the model never learned."""
    labels = {"a/alley": "other", "b/beach": "sand", "p/pantry": "food", "z/zoo": "animals"}
    file = write_labels(tmp_path / "labels.csv", labels)
    code, events = engine("relabel", model, file, tmp_path / "new")
    assert code == 0, events
    manifest = manifest_of(tmp_path / "new")
    assert manifest["labels"] == ["food", "sand", "other"]
    assert set(manifest["thresholds"]) == {"food", "sand"}
    changes = manifest["relabelled"]
    assert (changes["new_labels"], changes["lost_labels"]) == (["food", "sand"], ["street", "water"])
    assert ["b/beach", "water", "sand"] in changes["moves"]
    assert changes["old_model"]["precision"] == 0  # whatever it suggests, no photo has that hashtag now
    assert changes["changed"] > 0
    assert manifest["metrics"]["accuracy"] == 1
    assert likeliest(tmp_path / "new", photo) == "sand"
    assert engine("relabel", tmp_path / "new", write_labels(file, CLASSES), tmp_path / "back")[0] == 0
    assert likeliest(tmp_path / "back", photo) == "water"


def test_probabilities_are_the_sums_of_scene_classes(model: Path, tmp_path: Path) -> None:
    """By hand from the second output, with the shift by the labels' shares of the training photos."""
    relabel(model, CLASSES | {"a/alley": "water"}, tmp_path / "new")
    suggester = Suggester(tmp_path / "new")
    photos = np.random.default_rng(1).normal(scale=0.1, size=(3, 3, 224, 224)).astype(np.float32)
    logits, scenes = suggester.network.session.run(None, {"photos": photos})
    shares = softmax(scenes)
    assert suggester.scenes == ["a/alley", "b/beach", "p/pantry"]
    sums = np.stack([shares[:, 0] + shares[:, 1], shares[:, 2]], 1)
    balance = manifest_of(model)["recipe"]["balance"]
    trained = SceneAnswers.read(model / SCENES, suggester.scenes).trained
    counts = np.array([trained[0] + trained[1], trained[2]])
    assert balance > 0
    expected = np.log(np.maximum(sums, 1e-12)) - balance * np.log(counts / counts.sum())
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_a_class_without_a_label_counts_for_other_and_its_photos_measure_nothing(
    model: Path, tmp_path: Path
) -> None:
    new = relabel(model, {"a/alley": "street", "b/beach": "water"}, tmp_path / "new")
    assert new["labels"] == ["street", "water", "other"]
    assert new["relabelled"]["left_out"] == ["p/pantry"]
    answers = SceneAnswers.read(model / SCENES, new["scenes"])
    assert new["metrics"]["test_photos"] == new["held_out"]["photos"] == (answers.true != 2).sum()
    assert new["metrics"]["train_photos"] == answers.trained[:2].sum() < answers.trained.sum()


def test_folders_beside_classes_keep_their_labels() -> None:
    from trainer.engine.serving.relabel import _new_names

    scenes = ["_hashtag/art", "_hashtag/cars", "_other/pets", "a/abbey"]
    names = _new_names(scenes, {"a/abbey": "church", "g/garage": "cars"})
    assert names == [None, "cars", "other", "church"]
    sums = Sums.by(names, np.array([1, 2, 3, 4]), 0.5)
    assert sums.labels == ["cars", "church", "other"]
    assert sums.of_scene.tolist() == [-1, 0, 2, 1]
    assert sums.names() == ["other", "cars", "other", "church"]
    np.testing.assert_allclose(sums.shift, -0.5 * np.log(np.array([0.2, 0.4, 0.4])), rtol=1e-6)


def test_a_promise_is_kept_by_the_new_labels(frozen: dict[str, Any], tmp_path: Path, engine: Engine) -> None:
    engine("export", frozen["run"], tmp_path / "old", "--promise", "overall", "--target-precision", 0.5)
    new = relabel(tmp_path / "old", CLASSES | {"p/pantry": "food"}, tmp_path / "new")
    assert (new["promise"]["kind"], new["target_precision"]) == ("overall", 0.5)
    assert new["promise"]["groups"][0]["hashtags"] == ["food", "street", "water"]


def test_a_packed_model_can_be_relabelled(frozen: dict[str, Any], tmp_path: Path, photo: Path) -> None:
    pack(frozen["run"], tmp_path / "packed")
    assemble(tmp_path / "packed", tmp_path / "model")
    relabel(tmp_path / "model", CLASSES | {"b/beach": "sand"}, tmp_path / "new")
    assert likeliest(tmp_path / "new", photo) == "sand"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenes": []}, "it learned labels only"),
        ({"cascade": {}}, "it is a cascade"),
        ({"scenes_sha256": None}, "it came without what it says of scene classes on held-out photos"),
    ],
)
def test_a_model_that_cannot_be_relabelled_says_why(
    model: Path, tmp_path: Path, engine: Engine, change: dict[str, Any], words: str
) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    content = {key: x for key, x in (manifest_of(model) | change).items() if x is not None}
    (other / "manifest.json").write_text(json.dumps(content))
    code, events = engine("relabel", other, write_labels(tmp_path / "l.csv", CLASSES), tmp_path / "new")
    assert (code, events[-1]["kind"]) == (1, "export")
    assert words in events[-1]["message"]
    assert not (tmp_path / "new").exists()


def test_a_model_is_not_relabelled_in_place(model: Path, tmp_path: Path, engine: Engine) -> None:
    before = manifest_of(model)
    file = write_labels(tmp_path / "labels.csv", CLASSES | {"b/beach": "sand"})
    code, events = engine("relabel", model, file, model)
    assert (code, events[-1]["message"]) == (1, "the new model would replace the old one")
    assert manifest_of(model) == before


def test_a_run_that_learned_labels_only_gives_no_such_model(
    frozen: dict[str, Any], tmp_path: Path, engine: Engine
) -> None:
    recipe = {"epochs": 1, "batch_size": 8, "scene_loss": 0.0}
    job = write_job(tmp_path, frozen["folder"] / "manifest.csv", recipe, frozen["folder"] / "cache")
    assert engine("train", job)[0] == engine("export", tmp_path / "run", tmp_path / "old")[0] == 0
    assert not (tmp_path / "run" / SCENES).exists()
    file = write_labels(tmp_path / "labels.csv", CLASSES)
    code, events = engine("relabel", tmp_path / "old", file, tmp_path / "new")
    assert (code, "it learned labels only" in events[-1]["message"]) == (1, True)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (dict.fromkeys(CLASSES, "street"), "all of its scene classes have the label street"),
        ({"z/zoo": "animals", "y/yard": "other"}, "all of its scene classes have the label other"),
    ],
)
def test_labels_that_tell_nothing_apart_are_refused(
    model: Path, tmp_path: Path, engine: Engine, labels: dict[str, str], words: str
) -> None:
    code, events = engine("relabel", model, write_labels(tmp_path / "l.csv", labels), tmp_path / "new")
    assert (code, words in events[-1]["message"]) == (1, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["logs", "true", "trained", "pickle", "text"])
def test_damaged_answers_are_refused(model: Path, tmp_path: Path, name: str) -> None:
    scenes = manifest_of(model)["scenes"]
    with np.load(model / SCENES) as arrays:
        parts = dict(arrays)
    if name == "pickle":
        parts["logs"] = np.array([{}], dtype=object)
    elif name != "text":
        parts[name] = parts[name][:-1] if name == "trained" else parts[name] + parts[name].dtype.type(3)
    file = tmp_path / "model" / SCENES
    file.parent.mkdir()
    if name == "text":
        file.write_text("nothing")
    else:
        np.savez(file, allow_pickle=True, **parts)
    with pytest.raises(ModelError, match=SCENES):
        SceneAnswers.read(file, scenes)
