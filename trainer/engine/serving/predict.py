"""Suggests hashtags for photos with an exported model, or gives the reason for silence. Imports no torch."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from formats.json_text import from_json
from formats.names import normalize_name
from formats.storage import raise_if_of_storage, read_through
from trainer.engine.errors import ModelError
from trainer.engine.evaluation.cascade import Limits, sure
from trainer.engine.evaluation.report import softmax
from trainer.engine.opening import Source, UnreadablePhotoError, open_photo
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.serving.judge import judge

FORMAT = "scenetag-model/1"
CANDIDATES = 3
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


class Answer(NamedTuple):
    """What a network says of a photo: probabilities (c,), scene class, and the thresholds for them."""

    probabilities: Row
    scene: Scene
    thresholds: Mapping[str, float]


class Network:
    """One ONNX file: its session, the photos that it expects, and the names of its outputs.

    Raises ModelError if the file cannot be loaded. Several threads may ask it at once. ``keeps_memory``: what
    an answer took is kept for the next ones.
    """

    def __init__(self, file: Path, facts: Mapping[str, Any], *, keeps_memory: bool) -> None:
        self.input = Input.from_dict(facts["input"])
        self.temperature = float(facts["temperature"])
        self.scenes: list[str] = list(facts.get("scenes", []))
        options = onnxruntime.SessionOptions()
        # Threads that share a photo wait for one another: docs/experiments.md, "The pace of suggestions".
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = keeps_memory
        try:
            self.session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own kinds, all private
            read_through(file)
            raise ModelError(f"{file.name} cannot be loaded: {str(error)[:200]}") from error

    def answer(self, pixels: Pixels) -> tuple[Row, Scene]:
        """For a photo as ``resized`` gives it: probabilities (c,) and the likeliest scene class."""
        logits, *others = self.session.run(None, {"photos": as_batch([pixels], self.input)})
        return softmax(logits, self.temperature)[0], self._scene(others[0]) if self.scenes else None

    def _scene(self, logits: NDArray[np.float32]) -> Scene:
        """The likeliest scene class of the one row (1, k), and its probability, which is not calibrated."""
        (row,) = softmax(logits)
        at = int(row.argmax())
        return self.scenes[at], round(float(row[at]), 4)


class Suggester:
    """A loaded model. ``suggest`` may be called from several threads at once.

    If it is a cascade, a fast network answers where it is sure, and only the other photos are given to the
    accurate one (trainer.engine.evaluation.cascade). Raises ModelError if the folder does not contain a
    complete model of a format we know. Each of its ``threads`` (None: one per core) opens a photo and asks
    the network about it; ``batch`` limits how many files or answers are in memory at once.
    """

    def __init__(self, model_dir: str | Path, *, threads: int | None = 1, batch: int = 16) -> None:
        folder = Path(model_dir)
        self.manifest = read_manifest(folder)
        self.labels = [normalize_name(label) for label in self.manifest["labels"]]
        self.thresholds = _by_name(self.manifest["thresholds"])
        self.batch = max(1, batch)
        self.threads = threads or os.cpu_count() or 1
        keeps_memory = self.threads > 1  # right for a command, too much for a web worker
        self.network = Network(folder / "model.onnx", self.manifest, keeps_memory=keeps_memory)
        self.scenes = self.network.scenes
        self.first: Network | None = None
        if facts := self.manifest.get("cascade"):
            self.first = Network(folder / "first.onnx", facts, keeps_memory=keeps_memory)
            self.limits = Limits(facts["temperature"], _by_name(facts["thresholds"]), facts["silent_below"])

    def suggest(
        self, images: Iterable[Source], *, blocked: Callable[[], Collection[str]] = no_hashtags
    ) -> Iterator[Suggestion]:
        """One suggestion per photo, in order. ``images`` is read at most a batch ahead.

        ``blocked`` is asked once a batch for the hashtags that must not be suggested.
        """
        iterator = iter(images)
        ahead: deque[tuple[str, Future[Answer | str]]] = deque()
        threads = ThreadPoolExecutor(self.threads)
        try:
            for at in count():
                for source in islice(iterator, self.batch - len(ahead)):
                    # With how long a photo may wait for memory, which only this thread knows.
                    run = copy_context().run
                    ahead.append((_name(source), threads.submit(run, self._answer, source)))
                if not ahead:
                    return
                name, future = ahead.popleft()
                answer = future.result()
                if at % self.batch == 0:
                    names = frozenset(blocked())
                yield (
                    _unreadable(name, answer) if isinstance(answer, str) else self._judge(name, answer, names)
                )
        finally:
            threads.shutdown(cancel_futures=True)

    def _answer(self, source: Source) -> Answer | str:
        """What the networks say of a photo; or why it cannot be read."""
        inputs = [network.input for network in (self.first, self.network) if network]
        try:
            with open_photo(source, size=max(spec.size for spec in inputs)) as photo:  # its memory is shared
                pixels = [resized(photo, spec) for spec in inputs]
        except UnreadablePhotoError as error:
            return str(error)
        if self.first:
            early = Answer(*self.first.answer(pixels[0]), self.limits.thresholds)
            is_sure, _ = sure(early.probabilities[np.newaxis], self.labels, self.limits)
            if is_sure[0]:
                return early
        return Answer(*self.network.answer(pixels[-1]), self.thresholds)

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


def _by_name(thresholds: Mapping[str, float]) -> dict[str, float]:
    """A model of old may spell a hashtag in a way that looks the same as ours and is not equal."""
    return {normalize_name(label): float(value) for label, value in thresholds.items()}


def _unreadable(name: str, reason: str) -> Suggestion:
    return Suggestion(name, None, None, f"unreadable: {reason}", (), {})


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
