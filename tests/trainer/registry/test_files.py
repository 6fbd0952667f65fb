"""Models of several machines: stored once, fetched once, checked, bounded, and gone when they are deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from formats.storage import StorageFailure
from tests.conftest import RealBucket
from tests.trainer.conftest import jpeg
from trainer.deleting import delete_model, plan_model
from trainer.models import TrainedModel
from trainer.registry import files, serving
from trainer.registry.derive import derive
from trainer.registry.promotion import promote
from trainer.shared import MARK, Tree, marked

OnMachine = Callable[[str], None]
RED = jpeg((220, 10, 10))


@pytest.fixture
def model(bucket: RealBucket, on_machine: OnMachine, tiny_model: TrainedModel) -> TrainedModel:
    """Exported on machine a, which has stored it; now this is machine b."""
    folder = tiny_model.folder
    tiny_model.manifest["sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(tiny_model.manifest))
    tiny_model.save()
    on_machine("a")
    folder.rename(_made(tiny_model.folder))
    files.publish(tiny_model)
    on_machine("b")
    return tiny_model


def _made(folder: Path) -> Path:
    folder.parent.mkdir(parents=True)
    return folder


def another(model: TrainedModel, name: str) -> TrainedModel:
    return derive(model=model, name=name, changes={"target_precision": len(name) / 100}, card="", by=None)


def suggested() -> str | None:
    return next(iter(serving.suggest([RED]))).hashtag


def whole(model: TrainedModel) -> bool:
    return (model.folder / "model.onnx").exists() and marked(model.folder) is not None


def test_promoted_on_one_machine_serves_on_another_through_an_outage(
    bucket: RealBucket, on_machine: OnMachine, model: TrainedModel
) -> None:
    on_machine("a")
    promote(model=model, by=None)
    on_machine("b")
    with bucket.away(), pytest.raises(StorageFailure):
        suggested()
    assert suggested() == "beach"
    serving._cache.clear()  # another process of this machine
    with bucket.away():
        assert suggested() == "beach"
    assert f"models/{model.pk}/{model.manifest['sha256']}" in bucket.keys


@pytest.mark.parametrize("damage", ["other content", "cut off", "no mark", "gone"])
def test_damaged_copy_is_fetched_anew(model: TrainedModel, damage: str) -> None:
    with files.at_hand(model) as folder:
        network = (folder / "model.onnx").read_bytes()
    file = folder / "model.onnx"
    match damage:
        case "other content":
            file.write_bytes(bytes(len(network)))
        case "cut off":
            file.write_bytes(network[:-1])
        case "no mark":
            (folder / MARK).unlink()
            file.write_bytes(b"x")
        case _:
            file.unlink()
    with files.at_hand(model):
        assert file.read_bytes() == network


def test_content_damaged_in_the_bucket_is_not_kept(bucket: RealBucket, model: TrainedModel) -> None:
    key = f"site/models/{model.pk}/{model.manifest['sha256']}"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"x")
    with pytest.raises(StorageFailure, match="damaged in the bucket"), files.at_hand(model):
        pass
    assert not (model.folder / "model.onnx").exists()


def test_files_of_another_network_are_refused(bucket: RealBucket, model: TrainedModel) -> None:
    TrainedModel.objects.filter(pk=model.pk).update(manifest=model.manifest | {"sha256": "1" * 64})
    model.refresh_from_db()
    with pytest.raises(FileNotFoundError, match="another network"), files.at_hand(model):
        pass


@pytest.mark.django_db(transaction=True)
def test_two_processes_fetch_it_once(model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    fetch = Tree.fetch

    def count(tree: Tree, *what: Any) -> None:
        fetched.append(what)
        fetch(tree, *what)

    def use() -> bytes:
        try:
            with files.at_hand(model) as folder:
                return (folder / "model.onnx").read_bytes()
        finally:
            connections.close_all()

    monkeypatch.setattr(Tree, "fetch", count)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(use) for _ in range(2))
        assert first.result() == second.result()
    assert len(fetched) == 2  # the network and the manifest


def test_copies_used_longest_ago_go_first_but_none_in_use(
    model: TrainedModel, on_machine: OnMachine, settings: Settings
) -> None:
    used, old, new = (another(model, name) for name in ("1", "22", "333"))
    on_machine("c")
    promote(model=model, by=None)
    for one in (model, used, old):
        with files.at_hand(one):
            pass
    settings.MODELS_CACHE_BYTES = 1
    with files.at_hand(used), files.at_hand(new):
        assert [whole(one) for one in (model, used, old, new)] == [True, True, False, True]
    files.tidy()
    assert [whole(one) for one in (model, used, old, new)] == [True, False, False, False]


def test_what_is_not_in_the_bucket_yet_is_no_copy(model: TrainedModel, settings: Settings) -> None:
    settings.MODELS_CACHE_BYTES = 1
    export = Path(settings.MODELS_DIR) / "4711"
    export.mkdir(parents=True)
    files.tidy()
    assert export.exists()


def test_deleted_model_is_deleted_everywhere(
    bucket: RealBucket,
    model: TrainedModel,
    on_machine: OnMachine,
    user_for: Callable[..., User],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    other = another(model, "other")
    with files.at_hand(model):
        pass
    on_machine("a")
    with django_capture_on_commit_callbacks(execute=True):
        delete_model(model=model, seen=plan_model(model).digest, by=user_for("admin"))
    assert {key.split("/")[1] for key in bucket.keys} == {str(other.pk)}
    on_machine("b")
    assert whole(model)
    with pytest.raises(FileNotFoundError, match="is deleted"), files.at_hand(model):
        pass
    assert not model.folder.exists()


def test_what_the_bucket_could_not_be_told_is_an_orphan(
    bucket: RealBucket,
    model: TrainedModel,
    user_for: Callable[..., User],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    with bucket.away(), django_capture_on_commit_callbacks(execute=True):
        delete_model(model=model, seen=plan_model(model).digest, by=user_for("admin"))
    assert bucket.keys
    call_command("remove_orphans")
    assert bucket.keys
    call_command("remove_orphans", "--yes")
    assert not bucket.keys


def test_no_model_is_made_while_the_bucket_is_away(bucket: RealBucket, model: TrainedModel) -> None:
    with files.at_hand(model):
        pass
    with bucket.away(), pytest.raises(StorageFailure):
        another(model, "new")
    assert TrainedModel.objects.count() == 1
    assert [path.name for path in model.folder.parent.iterdir() if path.is_dir()] == [str(model.pk)]
