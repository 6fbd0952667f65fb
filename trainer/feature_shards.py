"""Features of a photo set's photos, or what a teacher says of them, in shards that any worker computes.

Each shard is a file of the cache, which the engine then reads: a trainer, or the look at a photo set. What is
not there, such as photos that changed since they were registered, the engine computes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from formats.storage import StorageFailure, for_own_files, require_content
from formats.texts import Text
from jobs.crew import NotNeeded, threads, work_off
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.processes import Event, StandingProgram
from jobs.shards import Part, ShardLease, plan
from trainer import features as shared_features
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import WeightsError
from trainer.engine.photos.manifest import Photo
from trainer.models import PhotoSet
from trainer.programs import engine_command

if TYPE_CHECKING:
    from trainer.engine.networks.teacher import Teacher

WHOLE = "whole"  # the view that teachers and looks use
NO_TEACHER = nullcontext()


@dataclass(frozen=True)
class Asked:
    """A network, a view, and the photos that are to have a row in its folder of the cache. `name` is what
    people read; `request` tells the engine which network it is: see trainer.engine.feature_parts.
    """

    name: str
    request: dict[str, str]
    folder: Path
    photos: Sequence[Photo]


def of_backbone(name: str, view: str, photos: Sequence[Photo]) -> Asked:
    from trainer.engine.networks.features import folder_of  # ONNX Runtime: only in workers

    folder = folder_of(Path(settings.FEATURE_CACHE_DIR), BACKBONES[name], view)
    return Asked(f"{name}, {view}", {"backbone": name, "view": view}, folder, photos)


def of_teacher(words: str, teacher: Teacher, photos: Sequence[Photo]) -> Asked:
    """`words` name its model on every machine, as "model 3" does."""
    folder = teacher.folder(Path(settings.FEATURE_CACHE_DIR))
    return Asked(words, {"teacher": words, "view": WHOLE}, folder, photos)


def compute(lease: Lease, asked: Callable[[], Iterable[Asked]], *, kept_as: str, message: str) -> None:
    """Compute in shards what the cache lacks, if that is more than one shard, and store it in the bucket
    under the names `kept_as`: see trainer.features. Photo ids are keys of ScenePhoto. Raises what work_off
    raises.
    """
    if not lease.job.shards.unfinished().exists():
        with lease.long_step():  # reads the lists of all photos and of the cache
            parts = [part for one in asked() for part in _parts(one)]
        if len(parts) > 1:
            plan(lease, parts)
    if lease.job.shards.exists():
        with for_own_files():
            _mark(lease.job).parent.mkdir(parents=True, exist_ok=True)
            _forget_marks()
            _mark(lease.job).touch()
        try:
            work_off(lease, total=0, message=message)
        finally:  # also when this worker stops: the next holder may be another machine
            with suppress(StorageFailure), lease.long_step():
                shared_features.store(kept_as)
        _mark(lease.job).unlink(missing_ok=True)  # not after an error: another holder may need it


def _mark(job: Job) -> Path:
    """A file beside the cache. A machine that does not see it has another cache, and cannot help."""
    return Path(settings.FEATURE_CACHE_DIR) / f"{job.pk}.shared"


def _forget_marks() -> None:
    """Delete those whose holder died, and whose job ended on another machine."""
    live = set(map(str, Job.objects.filter(state__in=Job.LIVE).values_list("pk", flat=True)))
    for mark in Path(settings.FEATURE_CACHE_DIR).glob("*.shared"):
        if mark.stem not in live:
            mark.unlink(missing_ok=True)


def _parts(asked: Asked) -> list[Part]:
    from trainer.engine.networks.features import cached_hashes

    cached = cached_hashes(asked.folder)
    missing = [int(photo.photo_id) for photo in asked.photos if photo.sha256 not in cached]
    parts = []
    for at in range(0, len(missing), settings.SHARD_PHOTOS):
        some = missing[at : at + settings.SHARD_PHOTOS]
        label = Text(
            "%(network)s, photos %(first)s to %(last)s",
            network=asked.name,
            first=at + 1,
            last=at + len(some),
        )
        parts.append(Part(label, len(some), {"network": asked.request, "photos": some}))
    return parts


@contextmanager
def computing(
    job: Job,
    photo_set: PhotoSet,
    *,
    backbones: Iterable[str] = (),
    teacher: AbstractContextManager[Path | None] = NO_TEACHER,
) -> Iterator[Callable[[ShardLease], None]]:
    """The function that computes a shard, by an engine that stays for the next one. `backbones` are those
    whose weights must be here; `teacher` gives the folder of the model that requests call so, and is entered
    only where this machine can help, because it may fetch the model.
    """
    if not _mark(job).exists():
        raise NotNeeded
    root = photo_set.folder
    require_content(root)
    for name in backbones:
        try:
            BACKBONES[name].weights()
        except WeightsError as error:
            raise JobError(error.message, error.hint) from error
    arguments = ("features", "--cache", settings.FEATURE_CACHE_DIR, "--threads", threads())
    engine = StandingProgram(engine_command(*arguments))

    with teacher as folder, closing(engine):

        def compute_shard(lease: ShardLease) -> None:
            def on_event(event: Event) -> None:
                if event.get("event") == "progress" and event.get("phase") == "features":
                    lease.beat(event.get("done"))

            photos = _photos(photo_set, root, lease.payload["photos"])
            # A shard planned before teachers were asked in shards names its network beside the photos.
            request = lease.payload.get("network", lease.payload) | {"photos": photos}
            if "teacher" in request:
                request["teacher"] = str(folder)
            engine.ask(lease, request, on_event)

        yield compute_shard


def _photos(photo_set: PhotoSet, root: Path, keys: Sequence[int]) -> list[list[str]]:
    """As the engine reads them: file, SHA-256."""
    rows = photo_set.photos.filter(pk__in=keys).order_by("pk").values_list("path", "sha256")
    return [[str(root / path), sha256] for path, sha256 in rows]
