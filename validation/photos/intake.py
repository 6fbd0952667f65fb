"""Intakes: many photos at once, from uploaded files, a zip archive, a folder on the server, or all that was
dropped on the page: photos, zips and a table, uploaded piece by piece.

A table may give the terms of single files.

A job takes the files in one by one. The outcome of each file is in its own row, written with the photo.
So an interrupted intake continues where it stopped, and every refused file has a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from formats.files import is_left_by_system
from formats.storage import StorageFailure, is_of_storage, require_content
from jobs import queue as jobs
from jobs.crew import NotNeeded, work_off
from jobs.lease import JobError, Lease
from jobs.models import Job, Shard
from jobs.shards import Part, ShardLease, plan
from validation.campaigns import acts
from validation.campaigns.counts import in_parts
from validation.models import AuthorHashtag, Campaign, Intake, IntakeFile, Photo, Upload
from validation.photos.drop import Drop, table_in
from validation.photos.intake_sources import MOST_FILES, Archive, Folder, Listing, Source, allowed_folder
from validation.photos.intake_table import TERMS, Rows, Terms, read_table
from validation.photos.intake_table import TableError as TableError
from validation.photos.notes import Note, note
from validation.photos.similar import Hashes
from validation.photos.store import (
    PhotoRefused,
    Prepared,
    add_prepared,
    forget_prepared,
    prepare,
    receive,
    remove,
    remove_unowned,
)
from validation.photos.uploads import UploadsGone as UploadsGone
from validation.photos.uploads import forget, kind_of, parts_of, remove_leftover_parts, take
from validation.stored import save

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.core.files.uploadedfile import UploadedFile

INTAKE = "validation.intake"
GIVEN_UP = gettext_noop("given up: the upload has been deleted")
MISSING = gettext_noop("named in the table, but not among the files")
MOST_DEATHS = 2  # crashes at one file, after a first crash that may have been at any file
MOST_NOTES = 20
DEADLY = gettext_noop("taking it in crashed the program more than once")
ADDED_AT_ONCE = 100  # photos whose rows are added in one transaction
ASKED_AT_ONCE = 8  # files of which the storage is asked whether it has them
PREPARED = "prepared"  # the key of what a shard has stored for a file, among the file's terms
State = IntakeFile.State
T = TypeVar("T")


class SentAlready(Exception):
    """This form was sent before and started `intake`. This copy of it did nothing."""

    def __init__(self, intake: Intake) -> None:
        super().__init__(str(self.__doc__))
        self.intake = intake


# --- starting an intake -----------------------------------------------------------------------


def start(
    *,
    name: str,
    by: AbstractBaseUser | None,
    uploads: Iterable[UploadedFile[Any]] = (),
    archive: UploadedFile[Any] | None = None,
    folder: str = "",
    table: File[Any] | None = None,
    dropped: Iterable[Upload] = (),
    campaign: Campaign | None = None,
    near_duplicates: bool = False,
    request_id: UUID | None = None,
    **terms: str,
) -> Intake:
    """Create an intake from one of the four sources, and its job. `table` has terms of single files; a drop
    may have one of its own.

    Raises ValueError unless there is exactly one source, TableError for a table that cannot be read,
    SentAlready for a request id that was used before, UploadsGone, and StorageFailure. After an error none of
    the sent files is kept; dropped ones stay uploads.
    """
    files = [file for file in uploads if not is_junk(file.name or "")]
    drop = list(dropped)
    has_photos = any(kind_of(upload.name) != "table" for upload in drop)
    if bool(files) + bool(archive) + bool(folder) + has_photos != 1:
        raise ValueError("Choose either files, an archive, a folder or what you dropped.")
    table = table_in(drop) or table
    table_terms = read_table(table) if table else {}
    intake = Intake(
        name=name,
        kind=_kind(files=files, archive=archive, has_dropped_photos=has_photos),
        path=folder,
        campaign=campaign,
        near_duplicates=near_duplicates,
        request_id=request_id,
        created_by_id=by.pk if by else None,
        **terms,
    )
    try:
        with transaction.atomic():
            _save_once(intake)
            _store(intake, files, archive, table, table_terms)
            take(uploads=drop, intake=intake)
            title = f"Take in “{name}”"
            intake.job = jobs.enqueue(kind=INTAKE, title=title, by=by, url=intake.get_absolute_url())
            intake.save(update_fields=["path", "job"])
    except BaseException:
        remove(_uploads(intake))
        raise
    return intake


def sent_before(request_id: UUID | None) -> Intake | None:
    """The intake that the form with this id started; None if there is none."""
    return Intake.objects.filter(request_id=request_id).first() if request_id else None


def _kind(*, files: list[Any], archive: Any, has_dropped_photos: bool) -> Intake.Kind:
    if has_dropped_photos:
        return Intake.Kind.DROP
    return Intake.Kind.UPLOAD if files else Intake.Kind.ARCHIVE if archive else Intake.Kind.FOLDER


def is_junk(name: str) -> bool:
    """Whether it is a file that operating systems put beside photos; an intake has no row for it."""
    return is_left_by_system(name.replace("\\", "/"))


def _save_once(intake: Intake) -> None:
    try:
        with transaction.atomic():
            intake.save()
    except IntegrityError as error:
        first = sent_before(intake.request_id)
        if first is None:
            raise
        raise SentAlready(first) from error


def _store(
    intake: Intake,
    files: list[UploadedFile[Any]],
    archive: UploadedFile[Any] | None,
    table: File[Any] | None,
    table_terms: Terms,
) -> None:
    if archive:
        intake.path = save(f"{_place(intake)}/archive.zip", archive)
    if table:
        table.seek(0)
        save(_table_name(intake), table)
    rows: list[Listing] = []
    for number, file in enumerate(files):
        stored = save(f"{_place(intake)}/{number}", file)
        rows.append((file.name or f"file {number + 1}", {"stored": stored}))
    _list_files(intake, rows, table_terms)


def _place(intake: Intake) -> str:
    return f"intake/{intake.pk}"


def _table_name(intake: Intake) -> str:
    return f"{_place(intake)}/table.csv"


def _uploads(intake: Intake) -> list[str]:
    """Names of the files that were uploaded for this intake and are still stored. Raises StorageFailure."""
    try:
        _, names = default_storage.listdir(_place(intake))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except Exception as error:  # storages raise errors of their own
        raise StorageFailure(error) from error
    return [f"{_place(intake)}/{name}" for name in names]


def _originals(intake: Intake) -> list[str]:
    """Like _uploads, with the parts of what was dropped."""
    return _uploads(intake) + parts_of(intake.dropped.all())


def _delete_originals(intake: Intake) -> list[str]:
    """Returns those that could not be deleted."""
    return remove(_uploads(intake)) + forget(uploads=intake.dropped.all())


def remove_leftovers(*, minutes: float = 24 * 60) -> None:
    """Delete uploads that no intake has: see store.remove_unowned."""
    remove_unowned("intake", Intake.objects.values_list("pk", flat=True), minutes=minutes)


@transaction.atomic
def give_up(*, intake: Intake) -> bool:
    """Delete uploaded files that have not been taken in, because originals contain metadata. Photos already
    taken in stay. False while the job is live, or if there is nothing to delete.
    """
    job = Job.objects.select_for_update(of=("self",)).get(pk=intake.job_id) if intake.job_id else None
    if job is None or job.is_live:
        return False
    rows = intake.files.filter(state=State.WAITING)
    prepared = [
        Prepared(*terms[PREPARED])
        for terms in rows.filter(terms__has_key=PREPARED).values_list("terms", flat=True)
    ]
    waiting = rows.update(state=State.REFUSED, reason=GIVEN_UP)
    originals = _originals(intake)
    _delete_originals(intake)
    for one in prepared:
        forget_prepared(one)
    return bool(waiting or originals)


def can_be_given_up(intake: Intake) -> bool:
    """Whether "Give up" has something to delete: uploaded originals, or photos opened beforehand."""
    if not intake.job or intake.job.state not in (Job.State.FAILED, Job.State.CANCELLED):
        return False
    opened = intake.files.filter(state=State.WAITING, terms__has_key=PREPARED)
    return intake.kind != Intake.Kind.FOLDER or opened.exists()


def archives_with(photo: Photo) -> list[Intake]:
    """Unfinished intakes whose archive contains the photo's original."""
    rows = Intake.objects.filter(files__photo=photo).distinct()
    zips = [row for row in rows.filter(kind=Intake.Kind.ARCHIVE) if default_storage.exists(row.path)]
    drops = rows.filter(kind=Intake.Kind.DROP, dropped__isnull=False)
    return zips + list(drops.filter(dropped__name__iendswith=".zip"))


# --- the job ----------------------------------------------------------------------------------


def take_all_in(lease: Lease) -> None:
    """The job "validation.intake": list the files, take them in, and add the photos to the campaign.

    If the storage fails, the originals stay, and the job tries again later.
    """
    intake = Intake.objects.select_related("campaign", "created_by").get(job=lease.job)
    lease.beat(0, 0, "Looking at the files")
    with closing(_source(intake)) as source:
        if not intake.files.exists():
            with lease.long_step():
                _list_files(intake, source.names(), _table_of(intake), lease.beat, source.notes)
        total = intake.files.count()
        _prepare_in_shards(lease, intake, total)
        waiting = intake.files.filter(state=State.WAITING).order_by("pk")
        done = total - waiting.count()
        hashes, last = Hashes(), 0
        while some := list(waiting.filter(pk__gt=last)[:ADDED_AT_ONCE]):
            for count in _take_some(lease, intake, some, source, hashes):
                done += count
                lease.beat(done, total, "Taking photos in")
            last = some[-1].pk
    with lease.long_step():
        _add_to_campaign(intake)
        if leftovers := _delete_originals(intake):
            raise JobError(
                f"{len(leftovers)} of the uploaded files could not be deleted.",
                "Retry to delete them.",
            )
        remove_leftovers()
        remove_leftover_parts()


def _prepare_in_shards(lease: Lease, intake: Intake, total: int) -> None:
    """Have photos opened and stored by any number of workers, if they are more than one shard.

    Their rows are added afterwards, by this worker and in the order of the files: which of two equal or
    similar photos came first must not depend on who is faster (decision 0060).
    """
    if not lease.job.shards.exists():
        waiting = intake.files.filter(state=State.WAITING).order_by("pk")
        pks = list(waiting.values_list("pk", flat=True))
        if len(pks) <= settings.SHARD_PHOTOS:
            return
        parts = []
        for at, some in enumerate(in_parts(pks, settings.SHARD_PHOTOS)):
            first = at * settings.SHARD_PHOTOS + 1
            label = f"files {first} to {first + len(some) - 1}"
            parts.append(Part(label, len(some), {"first": some[0], "last": some[-1]}))
        plan(lease, parts)
    if lease.job.shards.exclude(state=Shard.State.DONE).exists():  # one that has failed fails the job
        try:
            work_off(lease, total=total, message="Opening photos")
        except NotNeeded:  # the folder was there a moment ago
            require_content(Path(intake.path))
            raise


@contextmanager
def preparing(job: Job) -> Iterator[Callable[[ShardLease], None]]:
    """The function that opens and stores the photos of a shard."""
    intake = Intake.objects.get(job=job)
    if intake.kind == Intake.Kind.FOLDER and not Path(intake.path).is_dir():
        raise NotNeeded  # this machine has no such folder; if the holder has none either, it says so itself
    with closing(_source(intake)) as source:

        def prepare_shard(lease: ShardLease) -> None:
            within = {"pk__gte": lease.payload["first"], "pk__lte": lease.payload["last"]}
            for done, file in enumerate(intake.files.filter(state=State.WAITING, **within).order_by("pk")):
                lease.beat(done)
                if PREPARED not in file.terms:
                    _prepare_one(lease, intake, file, source)

        yield prepare_shard


def _prepare_one(lease: ShardLease, intake: Intake, file: IntakeFile, source: Source) -> None:
    if lease.is_retry:
        _count_beginning(lease, file)
    with lease.long_step():
        said = _opened(intake, file, source, lambda raw: prepare(file=raw, name=file.name))
    with lease.fenced():
        # Not waiting any more: somebody gave the intake up while the photo was opened.
        row = IntakeFile.objects.filter(pk=file.pk, state=State.WAITING)
        if isinstance(said, str):
            row.update(state=State.REFUSED, reason=_as_reason(said))
        elif not row.update(terms=file.terms | {PREPARED: said}):
            forget_prepared(said)
    lease.progressed()
    if isinstance(said, str):
        _delete_original(intake, file)


def _count_beginning(lease: Lease | ShardLease, file: IntakeFile) -> None:
    """A worker died; a file that crashes it leaves no other trace."""
    with lease.fenced():
        IntakeFile.objects.filter(pk=file.pk).update(begun=file.begun + 1)


def _add_to_campaign(intake: Intake) -> None:
    if intake.campaign:
        photos = Photo.objects.shown().filter(intake_files__in=_for_campaign(intake))
        acts.add_photos(campaign=intake.campaign, photos=photos.distinct(), by=intake.created_by)


def _take_some(
    lease: Lease, intake: Intake, files: Sequence[IntakeFile], source: Source, hashes: Hashes
) -> Iterator[int]:
    """Take files in, in their order; says after each step how many it took."""
    with lease.long_step():
        new = _new_photos(files)
    for is_new, group in groupby(files, lambda file: file.pk in new):
        row = list(group)
        if is_new and _add_new(lease, intake, [(file, new[file.pk]) for file in row], hashes):
            yield len(row)
            continue
        for file in row:
            _take_one(lease, intake, file, source, hashes)
            yield 1


def _new_photos(files: Iterable[IntakeFile]) -> dict[int, Prepared]:
    """By the file's key, the photos that shards have opened and that nobody has taken in so far. Of equal
    files only the first is new. Raises StorageFailure.
    """
    opened: dict[str, tuple[int, Prepared]] = {}
    for file in files:
        if PREPARED in file.terms:
            prepared = Prepared(*file.terms[PREPARED])
            if prepared.file:
                opened.setdefault(prepared.sha256, (file.pk, prepared))
    if not opened:
        return {}
    for sha256 in Photo.objects.filter(sha256__in=opened).values_list("sha256", flat=True):
        del opened[sha256]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:  # a bucket takes milliseconds to say what it has
        are_stored = list(pool.map(_is_stored, (prepared for _, prepared in opened.values())))
    return dict(one for one, is_stored in zip(opened.values(), are_stored, strict=True) if is_stored)


def _add_new(
    lease: Lease, intake: Intake, files: Sequence[tuple[IntakeFile, Prepared]], hashes: Hashes
) -> bool:
    """Add the rows of new photos, all at once: a hundred take as many queries as `_take_one` for one. False
    if somebody has taken one of them in meanwhile; then none was added.
    """
    by = intake.created_by
    photos = [
        Photo(**prepared._asdict(), added_by_id=by.pk if by else None, **_terms(intake, file))
        for file, prepared in files
    ]
    try:
        with lease.fenced():
            Photo.objects.bulk_create(photos)
    except IntegrityError:
        return False
    with lease.fenced():  # a transaction of its own: two intakes at once see each other's photos
        near = hashes.near_duplicates({photo.pk: photo.phash for photo in photos if photo.phash is not None})
        for pk, original in near.items():
            Photo.objects.filter(pk=pk).update(near_duplicate_of=original)
        for (file, _), photo in zip(files, photos, strict=True):
            file.photo, file.state = photo, State.SIMILAR if photo.pk in near else State.TAKEN
        _keep_hashtags(file for file, _ in files)
        # An upsert, because bulk_update builds a CASE for each row. The rows are all there.
        IntakeFile.objects.bulk_create(
            [file for file, _ in files],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["state", "photo"],
        )
    for file, _ in files:
        _delete_original(intake, file)
    lease.progressed()
    return True


def _terms(intake: Intake, file: IntakeFile) -> dict[str, str]:
    return {field: file.terms.get(field) or getattr(intake, field) for field in TERMS}


def _keep_hashtags(files: Iterable[IntakeFile]) -> None:
    AuthorHashtag.objects.bulk_create(
        (
            AuthorHashtag(photo=file.photo, name=name)
            for file in files
            for name in file.terms.get("hashtags", [])
        ),
        ignore_conflicts=True,
    )


def _take_one(lease: Lease, intake: Intake, file: IntakeFile, source: Source, hashes: Hashes) -> None:
    if lease.job.attempts > 1:
        _count_beginning(lease, file)
    with lease.long_step():
        state, reason, photo = _receive(intake, file, source)
    with lease.fenced():
        if photo is not None and state == State.TAKEN and photo.phash is not None:
            near = hashes.nearest(photo.phash, before=photo.pk)
            if near is not None:
                state = State.SIMILAR
                Photo.objects.filter(pk=photo.pk).update(near_duplicate_of=near)
        if photo is not None:
            file.photo = photo
            _keep_hashtags([file])
        IntakeFile.objects.filter(pk=file.pk).update(state=state, reason=_as_reason(reason), photo=photo)
    _delete_original(intake, file)
    lease.progressed()


def _as_reason(words: str) -> str:
    return words.replace("\x00", "")[:300]


def _delete_original(intake: Intake, file: IntakeFile) -> None:
    """It is no longer needed. If this fails, the end of the job deletes it."""
    if stored := file.terms.get("stored"):
        remove([stored])
    elif "entry" not in file.terms and (upload := file.terms.get("upload")):
        forget(uploads=intake.dropped.filter(pk=upload))


def _receive(intake: Intake, file: IntakeFile, source: Source) -> tuple[State, str, Photo | None]:
    """Take a file in: its new state, the reason if it is refused, and its photo."""
    by = intake.created_by
    terms = _terms(intake, file)
    prepared = Prepared(*file.terms[PREPARED]) if PREPARED in file.terms else None
    if prepared and _is_usable(prepared):
        try:
            said: tuple[Photo, bool] | str = add_prepared(prepared, by=by, **terms)
        except PhotoRefused as error:
            said = error.reason
    else:
        said = _opened(intake, file, source, lambda raw: receive(file=raw, name=file.name, by=by, **terms))
    if isinstance(said, str):
        return State.REFUSED, said, None
    photo, is_new = said
    is_new = is_new or _was_left_by_a_crash(photo, intake)
    return State.TAKEN if is_new else State.KNOWN, "", photo


def _is_usable(prepared: Prepared) -> bool:
    """Whether its photo is here, or its files are stored so that it can be added."""
    if Photo.objects.filter(sha256=prepared.sha256).exists():
        return True
    return bool(prepared.file) and _is_stored(prepared)


def _is_stored(prepared: Prepared) -> bool:
    try:
        return prepared.is_stored
    except Exception as error:  # storages raise errors of their own
        raise StorageFailure(error) from error


def _opened(intake: Intake, file: IntakeFile, source: Source, do: Callable[[IO[bytes]], T]) -> T | str:
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
    return not isinstance(error, FileNotFoundError) or not _originals(intake)


def _was_left_by_a_crash(photo: Photo, intake: Intake) -> bool:
    """Stored since this intake began, but in no row: near duplicates have not been looked for yet."""
    return photo.added_at >= intake.created_at and not photo.intake_files.exists()


def _for_campaign(intake: Intake) -> Any:
    states = [State.TAKEN, State.KNOWN, *([State.SIMILAR] if intake.near_duplicates else [])]
    return intake.files.filter(state__in=states)


def _list_files(
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
            raise JobError(f"More than {MOST_FILES:,} files.", "Split them into several intakes.")
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


def _table_of(intake: Intake) -> Terms:
    if not default_storage.exists(_table_name(intake)):
        return {}
    with default_storage.open(_table_name(intake), "rb") as file:
        return read_table(file)


def _source(intake: Intake) -> Source:
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
            hint = "Ask the server's administrator which folders may be used."
            raise JobError(str(error), hint) from error
    return Source()
