"""Makes a backup, checks it and brings it back."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files.base import File
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.utils import timezone

from formats.files import is_inside
from formats.json_text import from_json, to_json
from formats.storage import StorageFailure, for_own_files, replacing, replacing_path
from hashtags_site.backup.collecting import Collector
from hashtags_site.backup.files import buckets, digest_of, roots, several_at_once, sha256_of
from hashtags_site.backup.lists import Entry, FileList, Stock
from hashtags_site.backup.rows import Rows, connected, copy_rows, is_empty, migrate, sqlite_url, tables
from hashtags_site.backup.stores import DATABASE, FILES, MANIFEST, BackupError, Store
from hashtags_site.health import needed_migrations
from jobs.code_version import code_version
from jobs.models import Worker
from trainer.models import PhotoSet
from trainer.shared import Content, copied, reaching

FORMAT = "scenetag-backup/2"
FIRST_FORMAT = "scenetag-backup/1"  # its manifest lists the files itself
ASIDE = ".before-restore"
LAST = "last_backup.json"  # in VAR_DIR: manage.py doctor reads it
SECRETS = {
    *("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "METRICS_TOKEN", "SENTRY_DSN"),
    *("EMAIL_URL", "OIDC_CLIENT_SECRET"),
}
FAULTS = 10  # that are named
Tell = Callable[[str], object]


@dataclass(frozen=True)
class Manifest:
    format: str
    created: str
    version: str  # of the program
    migrations: list[list[str]]
    sha256: str  # of the database
    files_sha256: str  # of the list of files
    rows: Rows
    folders: dict[str, str]  # where the files were: photo sets name their folder
    settings: dict[str, str]
    secret_key: str = ""


@dataclass(frozen=True)
class Backup:
    """manifest: as it was read. files: the path of its list of files on this machine."""

    store: Store
    name: str
    manifest: Manifest
    files: Path
    folder: Path  # for what has to be fetched

    def __str__(self) -> str:
        return self.store.name_of(self.name)

    @cached_property
    def database(self) -> Path:
        """Raises FileNotFoundError, StorageFailure."""
        return self.store.fetch(self.name, DATABASE, self.folder)

    @contextmanager
    def listed(self) -> Iterator[FileList]:
        with for_own_files(), closing(FileList(self.files)) as files:
            yield files


# --- making -----------------------------------------------------------------------------------


def make_backup(store: Store, *, secrets: bool = False, keep: int = 0, tell: Tell = lambda line: None) -> str:
    """A new backup in `store`, beside the earlier ones; returns what `restore` is given for it.
    keep: how many to have afterwards (0: all of them). Raises BackupError, MoveError, StorageFailure.
    """
    store.require_apart()
    with store.alone():
        store.clear()
        earlier = store.backups()
        now = timezone.now()
        name = f"{now:%Y-%m-%dT%H%M%S.%f}Z"
        with ExitStack() as stack:
            try:
                with for_own_files():
                    stock = stack.enter_context(closing(Stock(store.contents())))
                    _add(store, name, stock=stock, earlier=earlier, secrets=secrets, tell=tell)
            except StorageFailure as error:
                raise BackupError(
                    f"{error}. This backup is not complete and does not count. Earlier ones are as they were "
                    f"({len(earlier)}). What was copied stays: the next backup does not copy it again."
                ) from error
            with replacing(Path(settings.VAR_DIR) / LAST) as file:
                file.write(to_json({"created": now.isoformat(), "folder": store.name_of(name)}))
            if keep:
                try:
                    with for_own_files():
                        _forget(store, keep, stock)
                except (BackupError, StorageFailure) as error:
                    raise BackupError(
                        f"{store.name_of(name)} is complete, but not all older ones could be deleted: {error}"
                    ) from error
    return store.name_of(name)


def _add(store: Store, name: str, *, stock: Stock, earlier: list[str], secrets: bool, tell: Tell) -> None:
    with store.new(name) as folder:
        database, listed = folder / DATABASE, folder / FILES
        _copy_database(database)  # before the files: whatever it names is still there, or deleted for good
        tell(f"Database: {database.stat().st_size / 1e6:,.1f} MB")
        with closing(FileList(listed, new=True)) as files, _last(store, earlier, tell) as last:
            Collector(store=store, stock=stock, earlier=last, files=files).collect()
            count, size = files.total()
        manifest = Manifest(
            format=FORMAT,
            created=timezone.now().isoformat(),
            version=code_version(),
            migrations=sorted(map(list, needed_migrations())),
            sha256=sha256_of(database),
            files_sha256=sha256_of(listed),
            rows=_count(database),
            folders={name: str(root) for name, root in roots().items()},
            settings=_settings(secrets=secrets),
            secret_key=settings.SECRET_KEY if secrets else "",
        )
        with replacing(folder / MANIFEST) as file:
            file.write(to_json(asdict(manifest)))
    tell(f"Files: {count:,}, of which {stock.added:,} are new here; {size / 1e6:,.1f} MB in all")


@contextmanager
def _last(store: Store, earlier: list[str], tell: Tell) -> Iterator[FileList | None]:
    """The files of the newest backup, if there is one that can be read."""
    with ExitStack() as stack:
        files = None
        if earlier:
            try:
                files = stack.enter_context(stack.enter_context(opened(store, earlier[-1])).listed())
            except BackupError as error:
                tell(f"Every file is read again: {error}")
        yield files


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


def _forget(store: Store, keep: int, stock: Stock) -> None:
    """stock: what the store has; afterwards what nobody needed."""
    names = store.backups()
    for name in names[-keep:]:
        with opened(store, name) as backup:
            stock.take_out(backup.files)
    for name in names[:-keep]:
        store.delete(name)
    store.drop(stock)


# --- reading ----------------------------------------------------------------------------------


@contextmanager
def opened(store: Store, name: str) -> Iterator[Backup]:
    """A backup whose list of files is whole. Raises BackupError."""
    with tempfile.TemporaryDirectory(dir=settings.VAR_DIR, prefix="backup-") as folder:
        yield _read(store, name, Path(folder))


def _read(store: Store, name: str, folder: Path) -> Backup:
    try:
        facts: dict[str, Any] = from_json(store.fetch(name, MANIFEST, folder).read_text(encoding="utf-8"))
        if facts["format"] == FIRST_FORMAT:
            path = folder / FILES
            with for_own_files(), closing(FileList(path, new=True)) as files:
                for entry in facts.pop("files"):
                    files.add(Entry(*entry))
            facts["files_sha256"] = sha256_of(path)
        elif facts["format"] == FORMAT:
            path = store.fetch(name, FILES, folder)
        else:
            raise BackupError(f"{store.name_of(name)} has a format that this version does not know.")
        manifest = Manifest(**facts)
        if sha256_of(path) != manifest.files_sha256:
            raise BackupError(f"{store.name_of(name)} is not whole: the list of its files is damaged.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{store.name_of(name)} cannot be read: {error}") from error
    return Backup(store, name, manifest, path, folder)


def newest(store: Store) -> str:
    """The name of the newest complete backup. Raises BackupError."""
    if not (found := store.backups()):
        raise BackupError(f"There is no complete backup in {store}.")
    return found[-1]


def check(backup: Backup) -> int:
    """Compare every hash; returns how many files there are. Raises BackupError with what is wrong."""
    if faults := list(_faults(backup)):
        more = f", and {len(faults) - FAULTS} more" if len(faults) > FAULTS else ""
        raise BackupError(f"{backup} is not whole: {'; '.join(faults[:FAULTS])}{more}.")
    with backup.listed() as files:
        return files.total()[0]


def _faults(backup: Backup) -> Iterator[str]:
    try:
        is_whole = sha256_of(backup.database) == backup.manifest.sha256
    except FileNotFoundError:
        is_whole = False
    if not is_whole:
        yield "the database is missing or damaged"
    with backup.listed() as files:
        yield from filter(None, several_at_once(partial(_fault, backup.store), files.contents()))


def _fault(store: Store, entry: Entry) -> str:
    """What is wrong with a file's content; empty if nothing is."""
    try:
        with reaching(), store.open(entry.sha256) as content:
            return "" if digest_of(content) == entry.sha256 else f"{entry.root}/{entry.path} is damaged"
    except FileNotFoundError:
        return f"{entry.root}/{entry.path} is missing"


# --- bringing back ----------------------------------------------------------------------------


def restore(backup: Backup, *, force: bool = False, tell: Tell = lambda line: None) -> None:
    """Bring it back into this installation, which must be empty unless `force`, and stopped.

    Everything is checked before anything is changed, and files that were there come back if a later step
    fails. Raises BackupError, MoveError, StorageFailure.
    """
    check(backup)
    manifest = backup.manifest
    newer = {(app, name) for app, name in manifest.migrations} - needed_migrations()
    if newer:
        raise BackupError(f"The backup is of a newer program ({manifest.version}): install that one first.")
    _check_places(backup)
    is_new = is_empty(DEFAULT_DB_ALIAS) and not any(map(_has_files, roots().values()))
    if not force and not (is_new and not any(map(_has_any, buckets().values()))):
        raise BackupError("This installation is not empty. With --force the backup takes its place.")
    if Worker.objects.live().exists():
        raise BackupError("A worker is running. Stop the site first.")
    with tempfile.TemporaryDirectory(dir=settings.VAR_DIR, prefix="restore-") as name:
        stage = Path(name) / DATABASE
        with for_own_files():
            shutil.copyfile(backup.database, stage)
            migrate(sqlite_url(stage))  # it may be of an older program
        with _emptied(roots().values()):
            tell(f"Files: {_put_back_files(backup):,}")
            rows = _put_back_rows(stage)
    _empty_buckets(backup)
    tell(f"Database: {sum(rows.values()):,} rows")
    _move_photo_sets(manifest)
    if manifest.secret_key:
        with replacing(Path(settings.VAR_DIR) / "secret_key") as file:
            file.write(manifest.secret_key)
        (Path(settings.VAR_DIR) / "secret_key").chmod(0o600)


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


def _put_back_files(backup: Backup) -> int:
    """How many they are."""
    folders, places = roots(), buckets()

    def put_back(entry: Entry) -> None:
        try:
            content = backup.store.open(entry.sha256)
        except FileNotFoundError as error:
            raise BackupError(f"{entry.root}/{entry.path} is missing in the backup.") from error
        with content, reaching():
            if entry.root in places:
                places[entry.root].save(entry.path, File(content))
            else:
                _put_back(entry, content, folders[entry.root])

    with backup.listed() as files:
        return sum(1 for _ in several_at_once(put_back, files))


def _put_back(entry: Entry, content: IO[bytes] | File[bytes], folder: Path) -> None:
    target = folder / entry.path
    if not is_inside(target, folder):
        raise BackupError(f"{entry.path} leads out of its folder.")
    with replacing_path(target) as part, part.open("wb") as copy:
        if copied(content, copy) != Content(entry.sha256, entry.size):
            raise BackupError(f"{entry.root}/{entry.path} is damaged in the backup.")
    os.utime(target, ns=(entry.changed, entry.changed))


def _check_places(backup: Backup) -> None:
    """The backup's files have a place here. Raises BackupError."""
    with backup.listed() as files:
        lacking = files.roots() - roots().keys() - buckets().keys()
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


def _empty_buckets(backup: Backup) -> None:
    """Of files that the backup has not. This is done last: until then nothing of before is deleted."""
    with reaching(), backup.listed() as files:
        for root, bucket in buckets().items():
            for name in [name for name, _, _ in bucket.walk() if not files.find(root, name)]:
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
