"""Suggests hashtags for photos with an exported model, or gives the reason for silence. Imports no torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from formats.json_text import from_json
from formats.names import normalize_name
from formats.storage import raise_if_of_storage, read_through
from trainer.engine.errors import ModelError, NoChecksError
from trainer.engine.evaluation.cascade import Limits, sure
from trainer.engine.evaluation.checks import Check, evidence, read_checks
from trainer.engine.evaluation.report import softmax
from trainer.engine.opening import Source, UnreadablePhotoError, open_photo
from trainer.engine.photos.manifest import batched
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.serving.judge import judge

FORMAT = "scenetag-model/1"
CANDIDATES = 3
UNREADABLE = "unreadable: "  # how the reason begins if a photo cannot be read
NO_NUMBER = "unsure: the model gave no finite numbers for this photo"
Scene = tuple[str, float] | None
Row = NDArray[np.float64]
Pixels = NDArray[np.uint8]


def joint_sha256(accurate: str, fast: str) -> str:
    """The hash that names a cascade, of the hashes of its two files."""
    return hashlib.sha256((accurate + fast).encode()).hexdigest()


def no_hashtags() -> Collection[str]:
    """The default of ``Suggester.suggest``: nothing is blocked."""
    return ()


@dataclass(frozen=True)
class Suggestion:
    """What the model says about one photo. If it stays silent, ``reason`` says why.

    ``scene`` is the likeliest scene class with its probability, for models that predict scene classes.
    ``candidates`` are the likeliest labels that are not blocked; ``passed_over`` are blocked ones that are
    likelier than the last of these. ``probabilities`` have every label.
    """

    file: str
    hashtag: str | None
    confidence: float | None
    reason: str | None
    candidates: tuple[tuple[str, float], ...]
    probabilities: dict[str, float]
    scene: Scene = None
    passed_over: tuple[tuple[str, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "hashtag": self.hashtag,
            "confidence": self.confidence,
            "reason": self.reason,
            "candidates": [{"hashtag": name, "probability": p} for name, p in self.candidates],
        }


@dataclass(frozen=True)
class Fitting:
    """The probability that each hashtag of the model fits one photo, and the labels, likeliest first. If the
    photo cannot be read, or the network gives no numbers, both are empty and ``reason`` says why.
    """

    file: str
    reason: str | None
    probabilities: dict[str, float]
    ranking: tuple[str, ...]


class Answer(NamedTuple):
    """What a network says of a photo: probabilities (c,), scene class, and the thresholds for them."""

    probabilities: Row
    scene: Scene
    thresholds: Mapping[str, float]


class Network:
    """One ONNX file: its session, the photos that it expects, and the names of its outputs.

    Raises ModelError if the file cannot be loaded. ``threads`` are ONNX Runtime's.
    """

    def __init__(self, file: Path, facts: Mapping[str, Any], *, threads: int) -> None:
        self.input = Input.from_dict(facts["input"])
        self.temperature = float(facts["temperature"])
        self.scenes: list[str] = list(facts.get("scenes", []))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # An arena keeps its peak memory: right for a command, too much for a web worker.
        options.enable_cpu_mem_arena = threads > 1
        try:
            self.session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own kinds, all private
            read_through(file)
            raise ModelError(f"{file.name} cannot be loaded: {str(error)[:200]}") from error

    def answer(self, pixels: Sequence[Pixels]) -> Iterator[tuple[Row, Scene]]:
        """For photos as ``resized`` gives them: probabilities (c,) and the likeliest scene class of each."""
        logits, *others = self.session.run(None, {"photos": as_batch(pixels, self.input)})
        scenes = self._scenes(others[0]) if self.scenes else [None] * len(logits)
        yield from zip(softmax(logits, self.temperature), scenes, strict=True)

    def _scenes(self, logits: NDArray[np.float32]) -> list[Scene]:
        """The likeliest scene class of each row (n, k), and its probability, which is not calibrated."""
        rows = softmax(logits)
        return [(self.scenes[at], round(float(row[at]), 4)) for row in rows for at in [int(row.argmax())]]


class Suggester:
    """A loaded model. ``suggest`` may be called from several threads at once.

    If it is a cascade, a fast network answers where it is sure, and only the other photos are given to the
    accurate one (trainer.engine.evaluation.cascade). Raises ModelError if the folder does not contain a
    complete model of a format we know. ``threads`` is for ONNX Runtime (None: one per core); ``batch`` limits
    how many photos are in memory at once.
    """

    def __init__(self, model_dir: str | Path, *, threads: int | None = 1, batch: int = 16) -> None:
        folder = Path(model_dir)
        self.manifest = read_manifest(folder)
        self.labels = [normalize_name(label) for label in self.manifest["labels"]]
        self.thresholds = _by_name(self.manifest["thresholds"])
        self.batch = max(1, batch)
        self.threads = threads or os.cpu_count() or 1
        self.network = Network(folder / "model.onnx", self.manifest, threads=self.threads)
        self.scenes = self.network.scenes
        self.checks = self._read_checks()
        self.first: Network | None = None
        if facts := self.manifest.get("cascade"):
            self.first = Network(folder / "first.onnx", facts, threads=self.threads)
            self.limits = Limits(facts["temperature"], _by_name(facts["thresholds"]), facts["silent_below"])

    def suggest(
        self, images: Iterable[Source], *, blocked: Callable[[], Collection[str]] = no_hashtags
    ) -> Iterator[Suggestion]:
        """One suggestion per photo, in order. Photos are read from ``images`` a batch at a time.

        ``blocked`` is asked once a batch for the hashtags that must not be suggested.
        """
        inputs = [network.input for network in (self.first, self.network) if network]
        for chunk, results in self._decoded(images, inputs):
            answers = self._answers([photo for photo in results if not isinstance(photo, str)])
            names = frozenset(blocked())
            for source, photo in zip(chunk, results, strict=True):
                name = _name(source)
                yield (
                    _unreadable(name, photo)
                    if isinstance(photo, str)
                    else self._judge(name, next(answers), names)
                )

    def check(self, images: Iterable[Source]) -> Iterator[Fitting]:
        """One Fitting per photo, in order. Raises NoChecksError immediately if the model cannot check.

        In a cascade only the accurate network is asked: where the fast one is sure, it is sure of the
        likeliest hashtag, and says nothing of the others.
        """
        if self.checks is None:
            raise NoChecksError("the model was exported without checks", hint="Export its run again.")
        return self._check(images, self.checks)

    def _check(self, images: Iterable[Source], checks: Mapping[str, Check]) -> Iterator[Fitting]:
        for chunk, results in self._decoded(images, [self.network.input]):
            for source, photo in zip(chunk, results, strict=True):
                if isinstance(photo, str):
                    yield Fitting(_name(source), f"{UNREADABLE}{photo}", {}, ())
                    continue
                [(row, _)] = self.network.answer(photo)
                yield self._fitting(_name(source), row, checks)

    def _fitting(self, name: str, row: Row, checks: Mapping[str, Check]) -> Fitting:
        if not np.isfinite(row).all():
            return Fitting(name, NO_NUMBER, {}, ())
        numbers = dict(zip(self.labels, evidence(row[None])[0], strict=True))
        return Fitting(
            name,
            None,
            {hashtag: check.probability(numbers[hashtag]) for hashtag, check in checks.items()},
            tuple(self.labels[at] for at in np.argsort(-row, kind="stable")),
        )

    def _read_checks(self) -> dict[str, Check] | None:
        """Raises ModelError if the manifest's checks are none of this model."""
        if (facts := self.manifest.get("checks")) is None:
            return None
        try:
            checks = {normalize_name(hashtag): check for hashtag, check in read_checks(facts).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"manifest.json has checks that cannot be read: {error}") from error
        if not checks.keys() <= set(self.labels):
            raise ModelError("manifest.json has checks of hashtags that are none of the model's labels")
        return checks

    def _decoded(
        self, images: Iterable[Source], inputs: Sequence[Input]
    ) -> Iterator[tuple[list[Source], list[tuple[Pixels, ...] | str]]]:
        """A batch of photos at a time: the pixels of each for each input, or why it cannot be read."""
        iterator = iter(images)
        with ThreadPoolExecutor(self.threads) as threads:
            while chunk := list(islice(iterator, self.batch)):
                # With how long a photo may wait for memory, which only this thread knows.
                contexts = [copy_context() for _ in chunk]
                decode = repeat(partial(_decode, inputs=inputs))
                yield chunk, list(threads.map(Context.run, contexts, decode, chunk))

    def _answers(self, photos: Sequence[tuple[Pixels, ...]]) -> Iterator[Answer]:
        # With one thread a batch is no faster and keeps 100 MB more, so a web worker predicts one by one.
        for batch in batched(photos, self.batch if self.threads > 1 else 1):
            if self.first is None:
                yield from (
                    Answer(*row, self.thresholds) for row in self.network.answer([p[-1] for p in batch])
                )
            else:
                yield from self._in_two_steps(self.first, batch)

    def _in_two_steps(self, first: Network, photos: Sequence[tuple[Pixels, ...]]) -> Iterator[Answer]:
        early = [Answer(*row, self.limits.thresholds) for row in first.answer([p[0] for p in photos])]
        is_sure, _ = sure(np.stack([answer.probabilities for answer in early]), self.labels, self.limits)
        rest = [photo[-1] for photo, known in zip(photos, is_sure, strict=True) if not known]
        late = self.network.answer(rest) if rest else iter(())
        for answer, known in zip(early, is_sure, strict=True):
            yield answer if known else Answer(*next(late), self.thresholds)

    def _judge(self, name: str, answer: Answer, blocked: frozenset[str]) -> Suggestion:
        row = answer.probabilities
        if not np.isfinite(row).all():
            return Suggestion(name, None, 0.0, NO_NUMBER, (), {})
        ranking = [(self.labels[at], float(row[at])) for at in np.argsort(-row, kind="stable")]
        hashtag, confidence, reason = judge(ranking, answer.thresholds, blocked)
        offered = [at for at, (label, _) in enumerate(ranking) if label not in blocked][:CANDIDATES]
        likeliest = [(label, round(p, 4)) for label, p in ranking[: offered[-1] + 1 if offered else None]]
        return Suggestion(
            file=name,
            hashtag=hashtag,
            confidence=round(confidence, 4),
            reason=reason,
            candidates=tuple(one for one in likeliest if one[0] not in blocked),
            probabilities={label: float(p) for label, p in zip(self.labels, row, strict=True)},
            scene=answer.scene,
            passed_over=tuple(one for one in likeliest if one[0] in blocked),
        )


def _decode(source: Source, inputs: Sequence[Input]) -> tuple[Pixels, ...] | str:
    """The photo's pixels for each of the inputs; or why it cannot be read."""
    try:
        with open_photo(source, size=max(spec.size for spec in inputs)) as photo:
            return tuple(resized(photo, spec) for spec in inputs)
    except UnreadablePhotoError as error:
        return str(error)


def _by_name(thresholds: Mapping[str, float]) -> dict[str, float]:
    """A model of old may spell a hashtag in a way that looks the same as ours and is not equal."""
    return {normalize_name(label): float(value) for label, value in thresholds.items()}


def _unreadable(name: str, reason: str) -> Suggestion:
    return Suggestion(name, None, None, f"{UNREADABLE}{reason}", (), {})


def _name(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", ""))
    return str(getattr(source, "name", ""))


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a model folder says of its model. Raises ModelError, StorageFailure."""
    try:
        manifest = from_json((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise_if_of_storage(error, folder.parent)
        raise ModelError(f"there is no model in {folder}") from None
    except (OSError, ValueError) as error:
        raise_if_of_storage(error)
        raise ModelError(f"manifest.json cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError("manifest.json has a format that this version does not know")
    return manifest
