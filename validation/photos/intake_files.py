"""The files of an intake: the originals that are stored, a row for each, and opening one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TypeVar

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from formats.files import is_left_by_system
from formats.storage import StorageFailure, is_of_storage, require_content
from formats.texts import Text, text_of
from jobs.lease import JobError, Lease
from jobs.shards import ShardLease
from validation.models import Intake, IntakeFile
from validation.photos.drop import Drop
from validation.photos.intake_sources import MOST_FILES, Archive, Folder, Listing, Source, allowed_folder
from validation.photos.intake_table import Rows, Terms, read_table
from validation.photos.notes import Note, note
from validation.photos.store import PhotoRefused, remove, remove_unowned
from validation.photos.uploads import forget, parts_of

MISSING = gettext_noop("named in the table, but not among the files")
MOST_DEATHS = 2  # crashes at one file, after a first crash that may have been at any file
MOST_NOTES = 20
DEADLY = gettext_noop("taking it in crashed the program more than once")
State = IntakeFile.State
T = TypeVar("T")


# --- the originals ----------------------------------------------------------------------------


def place_of(intake: Intake) -> str:
    """Where the storage keeps what was uploaded for it."""
    return f"intake/{intake.pk}"


def table_name(intake: Intake) -> str:
    return f"{place_of(intake)}/table.csv"


def uploads_of(intake: Intake) -> list[str]:
    """Names of the files that were uploaded for this intake and are still stored. Raises StorageFailure."""
    try:
        _, names = default_storage.listdir(place_of(intake))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except Exception as error:  # storages raise errors of their own
        raise StorageFailure(error) from error
    return [f"{place_of(intake)}/{name}" for name in names]


def originals_of(intake: Intake) -> list[str]:
    """Like uploads_of, with the parts of what was dropped."""
    return uploads_of(intake) + parts_of(intake.dropped.all())


def delete_originals(intake: Intake) -> list[str]:
    """Returns those that could not be deleted."""
    return remove(uploads_of(intake)) + forget(uploads=intake.dropped.all())


def delete_original(intake: Intake, file: IntakeFile) -> None:
    """It is no longer needed. If this fails, the end of the job deletes it."""
    if stored := file.terms.get("stored"):
        remove([stored])
    elif "entry" not in file.terms and (upload := file.terms.get("upload")):
        forget(uploads=intake.dropped.filter(pk=upload))


def remove_leftovers(*, minutes: float = 24 * 60) -> None:
    """Delete uploads that no intake has: see store.remove_unowned."""
    remove_unowned("intake", Intake.objects.values_list("pk", flat=True), minutes=minutes)


def table_of(intake: Intake) -> Terms:
    """The terms of single files; none without a table."""
    if not default_storage.exists(table_name(intake)):
        return {}
    with default_storage.open(table_name(intake), "rb") as file:
        return read_table(file)


# --- their rows -------------------------------------------------------------------------------


def is_junk(name: str) -> bool:
    """Whether it is a file that operating systems put beside photos; an intake has no row for it."""
    return is_left_by_system(name.replace("\\", "/"))


def list_files(
    intake: Intake,
    files: Iterable[Listing],
    table_terms: Terms,
    beat: Callable[[], None] = lambda: None,
    notes: Iterable[Note] = (),
) -> None:
    """Save a row for each file, and for each file of the table that is missing: all rows or none."""
    rows: list[IntakeFile] = []
    names, copies = set[str](), Counter[str]()
    table = Rows(table_terms)
    files_of: dict[str, list[str]] = {}  # by row of the table
    unclear: dict[str, list[str]] = {}  # the rows that a file may mean
    for name, terms in files:
        beat()
        if is_junk(name):
            continue
        if len(rows) >= MOST_FILES:
            raise JobError(
                Text("More than %(n)s files.", n=MOST_FILES), Text("Split them into several intakes.")
            )
        fits = table.of(name)
        for row in fits:
            files_of.setdefault(row, []).append(name)
        if len(fits) > 1:
            unclear[name] = fits
        own_terms = table_terms[fits[0]] if len(fits) == 1 else {}
        rows.append(IntakeFile(intake=intake, name=_unique(name, names, copies), terms=own_terms | terms))
    for name in (name for name in table_terms if rows and name not in files_of):
        missing_name = _unique(name, names, copies)
        rows.append(IntakeFile(intake=intake, name=missing_name, state=State.REFUSED, reason=MISSING))
    intake.notes = [*notes, *_doubts(files_of, unclear)]
    with transaction.atomic():
        IntakeFile.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
        intake.save(update_fields=["notes"])
        beat()  # SQLite lets nobody renew the lease while so many rows are written


def _doubts(files_of: dict[str, list[str]], unclear: dict[str, list[str]]) -> list[Note]:
    """What cannot be told from the names, so that people check it."""
    lines = [note("no terms", name=name, names=fits) for name, fits in unclear.items()]
    for row, files in files_of.items():
        sure = [name for name in files if name not in unclear]
        if len(sure) > 1:
            lines.append(note("one row", len(sure), row=row, names=sure))
    if len(lines) > MOST_NOTES:
        lines[MOST_NOTES:] = [note("more", len(lines) - MOST_NOTES)]
    return lines


def _unique(name: str, names: set[str], copies: Counter[str]) -> str:
    """The name, with a number if it is among `names`; `copies` holds the last number of each name."""
    short_name = unique_name = name[:480]
    while unique_name in names:
        copies[short_name] += 1
        unique_name = f"{short_name} ({copies[short_name] + 1})"
    names.add(unique_name)
    return unique_name


# --- opening one ------------------------------------------------------------------------------


def source_of(intake: Intake) -> Source:
    """Close it at the end. Raises JobError for a folder that may not be used, and StorageFailure."""
    if intake.kind == Intake.Kind.ARCHIVE:
        return Archive(lambda: default_storage.open(intake.path, "rb"))
    if intake.kind == Intake.Kind.DROP:
        return Drop(intake)
    if intake.kind == Intake.Kind.FOLDER:
        try:
            return Folder(allowed_folder(intake.path))
        except ValueError as error:
            if intake.files.exists():  # the folder was there when the intake began
                require_content(Path(intake.path))
            hint = Text("Ask the server's administrator which folders may be used.")
            raise JobError(text_of(error), hint) from error
    return Source()


def opened(intake: Intake, file: IntakeFile, source: Source, do: Callable[[IO[bytes]], T]) -> T | str:
    """What `do` makes of the file; or why the file is refused."""
    if file.begun >= MOST_DEATHS:
        return DEADLY
    try:
        with source.open(file) as raw:
            return do(raw)
    except PhotoRefused as error:
        return error.reason
    except OSError as error:
        if _is_of_the_storage(error, intake):
            raise StorageFailure(error) from error
        return _("it cannot be read (%(error)s)") % {"error": error.strerror or error}


def _is_of_the_storage(error: OSError, intake: Intake) -> bool:
    """Whether the disk failed, not the file. We stored the uploads, so only a missing one is refused,
    and only if others are there. If all are gone, so is the disk.
    """
    if intake.kind == Intake.Kind.FOLDER:
        return is_of_storage(error, Path(intake.path))
    return not isinstance(error, FileNotFoundError) or not originals_of(intake)


def count_beginning(lease: Lease | ShardLease, file: IntakeFile) -> None:
    """A worker died; a file that crashes it leaves no other trace."""
    with lease.fenced():
        IntakeFile.objects.filter(pk=file.pk).update(begun=file.begun + 1)


def as_reason(words: str) -> str:
    """The words as the database takes them."""
    return words.replace("\x00", "")[:300]
