"""Carries out one run, from a job file to a report."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from formats.classes import is_outside
from formats.json_text import from_json
from formats.storage import raise_if_of_storage
from formats.texts import Text, as_words, joined_texts
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import NO_PHOTOS, PhotosError, RecipeError
from trainer.engine.evaluation import report
from trainer.engine.evaluation.calibrate import targets
from trainer.engine.evaluation.scenes import SCENES, SceneAnswers
from trainer.engine.evaluation.tta import average_copies
from trainer.engine.events import Progress, StopRequest, emit
from trainer.engine.networks.features import extract
from trainer.engine.networks.finetuned import build_network, input_of
from trainer.engine.networks.parts import Head, LabelLayer, build_head
from trainer.engine.networks.teacher import Teacher
from trainer.engine.photos.decoded import DecodedPhotos, side_for
from trainer.engine.photos.manifest import Photo, Split, labels_of, read_manifest, scene_groups, with_hashes
from trainer.engine.photos.partitions import split_for, train_only
from trainer.engine.photos.sources import FeatureSource, PhotoSource, Source
from trainer.engine.ranks import ALONE, Ranks, joined
from trainer.engine.recipe import Recipe, changed_settings
from trainer.engine.training import checkpoint, pseudo
from trainer.engine.training.board import Board
from trainer.engine.training.checkpoint import CheckpointError
from trainer.engine.training.extras import build_extras, measure
from trainer.engine.training.lock import only_trainer
from trainer.engine.training.loop import Trainer
from trainer.engine.training.room import require_room
from trainer.engine.training.schedule import photo_size
from trainer.engine.training.teaching import Lessons, Translation

FIRST, AGAIN = "first", "again"  # folders of the two trainings of a run with pseudo-labels


@dataclass(frozen=True)
class RunJob:
    recipe: Recipe
    photos: Path
    out: Path
    cache: Path
    partitions: Path | None = None  # folder of SUN397's Training_01.txt …
    unlabelled: Path | None = None  # folder or table of photos without labels; by default, the recipe's
    teacher: Path | None = None  # folder of a model; by default, the recipe's

    @classmethod
    def read(cls, path: Path) -> RunJob:
        """Read a job file: {"recipe": {…}, "photos": manifest, "out": folder, "cache": folder}.

        For SUN397's own partitions it also has "partitions", the folder of their lists; "unlabelled" may name
        the folder or table that the recipe's photos without labels stand for, and "teacher" the folder of
        its model. Raises RecipeError.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise_if_of_storage(error)
            raise RecipeError(
                "job", Text("%(file)s cannot be read: %(error)s", file=path.name, error=error)
            ) from error
        for key in ("recipe", "photos", "out", "cache"):
            if key not in data:
                raise RecipeError(key, Text("is missing from the job file"))
        photos, out, cache = (Path(data[key]) for key in ("photos", "out", "cache"))
        optional = (
            Path(data[key]) if data.get(key) else None for key in ("partitions", "unlabelled", "teacher")
        )
        return cls(Recipe.from_dict(data["recipe"]), photos, out, cache, *optional)


@dataclass(frozen=True)
class Names:
    """The names that a network's outputs stand for."""

    labels: list[str]
    scenes: list[str]
    groups: list[int]  # label index of every scene class

    def targets(self, photos: Sequence[Photo]) -> tuple[Tensor, Tensor]:
        label_of = {name: at for at, name in enumerate(self.labels)}
        scene_of = {name: at for at, name in enumerate(self.scenes)}
        return (
            torch.tensor([label_of[photo.label] for photo in photos], dtype=torch.long),
            torch.tensor([scene_of[photo.scene_class] for photo in photos], dtype=torch.long),
        )


def train(job: RunJob, stop: StopRequest) -> dict[str, Any]:
    """Train, or continue to train, and write best.pt, report.json and test_predictions.csv."""
    with joined(job.recipe.processes, job.recipe.nodes) as ranks, _only_trainer(job, stop, ranks):
        if (earlier_report := ranks.from_first(lambda: _read_earlier_report(job))) is None:
            return _train(job, stop, ranks)
        if job.recipe.pseudo_confidence:
            _remove_parts(job)  # a kill may have come before
        return earlier_report


def _only_trainer(job: RunJob, stop: StopRequest, ranks: Ranks) -> AbstractContextManager[None]:
    """The lock of the run's folder, which the first process takes for all."""
    return only_trainer(job.out, stop) if ranks.is_first else nullcontext()


def _read_earlier_report(job: RunJob) -> dict[str, Any] | None:
    """The report of a run that ended without its supervisor noticing. Its epochs are emitted again."""
    if not all((job.out / name).exists() for name in ("report.json", "best.pt", "test_predictions.csv")):
        return None
    if checkpoint.exists(job.out):
        return None
    content: dict[str, Any] = from_json((job.out / "report.json").read_text(encoding="utf-8"))
    if changes := changed_settings(content["recipe"], job.recipe):
        raise CheckpointError(
            Text(
                "%(name)s contains the result of another recipe: %(changes)s",
                name=job.out.name,
                changes=joined_texts(*changes, by="; "),
            ),
            hint=Text("Give another folder as out."),
        )
    for row in content["history"]:
        emit("epoch", **row, seconds_left=None)
    return content


def _train(job: RunJob, stop: StopRequest, ranks: Ranks) -> dict[str, Any]:
    start, recipe = time.monotonic(), job.recipe
    photos = ranks.from_first(lambda: with_hashes(read_manifest(job.photos), stop))
    if not photos:
        raise PhotosError(Text("none of the photos' files can be read"), hint=NO_PHOTOS)
    names = Names(labels_of(photos), *scene_groups(photos, labels_of(photos)))
    split = split_for(photos, recipe, job.partitions)
    emit(
        "started",
        photos=len(photos),
        train=len(split.train),
        test=len(split.test),
        labels=names.labels,
        resumed=checkpoint.exists(job.out) or checkpoint.exists(job.out / FIRST),
        environment=environment(),
    )
    only_trained = train_only(split)
    if only_trained:
        emit("train_only", classes=only_trained)
    lessons: Lessons | None = None
    if recipe.teacher_weight:
        split, lessons = _asked_teacher(job, split, names, photos, stop)
    with Board(job.out / "tensorboard") as board, _decoded_once(job, split) as decoded:
        plan = Plan(job, photos, names, stop, start, only_trained, decoded, ranks, lessons)
        if recipe.pseudo_confidence:
            return _train_twice(plan, split, board)
        trainer = plan.trained(split, job.out, board)
        facts = {"teacher": lessons.facts(split.train)} if lessons else {}
        content = _finish(trainer, plan, board, **facts)
        if ranks.is_first:
            checkpoint.remove(job.out)
        return content


@dataclass(frozen=True)
class Plan:
    """What all trainings of a run share."""

    job: RunJob
    photos: list[Photo]
    names: Names
    stop: StopRequest
    start: float  # when the run began, by the monotonic clock
    only_trained: list[str]
    decoded: Decoded | None = None  # the photos' pixels, if the recipe has a photo_cache
    ranks: Ranks = ALONE
    lessons: Lessons | None = None  # if the recipe has a teacher

    def trained(self, split: Split, out: Path, board: Board, *, phase: str = "") -> Trainer:
        """Train on the split in the folder ``out``. The trainer that comes back has the best.pt's weights."""
        names, recipe = self.names, self.job.recipe
        torch.manual_seed(recipe.seed)
        job = replace(self.job, out=out)
        network, source = _prepare(job, split, names, self.stop, self.decoded, self.ranks, self.lessons)
        extras = build_extras(recipe, network, source, self.photos, names.scenes, len(names.labels))
        trainer = Trainer(
            recipe,
            network,
            source,
            out,
            identity={"labels": names.labels, "scene_classes": names.scenes, "groups": names.groups},
            stop=self.stop,
            board=board,
            extras=extras,
            phase=phase,
        )
        if self.ranks.is_first:
            require_room(out, trainer)
        trainer.run()
        trainer.load(self.ranks.from_first(lambda: checkpoint.load(out / "best.pt")))
        return trainer


def _asked_teacher(
    job: RunJob, split: Split, names: Names, photos: Sequence[Photo], stop: StopRequest
) -> tuple[Split, Lessons]:
    """What the teacher says of the training photos, and of new ones without labels, which join them."""
    recipe = job.recipe
    teacher = Teacher.read(job.teacher or Path(recipe.teacher))
    translation = Translation.of(teacher, names.labels, names.scenes, names.groups)
    new: list[Photo] = []
    if place := job.unlabelled or recipe.unlabelled.strip():
        found = pseudo.read_unlabelled(Path(place))
        new = pseudo.without_known(with_hashes(found, stop), photos)
    asked = [*split.train, *new]
    rows = teacher.logits(asked, job.cache, stop=stop, skipped=tells_skipped())
    lessons = Lessons(recipe, teacher, translation, rows, frozenset(photo.sha256 for photo in new))
    return Split((*split.train, *lessons.named(new)), split.test), lessons


def _train_twice(plan: Plan, split: Split, board: Board) -> dict[str, Any]:
    """Train, give photos without labels those that the first training is sure about, and train again with
    them; the better of both trainings is the run's.
    """
    job = plan.job
    # Before the hours of a training: the place may hold no photos.
    found = pseudo.read_unlabelled(job.unlabelled or Path(job.recipe.unlabelled))
    first = plan.trained(split, job.out / FIRST, board)
    first.save()  # a run that is killed from here on does not train it again
    first_logits, true = first.test()
    unlabelled, labelled = _pseudo_labels(plan, split, first, found)
    facts = {
        "unlabelled": len(unlabelled),
        "labelled": len(labelled),
        "labels": pseudo.count_labels(labelled),
    }
    emit("pseudo_labels", unlabelled=len(unlabelled), labelled=len(labelled))
    kept, comparison = first, pseudo.compare(first_logits, first_logits, true)
    if labelled:
        with Board(job.out / "tensorboard" / AGAIN) as second_board:
            longer = Split((*split.train, *labelled), split.test)
            again = plan.trained(longer, job.out / AGAIN, second_board, phase="training again")
            comparison = pseudo.compare(first_logits, again.test()[0], true)
        if comparison["kept"]:
            kept = again
            again.tell_epochs()
    emit("compared", **{name: comparison[name] for name in ("only_first", "only_again", "p", "kept")})
    checkpoint.save(job.out / "best.pt", checkpoint.load(kept.out / "best.pt"))
    content = _finish(kept, plan, board, pseudo_labels=facts | comparison)
    _remove_parts(job)
    return content


def _pseudo_labels(
    plan: Plan, split: Split, first: Trainer, found: Sequence[Photo]
) -> tuple[list[Photo], list[Photo]]:
    """Of the photos ``found`` those that are new and can be read, and of these those that the first training
    is sure about.
    """
    job, names = plan.job, plan.names
    # Any label will do: they stand where the held-out photos stand, and are not compared with it.
    new = [
        replace(photo, label=names.labels[0], scene_class=names.scenes[0])
        for photo in pseudo.without_known(with_hashes(found, plan.stop), plan.photos)
    ]
    if not new:
        return [], []
    _, source = _prepare(replace(job, out=first.out), Split(split.train, tuple(new)), names, plan.stop, None)
    logits, scenes = first.answers(source.test_batches())
    labelled = pseudo.label_confident(
        source.test_photos,
        logits,
        scenes,
        names=(names.labels, names.scenes, names.groups),
        confidence=job.recipe.pseudo_confidence,
    )
    return list(source.test_photos), labelled


def _remove_parts(job: RunJob) -> None:
    """Remove the folders of the two trainings of a run with pseudo-labels."""
    for name in (FIRST, AGAIN):
        shutil.rmtree(job.out / name, ignore_errors=True)


def _finish(trainer: Trainer, plan: Plan, board: Board, **facts: Any) -> dict[str, Any]:
    """Write the report, with these facts added, and the predictions of a trainer with the kept weights."""
    source, names, out = trainer.source, plan.names, plan.job.out
    logits, true = trainer.test()
    content = report.build_report(
        logits,
        true,
        names.labels,
        train_photos=source.readable_count,
        test_photos=len(true),
        train_only=plan.only_trained,
        epochs=trainer.at.epoch,
        seconds=round(time.monotonic() - plan.start, 1),
        training_seconds=round(trainer.at.seconds, 1),
        device=str(trainer.device),
        recipe=plan.job.recipe.as_dict(),
        history=trainer.at.history,
        best_epoch=trainer.at.best_epoch,
        stopped_early=trainer.stopped_early,
        stopped_early_words=as_words(trainer.stopped_early or ""),
        tta=_test_augmented(trainer, source, true),
        environment={**environment(), "precision": trainer.precision.name},
        scene_costs=report.scene_costs(source.test_photos, logits, names.labels),
        targets=targets(
            logits,
            true,
            names.labels,
            outside=np.array([is_outside(photo.scene_class) for photo in source.test_photos]),
        ),
        **measure(trainer.extras, source, trainer.test_outputs),
        **facts,
    )
    if not trainer.ranks.is_first:
        return content
    _keep_scenes(trainer, out / SCENES)
    report.write_predictions(out / "test_predictions.csv", source.test_photos, logits, names.labels)
    report.write_json(out / "report.json", content)
    board.results(trainer.step, content["confusion"], names.labels, source.test_photos, logits)
    return content


def _keep_scenes(trainer: Trainer, file: Path) -> None:
    """Write what the network says of the test photos' scene classes, if its labels are sums of these."""
    source = trainer.source
    if cast(LabelLayer, trainer.network[-1]).groups is None or not isinstance(source, FeatureSource):
        return
    _, scenes = trainer.answers(source.test_batches())
    assert scenes is not None
    trained = torch.bincount(source.scenes, minlength=scenes.shape[1]).numpy()
    SceneAnswers.of(scenes, source.test_scenes.numpy(), trained).write(file)


def _test_augmented(trainer: Trainer, source: Source, true: np.ndarray[Any, Any]) -> dict[str, Any] | None:
    """The accuracies with test-time augmentation, or None. An exported model does not use it."""
    recipe = trainer.recipe
    if not recipe.tta or not isinstance(source, PhotoSource):
        return None
    logits = average_copies(trainer.predict, source, copies=recipe.tta, strength=recipe.tta_strength)
    return {"copies": recipe.tta, **report.both_accuracies(logits, true)}


Decoded = tuple[DecodedPhotos, DecodedPhotos]


@contextmanager
def _decoded_once(job: RunJob, split: Split) -> Iterator[Decoded | None]:
    """If the recipe asks for it, the training photos' and the test photos' pixels, while the block runs."""
    recipe = job.recipe
    if not recipe.photo_cache:
        yield None
        return
    side = side_for(recipe.image_size, recipe.augment)
    room = recipe.photo_cache
    train = DecodedPhotos(job.out / "train.pixels", split.train, side, megabytes=room)
    left = room - train.count * train.bytes / 1_000_000
    try:
        test = DecodedPhotos(job.out / "test.pixels", split.test, recipe.image_size, megabytes=left)
        try:
            yield train, test
        finally:
            test.remove()
    finally:
        train.remove()


def _prepare(
    job: RunJob,
    split: Split,
    names: Names,
    stop: StopRequest,
    decoded: Decoded | None,
    ranks: Ranks = ALONE,
    lessons: Lessons | None = None,
) -> tuple[nn.Sequential, Source]:
    """The network, and the source of its batches."""
    recipe = job.recipe
    if recipe.kind == "frozen":
        return _prepare_frozen(job, split, names, stop, lessons)
    source = PhotoSource(
        split.train,
        split.test,
        {name: at for at, name in enumerate(names.labels)},
        {name: at for at, name in enumerate(names.scenes)},
        spec=input_of(recipe),
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        num_workers=recipe.num_workers,
        augment=recipe.augment,
        balanced_sampling=recipe.balanced_sampling,
        size_of=lambda epoch: photo_size(recipe, epoch=epoch),
        decoded=decoded,
        ranks=ranks,
        taught=lessons.of(split.train) if lessons else None,
    )
    continues = ranks.from_first(lambda: checkpoint.exists(job.out))
    network = build_network(recipe, len(names.labels), pretrained=not continues)
    _check_size(network, recipe)
    _set_prior(network, names.targets(split.train)[0], recipe)
    return network, source


def _check_size(network: nn.Module, recipe: Recipe) -> None:
    """Raises RecipeError if photos are to grow and the network takes one size only."""
    if not recipe.first_size:
        return
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, recipe.first_size, recipe.first_size))
    except (AssertionError, RuntimeError) as error:
        raise RecipeError(
            "first_size",
            Text("%(network)s takes photos of one size only: leave it at 0", network=recipe.network),
            hint=str(error)[:200],
        ) from error


def _prepare_frozen(
    job: RunJob, split: Split, names: Names, stop: StopRequest, lessons: Lessons | None
) -> tuple[nn.Sequential, Source]:
    recipe, skip = job.recipe, tells_skipped()
    total = (len(split.train) * len(recipe.views) + len(split.test)) * len(recipe.backbones)
    progress = Progress("features", total)

    def features(photos: Sequence[Photo], view: str) -> list[dict[str, Any]]:
        return [
            extract(photos, BACKBONES[name], view, job.cache, stop=stop, progress=progress, skipped=skip)
            for name in recipe.backbones
        ]

    by_view = {view: features(split.train, view) for view in recipe.views}
    test_rows = features(split.test, "whole")
    train_photos = _complete(split.train, [rows for view in recipe.views for rows in by_view[view]])
    test_photos = _complete(split.test, test_rows)
    train = torch.stack([_matrix(train_photos, by_view[view]) for view in recipe.views])
    torch.manual_seed(
        recipe.seed
    )  # extraction may use random numbers, and cached features must train the same head
    head = build_head(recipe, names.groups, len(names.labels))
    cast(Head, head[0]).standardise_by(train.flatten(0, 1).float())
    labels, scenes = names.targets(train_photos)
    source = FeatureSource(
        train,
        _matrix(test_photos, test_rows),
        (labels, scenes, *names.targets(test_photos)),
        test_photos,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        taught=lessons.of(train_photos) if lessons else None,
    )
    _set_prior(head, labels, recipe)
    return head, source


def tells_skipped() -> Callable[[Photo, str], None]:
    """Tells of each photo once that it is skipped; raises StorageFailure if its root is away."""
    bad: set[str] = set()

    def skip(photo: Photo, reason: str) -> None:
        photo.require_root()
        if photo.photo_id not in bad:
            bad.add(photo.photo_id)
            emit("skipped", photo_id=photo.photo_id, reason=reason)

    return skip


def _set_prior(network: nn.Sequential, labels: Tensor, recipe: Recipe) -> None:
    last = cast(LabelLayer, network[-1])
    # Weighted or drawn by their labels, photos teach that labels are more alike already.
    taught = recipe.weighted_loss + recipe.balanced_sampling
    last.set_prior(torch.bincount(labels, minlength=len(last.shift)), recipe.balance - taught)


def _complete(photos: Sequence[Photo], rows: Sequence[dict[str, Any]]) -> list[Photo]:
    """The photos that have features in all parts. Raises PhotosError if there are none."""
    complete_photos = [photo for photo in photos if all(photo.sha256 in part for part in rows)]
    if not complete_photos:
        raise PhotosError(Text("none of the photos can be decoded"), hint=NO_PHOTOS)
    return complete_photos


def _matrix(photos: Sequence[Photo], rows: Sequence[dict[str, Any]]) -> Tensor:
    """(n, f) float16: the features of each photo, those of several backbones side by side."""
    return torch.from_numpy(np.concatenate([np.stack([part[p.sha256] for p in photos]) for part in rows], 1))


def environment() -> dict[str, Any]:
    """The versions and device behind the figures: the same recipe may differ only by these."""
    torchvision = importlib.metadata.version("torchvision")
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision,
        "device": name,
        "threads": torch.get_num_threads(),
    }
