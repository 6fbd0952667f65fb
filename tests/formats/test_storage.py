"""A fault of the storage is told from a fault of one file, and nothing half-written remains."""

from __future__ import annotations

import errno
import pickle
import resource
from pathlib import Path

import pytest

from formats import storage
from formats.storage import StorageFailure, is_of_storage, replacing


@pytest.mark.parametrize("number", sorted(storage.FULL | storage.AWAY))
def test_the_disk_is_at_fault(number: int) -> None:
    assert is_of_storage(OSError(number, "x"))


@pytest.mark.parametrize(
    "error",
    [
        OSError("image file is truncated"),  # Pillow's
        FileNotFoundError(errno.ENOENT, "x"),
        PermissionError(errno.EACCES, "x"),
        IsADirectoryError(errno.EISDIR, "x"),
        OSError(errno.ENAMETOOLONG, "x"),
        ValueError("x"),
    ],
)
def test_one_file_is_at_fault(error: Exception, tmp_path: Path) -> None:
    assert not is_of_storage(error)
    (tmp_path / "other.jpg").touch()
    assert not is_of_storage(error, tmp_path)


@pytest.mark.parametrize("number", sorted(storage.DOUBTFUL))
@pytest.mark.parametrize("root", ["gone", "empty", "file"])
def test_a_file_below_a_folder_that_is_away_is_not_at_fault(tmp_path: Path, number: int, root: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert is_of_storage(OSError(number, "x"), tmp_path / root)
    with pytest.raises(StorageFailure):
        storage.require_content(tmp_path / root)


def test_a_failure_says_what_and_where_and_survives_a_pipe() -> None:
    full = StorageFailure(OSError(errno.ENOSPC, "No space left on device", "/x/y"))
    copy = pickle.loads(pickle.dumps(full))  # noqa: S301
    assert (str(copy), copy.status) == ("No space left on device (/x/y)", 507)
    assert StorageFailure(OSError(errno.EIO, "Input/output error")).status == 503


def test_replacing_writes_all_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    with replacing(file) as out:
        out.write("long" * 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(StorageFailure) as caught, replacing(file) as out:
            out.write("other" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.is_full
    assert file.read_text() == "long" * 1000
    assert [one.name for one in file.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("obstacle", ["folder is a file", "file is a folder"])
def test_replacing_takes_every_obstacle_for_the_storage(tmp_path: Path, obstacle: str) -> None:
    file = tmp_path / "a" / "b"
    if obstacle == "folder is a file":
        file.parent.touch()
    else:
        file.mkdir(parents=True)
    with pytest.raises(StorageFailure), replacing(file) as out:
        out.write("x")
    assert not list(tmp_path.rglob("*.part"))
