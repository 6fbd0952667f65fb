"""A site with a bucket is backed up, brought back and moved into with its files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import CommandError
from pytest_django import DjangoDbBlocker, Settings
from storages.backends.s3 import S3File

from tests.conftest import RealBucket
from tests.site.test_backup import listed, newest, run
from tests.trainer.conftest import _own_folders, model_for, on_machine, tiny_model
from tests.trainer.registry.test_files import model
from tests.validation.conftest import picture
from trainer.models import PhotoSet, TrainedModel
from trainer.registry import files
from trainer.set_files import bring
from trainer.shared import Index, Tree
from validation.models import Photo
from validation.photos.store import take_in

__all__ = ["_own_folders", "model", "model_for", "on_machine", "tiny_model"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _any_database(transactional_db: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Not only those of the settings, which is all that Django allows a test."""
    with django_db_blocker.unblock():
        yield


def test_bucket_comes_back_with_the_rows(
    bucket: RealBucket, model: TrainedModel, on_machine: Callable[[str], None], tmp_path: Path
) -> None:
    photo = take_in(file=io.BytesIO(picture(3)), name="a.jpg", by=None)
    before = bucket.keys
    run("backup", tmp_path / "kept")
    assert "0 are new here" in run("backup", tmp_path / "kept")
    bucket.client.delete_object(Bucket=bucket.name, Key=f"site/media/{photo.file.name}")
    Photo.objects.all().delete()
    take_in(file=io.BytesIO(picture(200)), name="later.jpg", by=None)
    with pytest.raises(CommandError, match="not empty"):
        run("restore", tmp_path / "kept")
    run("restore", tmp_path / "kept", "--force")
    assert bucket.keys == before
    assert Photo.objects.get().file.read()[:2] == b"\xff\xd8"
    on_machine("new")
    with files.at_hand(TrainedModel.objects.get()) as folder:
        assert (folder / "model.onnx").exists()


def test_backup_of_a_tree_that_is_changed_meanwhile_has_what_its_index_names(
    bucket: RealBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, folder = Tree("runs", 7), tmp_path / "run"
    folder.mkdir()

    def store(content: str) -> None:
        (folder / "checkpoint").write_text(content)
        tree.store(folder, ["checkpoint"])

    store("first")
    walk = type(tree.storage).walk  # type: ignore[attr-defined]

    def walk_late(storage: Any) -> Iterator[Any]:
        listed = list(walk(storage))  # the bucket lists contents before the index
        if storage.location.endswith("runs"):
            store("second")
        yield from listed

    monkeypatch.setattr(type(tree.storage), "walk", walk_late)
    run("backup", tmp_path / "kept")
    entries = listed(newest(tmp_path / "kept"))
    [index] = [entry for entry in entries if entry.path == "7/index.json"]
    text = (tmp_path / "kept/files" / index.sha256[:2] / index.sha256).read_text()
    assert {one.sha256 for one in Index.of(text).files.values()} <= {entry.sha256 for entry in entries}
    assert hashlib.sha256(b"second").hexdigest() in text


def test_what_is_deleted_while_it_is_opened_is_left_out(
    bucket: RealBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = {f"runs/7/{'a' * 64}", "runs/8/index.json"}, f"runs/7/{'b' * 64}"
    for key in (*gone, kept):
        bucket.client.put_object(Bucket=bucket.name, Key=f"site/{key}", Body=b"{}")
    ask = S3File.__init__

    def ask_late(file: S3File, name: str, *more: Any) -> None:
        ask(file, name, *more)  # that it is there
        if name.removeprefix("site/") in gone:
            bucket.client.delete_object(Bucket=bucket.name, Key=name)

    monkeypatch.setattr(S3File, "__init__", ask_late)
    run("backup", tmp_path / "kept")
    assert [f"{one.root}/{one.path}" for one in listed(newest(tmp_path / "kept"))] == [f"bucket/{kept}"]


@pytest.mark.parametrize("text", [b"", b"[]", b'{"files": [], "token": 0}', b"\xff"])
def test_damaged_index_is_kept_as_it_is(
    bucket: RealBucket, tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="site/runs/7/index.json", Body=text)
    run("backup", tmp_path / "kept")
    assert "bucket/runs/7/index.json is damaged" in caplog.text
    [index] = listed(newest(tmp_path / "kept"))
    assert (tmp_path / "kept/files" / index.sha256[:2] / index.sha256).read_bytes() == text


def test_backup_says_where_it_can_be_restored(bucket: RealBucket, tmp_path: Path, settings: Settings) -> None:
    take_in(file=io.BytesIO(picture(3)), name="a.jpg", by=None)
    run("backup", tmp_path / "kept")
    settings.STORAGE_URL = ""
    with pytest.raises(CommandError, match="set STORAGE_URL first"):
        run("restore", tmp_path / "kept", "--force")


def test_folders_move_into_the_bucket(
    bucket: RealBucket,
    settings: Settings,
    tiny_model: TrainedModel,
    on_machine: Callable[[str], None],
    tmp_path: Path,
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    FileSystemStorage(location=settings.MEDIA_ROOT).save("photos/a.jpg", io.BytesIO(b"photo"))
    unpacked = Path(settings.PHOTO_SETS_DIR) / "7/a.jpg"
    unpacked.parent.mkdir(parents=True)
    unpacked.write_bytes(b"unpacked")
    photo_set = PhotoSet.objects.create(name="Old", root=str(unpacked.parent))
    away = PhotoSet.objects.create(name="In place", root=str(tmp_path))
    with pytest.raises(CommandError, match="Set STORAGE_URL to it first"):
        run("move_to", "s3://another")
    with bucket.away(), pytest.raises(CommandError, match="run it again"):
        run("move_to", bucket.url)
    run("move_to", bucket.url)
    assert "Models: 0" in run("move_to", bucket.url)  # nothing is copied twice
    assert {key.split("/")[0] for key in bucket.keys} == {"media", "photo_sets", "models"}
    assert storages["default"].open("photos/a.jpg").read() == b"photo"
    photo_set.refresh_from_db()
    away.refresh_from_db()
    assert (photo_set.root, away.root) == ("7", str(tmp_path))
    on_machine("another")
    bring(photo_set)
    assert (photo_set.folder / "a.jpg").read_bytes() == b"unpacked"
