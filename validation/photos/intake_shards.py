"""The shards of an intake: any number of workers open and store its photos, whose rows are added later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.conf import settings

from formats.storage import require_content
from formats.texts import Text
from jobs.crew import NotNeeded, work_off
from jobs.lease import Lease
from jobs.models import Job, Shard
from jobs.shards import Part, ShardLease, plan
from validation.campaigns.counts import in_parts
from validation.models import Intake, IntakeFile, Photo
from validation.photos.intake_files import as_reason, count_beginning, delete_original, opened, source_of
from validation.photos.intake_sources import Source
from validation.photos.store import Prepared, forget_prepared, has_files, prepare

PREPARED = "prepared"  # the key of what a shard has stored for a file, among the file's terms
State = IntakeFile.State


def prepare_in_shards(lease: Lease, intake: Intake, total: int) -> None:
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
            label = Text("files %(first)s to %(last)s", first=first, last=first + len(some) - 1)
            parts.append(Part(label, len(some), {"first": some[0], "last": some[-1]}))
        plan(lease, parts)
    if lease.job.shards.exclude(state=Shard.State.DONE).exists():  # one that has failed fails the job
        try:
            work_off(lease, total=total, message=Text("Opening photos"))
        except NotNeeded:  # the folder was there a moment ago
            require_content(Path(intake.path))
            raise


@contextmanager
def preparing(job: Job) -> Iterator[Callable[[ShardLease], None]]:
    """The function that opens and stores the photos of a shard."""
    intake = Intake.objects.get(job=job)
    if intake.kind == Intake.Kind.FOLDER and not Path(intake.path).is_dir():
        raise NotNeeded  # this machine has no such folder; if the holder has none either, it says so itself
    with closing(source_of(intake)) as source:

        def prepare_shard(lease: ShardLease) -> None:
            within = {"pk__gte": lease.payload["first"], "pk__lte": lease.payload["last"]}
            for done, file in enumerate(intake.files.filter(state=State.WAITING, **within).order_by("pk")):
                lease.beat(done)
                if PREPARED not in file.terms:
                    _prepare_one(lease, intake, file, source)

        yield prepare_shard


def _prepare_one(lease: ShardLease, intake: Intake, file: IntakeFile, source: Source) -> None:
    if lease.is_retry:
        count_beginning(lease, file)
    with lease.long_step():
        said = opened(intake, file, source, lambda raw: prepare(file=raw, name=file.name))
    with lease.fenced():
        # Not waiting any more: somebody gave the intake up while the photo was opened.
        row = IntakeFile.objects.filter(pk=file.pk, state=State.WAITING)
        if isinstance(said, str):
            row.update(state=State.REFUSED, reason=as_reason(said))
        elif not row.update(terms=file.terms | {PREPARED: said}):
            forget_prepared(said)
    lease.progressed()
    if isinstance(said, str):
        with lease.long_step():
            delete_original(intake, file)


def is_usable(prepared: Prepared) -> bool:
    """Whether its photo is here, or its files are stored so that it can be added. Raises StorageFailure."""
    photo = Photo.objects.filter(sha256=prepared.sha256).first()
    if photo:
        return photo.withdrawn_at is not None or has_files(photo)
    return bool(prepared.file) and has_files(prepared)
