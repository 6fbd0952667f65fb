"""Many photos come in together: uploaded files, a zip archive, a folder on the server; a table may say more.

A job takes them one by one. What became of each file is in its own row, written with the photo, so that an
interrupted intake goes on where it stopped and every refusal is named.
"""

from __future__ import annotations

import csv
import io
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction

from jobs import services as jobs
from jobs.lease import JobError, Lease
from jobs.models import Job
from validation import campaigns
from validation.models import AuthorHashtag, Campaign, Intake, IntakeFile, Photo
from validation.photos import PhotoRefused, receive
from validation.similar import Known

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.core.files.uploadedfile import UploadedFile

INTAKE = "validation.intake"
MOST_FILES = 200_000
TERMS = ("author", "source_url", "licence", "licence_url", "consent")
COLUMNS = ("file", "hashtags", *TERMS)
JUNK = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._)")
NO_TEXT = "\N{REPLACEMENT CHARACTER}"
GIVEN_UP = "given up: what was uploaded has been deleted"
MISSING = "named in the table, but not there"
LONGEST = {"author": 200, "source_url": 500, "licence": 100, "licence_url": 500, "consent": 10}
State = IntakeFile.State


class TableError(ValueError):
    """A table that cannot be read; the message names the row and column."""


# --- starting one -----------------------------------------------------------------------------


@transaction.atomic
def start(
    *,
    name: str,
    by: AbstractBaseUser | None,
    uploads: Iterable[UploadedFile[Any]] = (),
    archive: UploadedFile[Any] | None = None,
    folder: str = "",
    table: UploadedFile[Any] | None = None,
    campaign: Campaign | None = None,
    near_duplicates: bool = False,
    **terms: str,
) -> Intake:
    """An intake of one of the three, and the job that takes it in. `table` says more of single files.

    Raises ValueError unless exactly one source is given, TableError for a table that cannot be read.
    """
    files = list(uploads)
    if bool(files) + bool(archive) + bool(folder) != 1:
        raise ValueError("Choose files, or an archive, or a folder: one of them.")
    kind = Intake.Kind.UPLOAD if files else Intake.Kind.ARCHIVE if archive else Intake.Kind.FOLDER
    intake = Intake.objects.create(
        name=name,
        kind=kind,
        path=folder,
        campaign=campaign,
        near_duplicates=near_duplicates,
        created_by_id=by.pk if by else None,
        **terms,
    )
    rows = []
    for number, file in enumerate(files):
        stored = default_storage.save(f"intake/{intake.pk}/{number}", file)
        shown = file.name or f"file {number + 1}"
        rows.append((shown, {"stored": stored}))
    if archive:
        intake.path = default_storage.save(f"intake/{intake.pk}/archive.zip", archive)
    if table:
        read_table(table)
        table.seek(0)
        default_storage.save(_table_name(intake), table)
    _list_files(intake, rows)
    intake.job = jobs.enqueue(kind=INTAKE, title=f"Take in “{name}”", by=by, url=intake.get_absolute_url())
    intake.save(update_fields=["path", "job"])
    return intake


def read_table(file: IO[bytes]) -> dict[str, dict[str, Any]]:
    """File → its own terms, from a CSV with the columns of COLUMNS; only `file` must be there.

    Hashtags are separated by spaces or commas, with # or without. Raises TableError.
    """
    try:
        text = file.read().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = [name.strip().lower() for name in reader.fieldnames or []]
        if "file" not in names:
            raise TableError("The first row must name the columns, one of them “file”.")
        if unknown := sorted(set(names) - set(COLUMNS)):
            raise TableError(f"Unknown columns: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}.")
        reader.fieldnames = names
        return dict(_row(number, row) for number, row in enumerate(reader, start=2))
    except UnicodeDecodeError:
        raise TableError("The table is not UTF-8 text.") from None
    except csv.Error as error:
        raise TableError(f"The table is no CSV: {error}.") from error


def _row(number: int, row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if None in row or None in row.values():
        raise TableError(f"Row {number} has more or fewer fields than the first.")
    name = row["file"].strip().replace("\\", "/")
    if not name:
        raise TableError(f"Row {number} names no file.")
    terms: dict[str, Any] = {field: row[field].strip() for field in TERMS if row.get(field, "").strip()}
    for field, value in terms.items():
        if len(value) > LONGEST[field]:
            raise TableError(f"Row {number}, {field}: longer than {LONGEST[field]} characters.")
        if field.endswith("url") and not value.startswith(("http://", "https://")):
            raise TableError(f"Row {number}, {field}: not a web address: {value[:60]}")
    if terms.get("consent", "own") not in Photo.Consent.values:
        raise TableError(f"Row {number}, consent: “{terms['consent']}” is none of own, author, licence.")
    words = re.split(r"[\s,;]+", row.get("hashtags", ""))
    hashtags = sorted({word.lstrip("#").lower()[:100] for word in words if word.strip("#")})
    return name, terms | ({"hashtags": hashtags} if hashtags else {})


def allowed_folder(path: str) -> str:
    """The folder's real path. Raises ValueError outside of PHOTO_ROOTS, or if it is none."""
    real = Path(path).resolve()
    if not any(real.is_relative_to(Path(root).resolve()) for root in settings.PHOTO_ROOTS):
        raise ValueError("Only folders below the server's PHOTO_ROOTS can be taken in.")
    if not real.is_dir():
        raise ValueError("There is no such folder on the server.")
    return str(real)


@transaction.atomic
def give_up(*, intake: Intake) -> bool:
    """Delete what was uploaded and has not been taken in: the originals carry their metadata. What was taken
    in stays. False while the job works, or if nothing is left to delete.
    """
    job = Job.objects.select_for_update(of=("self",)).get(pk=intake.job_id) if intake.job_id else None
    if job is None or job.is_live:
        return False
    waiting = intake.files.filter(state=State.WAITING).update(state=State.REFUSED, reason=GIVEN_UP)
    kept = intake.kind == Intake.Kind.ARCHIVE and default_storage.exists(intake.path)
    _remove_uploads(intake)
    return bool(waiting or kept)


# --- the job ----------------------------------------------------------------------------------


def take_all_in(lease: Lease) -> None:
    """The job "validation.intake": list the files, take in those that wait, then tell the campaign."""
    intake = Intake.objects.select_related("campaign", "created_by").get(job=lease.job)
    lease.beat(0, 0, "Looking at the files")
    with closing(_source(intake)) as source:
        _list_files(intake, source.names())
        waiting = intake.files.filter(state=State.WAITING).order_by("pk")
        total = intake.files.count()
        done = total - waiting.count()
        known, last = Known(), 0
        while some := list(waiting.filter(pk__gt=last)[:100]):
            for file in some:
                _take_one(lease, intake, file, source, known)
                done, last = done + 1, file.pk
                lease.beat(done, total, "Taking photos in")
    if intake.campaign:
        chosen = Photo.objects.shown().filter(intake_files__in=_for_campaign(intake))
        campaigns.add_photos(campaign=intake.campaign, photos=chosen.distinct(), by=intake.created_by)
    _remove_uploads(intake)


def _take_one(lease: Lease, intake: Intake, file: IntakeFile, source: Source, known: Known) -> None:
    state, reason, photo = State.REFUSED, "", None
    terms = {field: file.terms.get(field) or getattr(intake, field) for field in TERMS}
    try:
        with source.open(file) as raw:
            photo, is_new = receive(file=raw, name=file.name, by=intake.created_by, **terms)
        state = State.TAKEN if is_new or _was_left_by_who_died(photo, intake) else State.KNOWN
    except PhotoRefused as error:
        reason = error.reason
    except OSError as error:
        reason = f"it cannot be read ({error.strerror or error})"
    with lease.fenced():
        if photo is not None and state == State.TAKEN and photo.phash is not None:
            near = known.nearest(photo.phash, before=photo.pk)
            if near is not None:
                state = State.SIMILAR
                Photo.objects.filter(pk=photo.pk).update(near_duplicate_of=near)
        if photo is not None:
            AuthorHashtag.objects.bulk_create(
                (AuthorHashtag(photo=photo, name=name) for name in file.terms.get("hashtags", [])),
                ignore_conflicts=True,
            )
        IntakeFile.objects.filter(pk=file.pk).update(state=state, reason=reason[:300], photo=photo)


def _was_left_by_who_died(photo: Photo, intake: Intake) -> bool:
    """Stored since this intake began, and in no row: duplicates were not sought yet."""
    return photo.added_at >= intake.created_at and not photo.intake_files.exists()


def _for_campaign(intake: Intake) -> Any:
    states = [State.TAKEN, State.KNOWN, *([State.SIMILAR] if intake.near_duplicates else [])]
    return intake.files.filter(state__in=states)


def _remove_uploads(intake: Intake) -> None:
    """What was uploaded only to be taken in. Deleting what is gone already is no error."""
    default_storage.delete(_table_name(intake))
    if intake.kind == Intake.Kind.ARCHIVE:
        default_storage.delete(intake.path)
    for terms in intake.files.filter(terms__has_key="stored").values_list("terms", flat=True):
        default_storage.delete(terms["stored"])


def _list_files(intake: Intake, found: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """A row for each file, those of the table that are missing among them. Repeating it adds nothing."""
    table = _table_of(intake)
    rows: list[IntakeFile] = []
    seen = set(intake.files.values_list("name", flat=True)) if intake.pk else set()
    listed = bool(seen)
    for name, terms in found:
        if JUNK.search(name) or (listed and name in seen):
            continue
        if len(rows) + len(seen) > MOST_FILES:
            raise JobError(f"More than {MOST_FILES:,} files.", "Take them in in several parts.")
        own = table.get(name) or table.get(PurePosixPath(name).name) or {}
        unique, again = name[:480], 1
        while unique in seen:
            again += 1
            unique = f"{name[:480]} ({again})"
        seen.add(unique)
        rows.append(IntakeFile(intake=intake, name=unique, terms=own | terms))
    IntakeFile.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
    short = {PurePosixPath(name).name for name in seen}
    missing = [name for name in table if name not in seen and PurePosixPath(name).name not in short]
    if seen and not listed:
        IntakeFile.objects.bulk_create(
            (
                IntakeFile(
                    intake=intake,
                    name=name[:500],
                    state=State.REFUSED,
                    reason=MISSING,
                )
                for name in missing
            ),
            batch_size=1000,
            ignore_conflicts=True,
        )


def _table_name(intake: Intake) -> str:
    return f"intake/{intake.pk}/table.csv"


def _table_of(intake: Intake) -> dict[str, dict[str, Any]]:
    if not default_storage.exists(_table_name(intake)):
        return {}
    with default_storage.open(_table_name(intake), "rb") as file:
        return read_table(file)


# --- where files come from --------------------------------------------------------------------


class Source:
    """Names of files, and the bytes of one. What must not be opened is refused by `open`."""

    def names(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from ()

    def open(self, file: IntakeFile) -> IO[bytes]:
        return default_storage.open(file.terms["stored"], "rb")

    def close(self) -> None: ...


class Folder(Source):
    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def names(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted(self.root.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                yield _as_text(path.relative_to(self.root).as_posix()), {}

    def open(self, file: IntakeFile) -> IO[bytes]:
        path = self.root / file.name
        if NO_TEXT in file.name and not path.exists():
            raise PhotoRefused(file.name, "its name is not UTF-8: rename it")
        if path.is_symlink() or not path.resolve().is_relative_to(self.root.resolve()):
            raise PhotoRefused(file.name, "a link, which may lead anywhere")
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoRefused(file.name, "not a plain file")
        return path.open("rb")


def _as_text(name: str) -> str:
    """File systems hold any bytes as a name; databases hold text only."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Archive(Source):
    """A zip's entries are read where they are, never unpacked to their names."""

    def __init__(self, stored: str) -> None:
        try:
            self.file = default_storage.open(stored, "rb")
            self.zip = zipfile.ZipFile(self.file)
        except FileNotFoundError:
            raise JobError("The archive is gone from the storage.", "Upload it again.") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise JobError(f"The archive is no zip file, or broken: {error}.", "Pack it again.") from error

    def names(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, entry in enumerate(self.zip.infolist()):
            if not entry.is_dir():
                yield entry.filename.replace("\x00", ""), {"entry": number}

    def open(self, file: IntakeFile) -> IO[bytes]:
        entry = self.zip.infolist()[file.terms["entry"]]
        if reason := _refusal(entry):
            raise PhotoRefused(file.name, reason)
        try:
            return _Checked(self.zip.open(entry), file.name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
            raise PhotoRefused(file.name, f"its entry in the archive is broken ({error})") from error

    def close(self) -> None:
        self.zip.close()
        self.file.close()


class _Checked(io.BufferedReader):
    """An entry whose checksum and compression may turn out wrong only while it is read."""

    def __init__(self, entry: IO[bytes], name: str) -> None:
        super().__init__(entry)  # type: ignore[arg-type]
        self.entry_name = name

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except Exception as error:
            raise PhotoRefused(self.entry_name, f"its entry in the archive is broken ({error})") from error


def _refusal(entry: zipfile.ZipInfo) -> str:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", entry.filename):
        return "its name leads out of the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link, which may lead anywhere"
    if entry.flag_bits & 0x1:
        return "it is encrypted"
    if entry.file_size > settings.MAX_PHOTO_BYTES:
        return f"larger than {settings.MAX_PHOTO_BYTES / 2**20:.0f} MB"
    return ""


def _source(intake: Intake) -> Source:
    if intake.kind == Intake.Kind.ARCHIVE:
        return Archive(intake.path)
    if intake.kind == Intake.Kind.FOLDER:
        try:
            return Folder(allowed_folder(intake.path))
        except ValueError as error:
            raise JobError(str(error), "Ask whoever runs the server where photos may lie.") from error
    return Source()
