"""Where backups lie: in a folder, or below a prefix of a bucket. Inside both are alike: docs/operating.md."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from django.conf import settings
from django.core.files.base import File
from django.utils.module_loading import import_string

from formats.files import is_inside
from formats.storage import for_own_files, replacing_path
from hashtags_site.backup.files import roots
from hashtags_site.backup.marks import DEAD, Taken, marked
from hashtags_site.places import BACKEND, EXAMPLE, INSTALL, lacks_package, read_place
from trainer.shared import copied, reaching

MANIFEST, DATABASE, FILES = "manifest.json", "db.sqlite3", "files.sqlite3"  # of one backup
CONTENTS, LOCK = "files", "lock"  # beside the backups
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z")
CONTENT = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{62}")
TARGET = f"where backups lie: a folder, or {EXAMPLE}"
STAGE = "backup.part"  # in VAR_DIR: what is about to be sent into a bucket
MARK = "backup.lock"  # in VAR_DIR: the name of this installation's marks


class BackupError(Exception):
    """Why it cannot be done. Earlier backups, and the installation, are as they were."""


class Store(ABC):
    """Every method raises StorageFailure if the disk or the bucket is away."""

    scratch: Path  # where contents wait until their hash is known
    name: str  # as people write it

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def name_of(self, backup: str) -> str:
        """What `restore` is given to bring back this one."""

    @abstractmethod
    def require_apart(self) -> None:
        """Raises BackupError if it lies inside what is backed up."""

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """One backup at a time: another would delete what this one counts on. Raises BackupError."""

    @abstractmethod
    def backups(self) -> list[str]:
        """The names of the complete ones, the newest last."""

    @abstractmethod
    def new(self, backup: str) -> AbstractContextManager[Path]:
        """An empty folder. When the block ends, what is in it becomes the backup, the manifest last."""

    @abstractmethod
    def fetch(self, backup: str, file: str, folder: Path) -> Path:
        """The path of a backup's file on this machine, in `folder` if it had to be fetched. Raises
        FileNotFoundError.
        """

    @abstractmethod
    def delete(self, backup: str) -> None:
        """Also one that is not complete. The contents stay."""

    @abstractmethod
    def clear(self) -> None:
        """Delete what backups left that were cut off, except for contents."""

    @abstractmethod
    def contents(self) -> Iterator[tuple[str, int]]:
        """SHA-256 and bytes of each."""

    @abstractmethod
    def put(self, part: Path, sha256: str) -> None:
        """Keep what is in the file `part` of `scratch`. It may be gone afterwards."""

    @abstractmethod
    def open(self, sha256: str) -> IO[bytes] | File[bytes]:
        """Raises FileNotFoundError."""

    @abstractmethod
    def drop(self, hashes: Iterable[str]) -> None: ...


def find_store(target: str) -> tuple[Store, str]:
    """The store that FOLDER or s3://… names, and the name of the backup in it, if the last part is one's.
    Raises BackupError.
    """
    if "://" not in target and not target.startswith("s3:"):
        folder = Path(target).resolve()
        is_backup = bool(NAME.fullmatch(folder.name)) and (folder / MANIFEST).is_file()
        return (FolderStore(folder.parent), folder.name) if is_backup else (FolderStore(folder), "")
    try:
        place = read_place(target)
    except ValueError as error:
        raise BackupError(f"The address of the bucket is wrong: {error}.") from error
    if lacks_package():
        raise BackupError(f"Buckets need boto3. Run: {INSTALL}")
    above, _, last = place.prefix.rpartition("/")
    if not NAME.fullmatch(last):
        return BucketStore(target), ""
    parts = urlsplit(target)
    return BucketStore(urlunsplit(parts._replace(path=f"/{above}" if above else ""))), last


# --- a folder ---------------------------------------------------------------------------------


class FolderStore(Store):
    def __init__(self, folder: Path) -> None:
        self.folder, self.name, self.scratch = folder, str(folder), folder / CONTENTS

    def name_of(self, backup: str) -> str:
        return str(self.folder / backup)

    def require_apart(self) -> None:
        if any(is_inside(self.folder, root) for root in roots().values()):
            raise BackupError(
                f"{self.folder} is inside a folder that is backed up. Choose another, on another disk."
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        with for_own_files():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.scratch.mkdir(exist_ok=True)
            lock = (self.folder / LOCK).open("w")
        with lock:
            _lock(lock, f"Another backup is being made in {self}.")
            yield

    def backups(self) -> list[str]:
        return sorted(
            file.parent.name for file in self.folder.glob(f"*/{MANIFEST}") if NAME.fullmatch(file.parent.name)
        )

    @contextmanager
    def new(self, backup: str) -> Iterator[Path]:
        part = self.folder / f"{backup}.part"
        with for_own_files():
            part.mkdir(mode=0o700)
        yield part
        with for_own_files():
            (part / MANIFEST).chmod(0o600)
            os.sync()  # everything is on the disk before it counts as a backup
            part.rename(self.folder / backup)

    def fetch(self, backup: str, file: str, folder: Path) -> Path:
        path = self.folder / backup / file
        path.stat()
        return path

    def delete(self, backup: str) -> None:
        with for_own_files():
            (self.folder / backup / MANIFEST).unlink(missing_ok=True)  # first, as it says that all is there
            shutil.rmtree(self.folder / backup)

    def clear(self) -> None:
        whole = set(self.backups())
        for folder in self.folder.iterdir():
            if NAME.fullmatch(folder.name.removesuffix(".part")) and folder.name not in whole:
                self.delete(folder.name)
        for part in self.scratch.glob("*.part"):
            part.unlink()

    def contents(self) -> Iterator[tuple[str, int]]:
        for file in self.scratch.glob("*/*"):
            if CONTENT.fullmatch(file.relative_to(self.scratch).as_posix()):
                yield file.name, file.stat().st_size

    def put(self, part: Path, sha256: str) -> None:
        target = self._path(sha256)
        target.parent.mkdir(exist_ok=True)
        part.replace(target)

    def open(self, sha256: str) -> IO[bytes]:
        return self._path(sha256).open("rb")

    def drop(self, hashes: Iterable[str]) -> None:
        with for_own_files():
            for sha256 in hashes:
                self._path(sha256).unlink()

    def _path(self, sha256: str) -> Path:
        return self.scratch / sha256[:2] / sha256


def _lock(file: IO[str], refusal: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BackupError(refusal) from error


# --- a bucket ---------------------------------------------------------------------------------


class BucketStore(Store):
    def __init__(self, url: str) -> None:
        self._url, self.place = urlsplit(url), read_place(url)
        self.name, self.scratch = self.name_of(""), Path(settings.VAR_DIR) / STAGE
        self._storage = import_string(BACKEND)(**self.place.options())

    def name_of(self, backup: str) -> str:
        return urlunsplit(self._url._replace(path="/".join(filter(None, ("", self.place.prefix, backup)))))

    def require_apart(self) -> None:
        if settings.STORAGE_URL and self.place.overlaps(read_place(settings.STORAGE_URL)):
            raise BackupError(
                f"{self} and the files of the site ({settings.STORAGE_URL}) would lie inside each other. "
                "Choose another bucket, or a prefix beside the site's."
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        with for_own_files():
            own = (Path(settings.VAR_DIR) / MARK).open("a+", encoding="utf-8")
        with own:
            _lock(own, "Another backup into a bucket is being made by this installation.")
            own.seek(0)
            if not (name := own.read()):
                name = uuid4().hex
                own.write(name)
                own.flush()
            try:
                # While the file is locked, a mark of this name is of a backup that was cut off here.
                with marked(self._storage, name) as self._mark:
                    yield
            except Taken as error:
                raise BackupError(
                    f"Another backup is being made in {self}. If it was cut off on another machine, try "
                    f"again {DEAD // 60} minutes after that."
                ) from error

    def backups(self) -> list[str]:
        return [name for name, files in self._folders() if MANIFEST in files]

    def _folders(self) -> list[tuple[str, list[str]]]:
        """Those of backups, also of incomplete ones, with the names of their files."""
        with reaching():
            names = sorted(filter(NAME.fullmatch, self._storage.listdir("")[0]))
            return [(name, self._storage.listdir(name)[1]) for name in names]

    @contextmanager
    def new(self, backup: str) -> Iterator[Path]:
        folder = self.scratch / backup
        shutil.rmtree(self.scratch, ignore_errors=True)  # of one that was killed
        with for_own_files():
            self.scratch.mkdir(mode=0o700)
            folder.mkdir()
        try:
            yield folder
            # Without its manifest it does not count.
            for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
                self._mark.require()
                self._send(path, f"{backup}/{path.name}")
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def fetch(self, backup: str, file: str, folder: Path) -> Path:
        target = folder / file
        with (
            reaching(),
            self._storage.open(f"{backup}/{file}", "rb") as source,
            replacing_path(target) as part,
            part.open("wb") as copy,
        ):
            copied(source, copy)
        return target

    def delete(self, backup: str) -> None:
        self._mark.require()
        with reaching():
            for file in (MANIFEST, DATABASE, FILES):  # the first says that all is there
                self._storage.delete(f"{backup}/{file}")

    def clear(self) -> None:
        for name, files in self._folders():
            if MANIFEST not in files:
                self.delete(name)

    def contents(self) -> Iterator[tuple[str, int]]:
        with reaching():
            for name, size, _ in self._storage.walk(CONTENTS):
                if CONTENT.fullmatch(name.removeprefix(f"{CONTENTS}/")):
                    yield name.rpartition("/")[2], size

    def put(self, part: Path, sha256: str) -> None:
        self._send(part, self._path(sha256))

    def _send(self, path: Path, name: str) -> None:
        with for_own_files(), path.open("rb") as content, reaching():
            self._storage.save(name, File(content))

    def open(self, sha256: str) -> File[bytes]:
        with reaching():
            opened: File[bytes] = self._storage.open(self._path(sha256), "rb")
            return opened

    def drop(self, hashes: Iterable[str]) -> None:
        self._mark.require()
        with reaching():
            for sha256 in hashes:
                self._storage.delete(self._path(sha256))

    def _path(self, sha256: str) -> str:
        return f"{CONTENTS}/{sha256[:2]}/{sha256}"
