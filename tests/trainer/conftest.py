"""Tiny photo sets: real files, real jobs, real archives."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from PIL import Image

from jobs.models import Job
from mapping.models import Release, ReleaseLabel, SceneClass
from trainer.models import PhotoSet, ScenePhoto, TrainedModel, TrainingRun

# scene class → label; "z/zoo" is in no release
LABELS = {"b/beach": "beach", "b/bar": "bar", "a/abbey": "architecture", "p/pantry": "other"}
MODEL_MANIFEST = {
    "labels": ["bar", "beach", "other"],
    "thresholds": {"bar": 0.5, "beach": 0.62},
    "temperature": 1.1,
    "target_precision": 0.9,
    "max_abs_difference": 3e-7,
    "checked_photos": 30,
    "sha256": "0" * 64,
    "metrics": {"accuracy": 0.81, "balanced_accuracy": 0.79},
    "recipe": {"kind": "frozen"},
}


@cache
def jpeg(colour: tuple[int, int, int] = (200, 40, 90), size: tuple[int, int] = (48, 32)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def classes(db: None) -> dict[str, SceneClass]:
    """Five scene classes, one of them below another."""
    keys = [*LABELS, "a/athletic_field", "a/athletic_field/outdoor", "z/zoo"]
    return {key: SceneClass.objects.create(key=key, name=key.split("/")[1]) for key in keys}


@pytest.fixture
def release(classes: dict[str, SceneClass]) -> Release:
    new_release = Release.objects.create(number=1, note="The thesis's mapping")
    ReleaseLabel.objects.bulk_create(
        ReleaseLabel(release=new_release, scene_key=key, label=label) for key, label in LABELS.items()
    )
    return new_release


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photos of each labelled class, all different, of colours that tell the classes apart."""
    colours = [(220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30)]
    for (r, g, b), key in zip(colours, LABELS, strict=True):
        (tmp_path / "SUN" / key).mkdir(parents=True)
        for i in range(10):
            (tmp_path / f"SUN/{key}/{i}.jpg").write_bytes(jpeg((r + i, g + i, b + i)))
    return tmp_path / "SUN"


@pytest.fixture
def photo_set(classes: dict[str, SceneClass], folder: Path) -> PhotoSet:
    """Registered already, without a job."""
    new_set = PhotoSet.objects.create(
        name="Tiny", source=str(folder), root=str(folder), report={"taken": 40, "classes": 4, "skipped": []}
    )
    ScenePhoto.objects.bulk_create(
        ScenePhoto(
            photo_set=new_set,
            scene_class=classes[key],
            path=f"{key}/{i}.jpg",
            sha256=f"{key}{i}".ljust(64, "0"),
            width=48,
            height=32,
        )
        for key in LABELS
        for i in range(10)
    )
    return new_set


@pytest.fixture
def run(photo_set: PhotoSet, release: Release, finished_job: Callable[..., Job]) -> TrainingRun:
    """A finished run, as the engine would have left it."""
    labels = sorted(set(LABELS.values()))
    new_run = TrainingRun.objects.create(
        name="Tiny, frozen",
        photo_set=photo_set,
        release=release,
        preset="frozen-lite0",
        recipe={"kind": "frozen"},
        job=finished_job("trainer.train"),
        accuracy=0.75,
        balanced_accuracy=0.7,
        report={
            "labels": labels,
            "accuracy": 0.75,
            "balanced_accuracy": 0.7,
            "confusion": [[2, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 2]],
            "per_label": [
                {"label": x, "photos": 2, "recall": 0.5, "precision": None, "f1": 0.4} for x in labels
            ],
            "precision_at_coverage": [{"coverage": c / 10, "precision": 1 - c / 20} for c in range(1, 11)],
            "train_photos": 32,
            "test_photos": 8,
            "seconds": 3.2,
            "left_out": {"photos": 0, "classes": [], "unreadable": 0},
        },
    )
    for number in range(1, 4):
        new_run.epochs.create(
            number=number, loss=1 / number, test_loss=1.1 / number, accuracy=0.6, balanced_accuracy=0.5
        )
    answers = [("bar", "bar"), ("beach", "beach"), ("beach", "bar"), ("other", "other"), ("bar", "other")]
    for i, (photo, (true, predicted)) in enumerate(zip(photo_set.photos.all(), answers, strict=False)):
        new_run.held_out.create(photo=photo, true=true, predicted=predicted, confidence=0.9 - i / 10)
    return new_run


@pytest.fixture
def finished_job(db: None) -> Callable[..., Job]:
    def make(kind: str, state: str = Job.State.SUCCEEDED) -> Job:
        from django.utils import timezone

        now = timezone.now()
        is_over = state in (Job.State.SUCCEEDED, Job.State.FAILED, Job.State.CANCELLED)
        return Job.objects.create(
            kind=kind, title=kind, state=state, started_at=now, finished_at=now if is_over else None
        )

    return make


@pytest.fixture
def model_for(db: None) -> Callable[..., TrainedModel]:
    def make(name: str, **fields: Any) -> TrainedModel:
        fields.setdefault("manifest", MODEL_MANIFEST)
        return TrainedModel.objects.create(name=name, card="# Card\n\n<b>bold</b>", **fields)

    return make


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNS_DIR", "MODELS_DIR", "PHOTO_SETS_DIR", "FEATURE_CACHE_DIR"):
        monkeypatch.setattr(settings, name, tmp_path / name.lower())
    monkeypatch.setattr(settings, "PHOTO_ROOTS", [tmp_path])


@pytest.fixture
def tiny_model(model_for: Callable[..., TrainedModel]) -> TrainedModel:
    """A real ONNX network that knows colours: red is #beach, green is #bar, blue is other."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = 30 * np.eye(3, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["photos", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("photos", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([2, 3]), "axes")],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    manifest = MODEL_MANIFEST | {
        "format": "scenetag-model/1",
        "labels": ["beach", "bar", "other"],
        "thresholds": {"beach": 0.5, "bar": 1.01},
        "input": {"size": 32, "resize": "squeeze", "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    model = model_for("Colours", manifest=manifest)
    model.folder.mkdir(parents=True)
    onnx.save(network, model.folder / "model.onnx")
    (model.folder / "manifest.json").write_text(json.dumps(manifest))
    return model


@pytest.fixture
def active_model(tiny_model: TrainedModel) -> TrainedModel:
    from trainer.registry.promotion import promote

    promote(model=tiny_model, by=None)
    return tiny_model


@pytest.fixture
def on_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From now on this is the machine of that name: it has folders of its own, and nothing in memory."""
    from trainer.registry import serving

    def move(name: str) -> None:
        for folder in ("RUNS_DIR", "MODELS_DIR", "PHOTO_SETS_DIR", "FEATURE_CACHE_DIR"):
            monkeypatch.setattr(settings, folder, tmp_path / name / folder.lower())
        monkeypatch.setattr(serving, "_cache", {})

    return move
