"""Intakes: many photos at once, from uploaded files, a zip archive, a folder on the server, or all that was
dropped on the page: photos, zips and a table, uploaded piece by piece.

A table may give the terms of single files.

A job takes the files in one by one. The outcome of each file is in its own row, written with the photo.
So an interrupted intake continues where it stopped, and every refused file has a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import compress, groupby
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from formats.texts import Text
from jobs import queue as jobs
from jobs.lease import JobError, Lease
from jobs.models import Job
from validation.campaigns import acts
from validation.models import AuthorHashtag, Campaign, Intake, IntakeFile, Photo, Upload
from validation.photos.drop import table_in
from validation.photos.intake_files import (
    as_reason,
    count_beginning,
    delete_original,
    delete_originals,
    is_junk,
    list_files,
    opened,
    originals_of,
    place_of,
    remove_leftovers,
    source_of,
    table_name,
    table_of,
    uploads_of,
)
from validation.photos.intake_shards import PREPARED, is_usable, prepare_in_shards
from validation.photos.intake_sources import Listing, Source
from validation.photos.intake_table import TERMS, Terms, read_table
from validation.photos.intake_table import TableError as TableError
from validation.photos.similar import Hashes
from validation.photos.store import (
    PhotoRefused,
    Prepared,
    add_prepared,
    forget_prepared,
    has_files,
    receive,
    remove,
)
from validation.photos.uploads import UploadsGone as UploadsGone
from validation.photos.uploads import kind_of, remove_leftover_parts, take
from validation.stored import save

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.core.files.uploadedfile import UploadedFile

INTAKE = "validation.intake"
GIVEN_UP = gettext_noop("given up: the upload has been deleted")
ADDED_AT_ONCE = 100  # photos whose rows are added in one transaction
ASKED_AT_ONCE = 8  # files of which the storage is asked whether it has them
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
            title = Text("Take in “%(name)s”", name=name)
            intake.job = jobs.enqueue(kind=INTAKE, title=title, by=by, url=intake.get_absolute_url())
            intake.save(update_fields=["path", "job"])
    except BaseException:
        remove(uploads_of(intake))
        raise
    return intake


def sent_before(request_id: UUID | None) -> Intake | None:
    """The intake that the form with this id started; None if there is none."""
    return Intake.objects.filter(request_id=request_id).first() if request_id else None


def _kind(*, files: list[Any], archive: Any, has_dropped_photos: bool) -> Intake.Kind:
    if has_dropped_photos:
        return Intake.Kind.DROP
    return Intake.Kind.UPLOAD if files else Intake.Kind.ARCHIVE if archive else Intake.Kind.FOLDER


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
        intake.path = save(f"{place_of(intake)}/archive.zip", archive)
    if table:
        table.seek(0)
        save(table_name(intake), table)
    rows: list[Listing] = []
    for number, file in enumerate(files):
        stored = save(f"{place_of(intake)}/{number}", file)
        rows.append((file.name or f"file {number + 1}", {"stored": stored}))
    list_files(intake, rows, table_terms)


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
    originals = originals_of(intake)
    delete_originals(intake)
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
    lease.beat(0, 0, Text("Looking at the files"))
    with closing(source_of(intake)) as source:
        if not intake.files.exists():
            with lease.long_step():
                list_files(intake, source.names(), table_of(intake), lease.beat, source.notes)
        total = intake.files.count()
        prepare_in_shards(lease, intake, total)
        waiting = intake.files.filter(state=State.WAITING).order_by("pk")
        done = total - waiting.count()
        hashes, last = Hashes(), 0
        while some := list(waiting.filter(pk__gt=last)[:ADDED_AT_ONCE]):
            for count in _take_some(lease, intake, some, source, hashes):
                done += count
                lease.beat(done, total, Text("Taking photos in"))
            last = some[-1].pk
    with lease.long_step():
        _add_to_campaign(intake)
        if leftovers := delete_originals(intake):
            raise JobError(
                Text("%(n)s of the uploaded files could not be deleted.", n=len(leftovers)),
                Text("Retry to delete them."),
            )
        remove_leftovers()
        remove_leftover_parts()


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
        if is_new:
            added = _add_new(lease, intake, [(file, new[file.pk]) for file in row], hashes)
            row = [file for file in row if file.pk not in added]
            yield len(added)
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
    return dict(_with_files(list(opened.values())))


def _with_files(opened: Sequence[tuple[T, Prepared]]) -> Iterator[tuple[T, Prepared]]:
    """Those whose files are stored. Raises StorageFailure."""
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:  # a bucket takes milliseconds to say what it has
        are_stored = list(pool.map(has_files, (prepared for _, prepared in opened)))
    return compress(opened, are_stored)


def _add_new(
    lease: Lease, intake: Intake, files: Sequence[tuple[IntakeFile, Prepared]], hashes: Hashes
) -> set[int]:
    """Add the rows of new photos, all at once: a hundred take as many queries as `_take_one` for one. Returns
    the keys of the files that are done. None is if somebody has taken one of the photos in meanwhile; and not
    those whose photo lost its files before its row was there: its original is still needed.
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
        return set()
    by_pk = {file.pk: photo for (file, _), photo in zip(files, photos, strict=True)}
    with lease.long_step():  # who forgets files from now on sees the rows
        done = [(file, by_pk[file.pk]) for file, _ in _with_files(files)]
    if not done:
        return set()
    with lease.fenced():  # a transaction of its own: another intake sees the photos already
        near = hashes.near_duplicates({photo.pk: photo.phash for _, photo in done if photo.phash is not None})
        for pk, original in near.items():
            Photo.objects.filter(pk=pk).update(near_duplicate_of=original)
        for file, photo in done:
            file.photo, file.state = photo, State.SIMILAR if photo.pk in near else State.TAKEN
        _keep_hashtags(file for file, _ in done)
        # An upsert, because bulk_update builds a CASE for each row. The rows are all there.
        IntakeFile.objects.bulk_create(
            [file for file, _ in done],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["state", "photo"],
        )
    lease.progressed()
    with lease.long_step():
        for file, _ in done:
            delete_original(intake, file)
    return {file.pk for file, _ in done}


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
        count_beginning(lease, file)
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
        IntakeFile.objects.filter(pk=file.pk).update(state=state, reason=as_reason(reason), photo=photo)
    lease.progressed()
    with lease.long_step():
        delete_original(intake, file)


def _receive(intake: Intake, file: IntakeFile, source: Source) -> tuple[State, str, Photo | None]:
    """Take a file in: its new state, the reason if it is refused, and its photo."""
    by = intake.created_by
    terms = _terms(intake, file)
    prepared = Prepared(*file.terms[PREPARED]) if PREPARED in file.terms else None
    said: tuple[Photo, bool] | str | None = None
    if prepared and is_usable(prepared):
        try:
            said = add_prepared(prepared, by=by, **terms)
        except PhotoRefused as error:
            said = error.reason
    if said is None or (not isinstance(said, str) and not has_files(said[0])):
        said = opened(intake, file, source, lambda raw: receive(file=raw, name=file.name, by=by, **terms))
    if isinstance(said, str):
        return State.REFUSED, said, None
    photo, is_new = said
    is_new = is_new or _was_left_by_a_crash(photo, intake)
    return State.TAKEN if is_new else State.KNOWN, "", photo


def _was_left_by_a_crash(photo: Photo, intake: Intake) -> bool:
    """Stored since this intake began, but in no row: near duplicates have not been looked for yet."""
    return photo.added_at >= intake.created_at and not photo.intake_files.exists()


def _for_campaign(intake: Intake) -> Any:
    states = [State.TAKEN, State.KNOWN, *([State.SIMILAR] if intake.near_duplicates else [])]
    return intake.files.filter(state__in=states)
