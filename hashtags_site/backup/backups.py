"""Makes a backup, checks it and brings it back."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.utils import timezone

from formats.files import is_inside
from formats.json_text import from_json, to_json
from formats.storage import for_own_files, replacing
from hashtags_site.backup.files import Entry, Store, buckets, roots, sha256_of
from hashtags_site.backup.rows import Rows, connected, copy_rows, is_empty, migrate, sqlite_url, tables
from hashtags_site.health import needed_migrations
from jobs.code_version import code_version
from jobs.models import Worker
from trainer.models import PhotoSet
from trainer.shared import reaching

FORMAT = "scenetag-backup/1"
MANIFEST, DATABASE, FILES, LOCK = "manifest.json", "db.sqlite3", "files", "lock"
ASIDE = ".before-restore"
LAST = "last_backup.json"  # in VAR_DIR: manage.py doctor reads it
SECRETS = {
    *("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "METRICS_TOKEN", "SENTRY_DSN"),
    *("EMAIL_URL", "OIDC_CLIENT_SECRET"),
}
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z")
Tell = Callable[[str], object]


class BackupError(Exception):
    """Why it cannot be done. Earlier backups, and the installation, are as they were."""


@dataclass(frozen=True)
class Manifest:
    format: str
    created: str
    version: str  # of the program
    migrations: list[list[str]]
    sha256: str  # of the database
    rows: Rows
    folders: dict[str, str]  # where the files were: photo sets name their folder
    files: list[Entry]
    settings: dict[str, str]
    secret_key: str = ""

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files)


# --- making -----------------------------------------------------------------------------------


def make_backup(
    folder: Path, *, secrets: bool = False, keep: int = 0, tell: Tell = lambda line: None
) -> Path:
    """A new backup in `folder`, beside the earlier ones. keep: how many to have afterwards (0: all of them).
    Raises BackupError, MoveError, StorageFailure.
    """
    if any(is_inside(folder, root) for root in roots().values()):
        raise BackupError(f"{folder} is inside a folder that is backed up. Choose another, on another disk.")
    with for_own_files():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _only_one(folder):
        for unfinished in folder.glob("*.part"):
            if unfinished.is_dir() and NAME.fullmatch(unfinished.name.removesuffix(".part")):
                shutil.rmtree(unfinished)
        earlier = complete(folder)
        known = {(entry.root, entry.path): entry for entry in read(earlier[-1]).files} if earlier else {}
        now = timezone.now()
        target = folder / f"{now:%Y-%m-%dT%H%M%S.%f}Z"
        part = target.with_name(f"{target.name}.part")
        with for_own_files():
            part.mkdir(mode=0o700)
        database = part / DATABASE
        _copy_database(database)  # before the files: whatever it names is still there, or deleted for good
        tell(f"Database: {database.stat().st_size / 1e6:,.1f} MB")
        store = Store(folder / FILES)
        entries, new = [], 0
        with for_own_files():
            for entry, is_new in store.keep(known):
                entries.append(entry)
                new += is_new
        manifest = Manifest(
            format=FORMAT,
            created=now.isoformat(),
            version=code_version(),
            migrations=sorted(map(list, needed_migrations())),
            sha256=sha256_of(database),
            rows=_count(database),
            folders={name: str(root) for name, root in roots().items()},
            files=entries,
            settings=_settings(secrets=secrets),
            secret_key=settings.SECRET_KEY if secrets else "",
        )
        with replacing(part / MANIFEST) as file:
            file.write(to_json(asdict(manifest)))
        (part / MANIFEST).chmod(0o600)
        os.sync()  # everything is on the disk before it counts as a backup
        part.rename(target)
        tell(f"Files: {len(entries):,}, of which {new:,} are new here; {manifest.size / 1e6:,.1f} MB in all")
        if keep:
            _forget(folder, store, keep)
        with replacing(Path(settings.VAR_DIR) / LAST) as file:
            file.write(to_json({"created": manifest.created, "folder": str(target)}))
    return target


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"Another backup is being made in {folder}.") from error
        yield


def _copy_database(target: Path) -> None:
    """As a file of SQLite, whichever database is used, with the rows of one moment."""
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        with closing(sqlite3.connect(name)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)  # in one step; who reads in WAL mode keeps nobody from writing
            copy.execute("PRAGMA journal_mode = DELETE")  # one file
        return
    migrate(sqlite_url(target))
    with connected(sqlite_url(target)) as alias:
        copy_rows(source=DEFAULT_DB_ALIAS, target=alias)
    with closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")


def _count(database: Path) -> Rows:
    with closing(sqlite3.connect(database)) as copy:
        names = [model._meta.db_table for model in tables()]
        return {name: copy.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608


def _settings(*, secrets: bool) -> dict[str, str]:
    """The variables that are set here, of those that settings.py reads."""
    text = (settings.BASE_DIR / "hashtags_site/settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', text))
    return {
        name: os.environ[name] for name in sorted(names & os.environ.keys()) if secrets or name not in SECRETS
    }


def _forget(folder: Path, store: Store, keep: int) -> None:
    for old in complete(folder)[:-keep]:
        shutil.rmtree(old)
    store.forget_all_but({entry.sha256 for one in complete(folder) for entry in read(one).files})


# --- reading ----------------------------------------------------------------------------------


def complete(folder: Path) -> list[Path]:
    """The folders of the complete backups, the newest last."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}") if NAME.fullmatch(path.parent.name))


def read(backup: Path) -> Manifest:
    """Raises BackupError."""
    try:
        facts: dict[str, Any] = from_json((backup / MANIFEST).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise BackupError(f"{backup} has a format that this version does not know.")
        return Manifest(**{**facts, "files": [Entry(*entry) for entry in facts["files"]]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{backup / MANIFEST} cannot be read: {error}") from error


def newest(folder: Path) -> Path:
    """The newest complete backup. Raises BackupError."""
    if NAME.fullmatch(folder.name) and (folder / MANIFEST).is_file():
        return folder
    if not (found := complete(folder)):
        raise BackupError(f"There is no complete backup in {folder}.")
    return found[-1]


def check(backup: Path) -> Manifest:
    """Compare every hash. Raises BackupError with all that is wrong."""
    manifest = read(backup)
    faults = list(Store(backup.parent / FILES).faults(manifest.files))
    database = backup / DATABASE
    if not database.is_file() or sha256_of(database) != manifest.sha256:
        faults.insert(0, "the database is missing or damaged")
    if faults:
        more = f", and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise BackupError(f"{backup} is not whole: {'; '.join(faults[:10])}{more}.")
    return manifest


# --- bringing back ----------------------------------------------------------------------------


def restore(backup: Path, *, force: bool = False, tell: Tell = lambda line: None) -> Manifest:
    """Bring it back into this installation, which must be empty unless `force`, and stopped.

    Everything is checked before anything is changed, and files that were there come back if a later step
    fails. Raises BackupError, MoveError, StorageFailure.
    """
    manifest = check(backup)
    newer = {(app, name) for app, name in manifest.migrations} - needed_migrations()
    if newer:
        raise BackupError(f"The backup is of a newer program ({manifest.version}): install that one first.")
    _check_places(manifest)
    is_new = is_empty(DEFAULT_DB_ALIAS) and not any(map(_has_files, roots().values()))
    if not force and not (is_new and not any(map(_has_any, buckets().values()))):
        raise BackupError("This installation is not empty. With --force the backup takes its place.")
    if Worker.objects.live().exists():
        raise BackupError("A worker is running. Stop the site first.")
    with tempfile.TemporaryDirectory(dir=settings.VAR_DIR, prefix="restore-") as name:
        stage = Path(name) / DATABASE
        shutil.copyfile(backup / DATABASE, stage)
        migrate(sqlite_url(stage))  # it may be of an older program
        with _emptied(roots().values()):
            _put_back_files(backup, manifest)
            tell(f"Files: {len(manifest.files):,}")
            rows = _put_back_rows(stage)
    _empty_buckets(manifest)
    tell(f"Database: {sum(rows.values()):,} rows")
    _move_photo_sets(manifest)
    if manifest.secret_key:
        with replacing(Path(settings.VAR_DIR) / "secret_key") as file:
            file.write(manifest.secret_key)
        (Path(settings.VAR_DIR) / "secret_key").chmod(0o600)
    return manifest


@contextmanager
def _emptied(folders: Iterable[Path]) -> Iterator[None]:
    """What is in the folders is set aside inside them, for they may be mounts that nobody can rename. It is
    deleted at the end, or comes back after an error. Raises BackupError if an earlier one was killed.
    """
    asides = [folder / ASIDE for folder in folders if folder.exists()]
    if left := next((aside for aside in asides if aside.exists()), None):
        raise BackupError(
            f"A restore was cut off. {left} has the files of before: move them up, or delete the folder."
        )
    with for_own_files():
        for aside in asides:
            before = list(aside.parent.iterdir())
            aside.mkdir()
            for path in before:
                path.rename(aside / path.name)
    try:
        yield
    except BaseException:
        for aside in asides:
            for path in aside.parent.iterdir():
                if path != aside:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            for path in aside.iterdir():
                path.rename(aside.parent / path.name)
            aside.rmdir()
        raise
    for aside in asides:
        shutil.rmtree(aside)


def _has_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))


def _put_back_files(backup: Path, manifest: Manifest) -> None:
    folders, places = roots(), buckets()
    store = Store(backup.parent / FILES)
    for entry in manifest.files:
        if entry.root in places:
            store.put_into(entry, places[entry.root])
            continue
        if not is_inside(folders[entry.root] / entry.path, folders[entry.root]):
            raise BackupError(f"{entry.path} leads out of its folder.")
        store.put_back(entry, folders[entry.root])


def _check_places(manifest: Manifest) -> None:
    """The backup's files have a place here. Raises BackupError."""
    lacking = {entry.root for entry in manifest.files} - roots().keys() - buckets().keys()
    if any(root.startswith("bucket/") for root in lacking):
        raise BackupError("The backup is of a site with a bucket: set STORAGE_URL first.")
    if lacking and settings.STORAGE_URL:
        raise BackupError(
            "The backup is of a site without a bucket: restore it without STORAGE_URL, then set that and run "
            "manage.py move_to with it."
        )
    if lacking:
        raise BackupError("The backup has photos as files; this installation keeps them in a bucket.")


def _has_any(bucket: Any) -> bool:
    with reaching():
        return next(bucket.walk(), None) is not None


def _empty_buckets(manifest: Manifest) -> None:
    """Of files that the backup has not. This is done last: until then nothing of before is deleted."""
    kept = {(entry.root, entry.path) for entry in manifest.files}
    with reaching():
        for root, bucket in buckets().items():
            for name in [name for name, _, _ in bucket.walk() if (root, name) not in kept]:
                bucket.delete(name)


def _put_back_rows(stage: Path) -> Rows:
    rows = _count(stage)
    with connected(sqlite_url(stage)) as alias, transaction.atomic():
        copied = copy_rows(source=alias, target=DEFAULT_DB_ALIAS)
        if copied != rows:
            raise BackupError("The restored database has other numbers of rows than the backup.")
    return rows


def _move_photo_sets(manifest: Manifest) -> None:
    """Unpacked photo sets name the folder that they are in, which may be another one here."""
    if not {"photo_sets"} <= manifest.folders.keys() & roots().keys():
        return
    old, new = manifest.folders["photo_sets"], roots()["photo_sets"]
    for photo_set in PhotoSet.objects.filter(root__startswith=old):
        root = Path(photo_set.root)
        if is_inside(root, Path(old)):
            PhotoSet.objects.filter(pk=photo_set.pk).update(root=str(new / root.relative_to(old)))


def left_out() -> list[str]:
    """The photo sets whose photos lie elsewhere on this machine, and are not in a backup."""
    if settings.STORAGE_URL:
        return [one.name for one in PhotoSet.objects.all() if Path(one.root).is_absolute()]
    own = roots()["photo_sets"]
    return [one.name for one in PhotoSet.objects.exclude(root="") if not is_inside(one.folder, own)]
