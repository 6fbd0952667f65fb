"""What networks say of a run's photos, computed in shards before its trainer starts: features of frozen
backbones, the longest part of a frozen run, and the answers of a teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from formats.classes import label_in
from formats.texts import Text, text_of
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.shards import ShardLease
from trainer import feature_shards
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import EngineError
from trainer.engine.photos.manifest import Photo, Split, labels_of, scene_groups
from trainer.engine.photos.partitions import split_for
from trainer.engine.recipe import Recipe
from trainer.feature_shards import WHOLE, Asked
from trainer.models import TrainingRun
from trainer.runs import teachers

if TYPE_CHECKING:
    from trainer.engine.networks.teacher import Teacher


def compute(lease: Lease, run: TrainingRun, teacher: Teacher | None) -> None:
    """Compute in shards what the cache lacks. `teacher` is the run's, if it has one. Raises what work_off
    raises, and JobError.
    """
    backbones = _backbones(run)
    if backbones or teacher:
        message = Text("Computing features") if backbones else Text("Asking the teacher")
        names = kept_as(run, teacher)
        feature_shards.compute(lease, lambda: _asked(run, teacher), kept_as=names, message=message)


def read_teacher(folder: Path | None) -> Teacher | None:
    """The model in the folder, all of which is read. Raises JobError and StorageFailure."""
    if folder is None:
        return None
    from trainer.engine.networks.teacher import Teacher  # ONNX Runtime: only in workers

    with _told():
        return Teacher.read(folder)


def kept_as(run: TrainingRun, teacher: Teacher | None) -> str:
    """The names of what the run computes or finds in the cache, joined by "+": see trainer.features. Raises
    JobError.
    """
    return "+".join([*_backbones(run), *([teacher.kept_as] if teacher else ())])


def _backbones(run: TrainingRun) -> Sequence[str]:
    """Those whose features are kept. Raises JobError."""
    if run.recipe.get("kind") != "frozen":
        return ()
    names = _recipe(run).backbones
    return names if BACKBONES.keys() >= set(names) else ()


def _recipe(run: TrainingRun) -> Recipe:
    with _told():
        return Recipe.from_dict(run.recipe)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        raise JobError(error.message, error.hint) from error


def _asked(run: TrainingRun, teacher: Teacher | None) -> Iterator[Asked]:
    recipe, photos = _recipe(run), _labelled(run)
    split = _split(photos, recipe)
    for name in _backbones(run):
        for view in dict.fromkeys((*recipe.views, WHOLE)):
            seen = [
                *(split.train if view in recipe.views else ()),
                *(split.test if view == WHOLE else ()),
            ]
            yield feature_shards.of_backbone(name, view, seen)
    # Held-out photos are never asked about; of photos without labels the trainer asks.
    if teacher and not recipe.split.startswith("sun-"):
        with _told():  # the trainer does so, too, but only now is it before the hours of asking
            labels = labels_of(photos)
            teacher.columns(labels, scene_groups(photos, labels)[0])
        yield feature_shards.of_teacher(recipe.teacher, teacher, split.train)


def _labelled(run: TrainingRun) -> list[Photo]:
    """The photos that have a label of the run's release."""
    labels = dict(run.release.labels.values_list("scene_key", "label"))
    columns = ("pk", "path", "sha256", "scene_class__key", "label_folder")
    return [
        Photo(str(pk), path, label, key or folder, sha256)
        for pk, path, sha256, key, folder in run.photo_set.photos.order_by("pk").values_list(*columns)
        if (label := label_in(labels, key, folder))
    ]


def _split(photos: Sequence[Photo], recipe: Recipe) -> Split:
    """The split that the trainer will make. An official one is not made here: then all photos are needed
    whole, and the trainer computes other views.
    """
    if recipe.split.startswith("sun-"):
        return Split((), tuple(photos))
    try:
        return split_for(photos, recipe, None)
    except EngineError:  # the trainer will say so
        return Split((), ())


@contextmanager
def computing(job: Job) -> Iterator[Callable[[ShardLease], None]]:
    """The function that computes a shard of the run's photos."""
    run = TrainingRun.objects.select_related("photo_set").get(job=job)
    backbones, teacher = _backbones(run), at_hand(run)
    with feature_shards.computing(job, run.photo_set, backbones=backbones, teacher=teacher) as compute_shard:
        yield compute_shard


@contextmanager
def at_hand(run: TrainingRun) -> Iterator[Path | None]:
    """The folder of the model that the run learns from, if any; its files stay for the block. Raises
    JobError.
    """
    words = run.recipe.get("teacher", "")
    with ExitStack() as held:
        try:
            folder = held.enter_context(teachers.at_hand(words)) if words else None
        except teachers.NoTeacher as error:
            raise JobError(text_of(error), Text("Choose another teacher, or none.")) from error
        yield folder
