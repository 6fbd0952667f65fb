"""Suggests hashtags for photos with an exported model, or gives the reason for silence. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from formats import spans
from formats.json_text import to_json
from formats.names import normalize_name
from formats.storage import read_through
from formats.texts import Text
from trainer.engine import opening
from trainer.engine.errors import ModelError, NoChecksError
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.cascade import Limits, sure
from trainer.engine.evaluation.checks import Check, evidence, read_checks
from trainer.engine.evaluation.report import softmax
from trainer.engine.manifests import read_manifest
from trainer.engine.opening import Source, UnreadablePhotoError, open_photo
from trainer.engine.preprocess import Input, as_batch
from trainer.engine.serving.judge import Ranking, further_hashtags, judge
from trainer.engine.serving.prepare import AS_IT_IS, Preparation, prepared

CANDIDATES = 3
UNREADABLE = "unreadable: "  # how the reason begins if a photo cannot be read
NO_NUMBER = "unsure: the model gave no finite numbers for this photo"
Scene = tuple[str, float] | None
Row = NDArray[np.float64]
Pixels = NDArray[np.uint8]  # of a photo and its copies (k, size, size, 3)
Watch = Callable[[str, float], object]


def nobody(part: str, seconds: float) -> None:
    """The default of ``Suggester``'s watch."""


def no_hashtags() -> Collection[str]:
    """The default of ``Suggester.suggest``: nothing is blocked."""
    return ()


@dataclass(frozen=True)
class Suggestion:
    """What the model says about one photo. If it stays silent, ``reason`` says why.

    ``hashtags`` are all that fit, with their probabilities; the first is ``hashtag``, and they are empty in
    silence. ``scene`` is the likeliest scene class with its probability, for models that predict scene
    classes.
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
    hashtags: tuple[tuple[str, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "hashtag": self.hashtag,
            "confidence": self.confidence,
            "reason": self.reason,
            "hashtags": [{"hashtag": name, "probability": p} for name, p in self.hashtags],
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
    """What a network says of a photo, before anybody judges it: probabilities (c,) and scene class.

    ``is_early``: the fast network of a cascade was sure, so its thresholds hold.
    """

    probabilities: Row
    scene: Scene
    is_early: bool = False


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
            raise ModelError(
                Text("%(file)s cannot be loaded: %(error)s", file=file.name, error=str(error)[:200])
            ) from error

    def answer(self, copies: Pixels) -> tuple[Row, Scene]:
        """For a photo as ``prepared`` gives it: probabilities (c,), averaged over its copies, and the
        likeliest scene class.
        """
        # One at a time: a batch is no faster in one thread, and takes more memory.
        runs = [self.session.run(None, {"photos": as_batch([one], self.input)}) for one in copies]
        outputs = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        row: Row = softmax(outputs[0], self.temperature).mean(0)
        return row, self._scene(softmax(outputs[1]).mean(0)) if self.scenes else None

    def _scene(self, row: Row) -> Scene:
        """The likeliest scene class of the row (k,), and its probability, which is not calibrated."""
        at = int(row.argmax())
        return self.scenes[at], round(float(row[at]), 4)


class Suggester:
    """A loaded model. ``suggest`` may be called from several threads at once.

    If it is a cascade, a fast network answers where it is sure, and only the other photos are given to the
    accurate one (trainer.engine.evaluation.cascade). Raises ModelError if the folder does not contain a
    complete model of a format we know. Each of its ``threads`` (None: one per core) opens a photo and asks
    the network about it; ``batch`` limits how many files or answers are in memory at once. ``watch``
    is told the seconds of each "decode" and "network".
    """

    def __init__(
        self, model_dir: str | Path, *, threads: int | None = 1, batch: int = 16, watch: Watch = nobody
    ) -> None:
        folder = Path(model_dir)
        self.watch = watch
        self.manifest = read_manifest(folder)
        self.labels = [normalize_name(label) for label in self.manifest["labels"]]
        self.thresholds = _by_name(self.manifest["thresholds"])
        self.batch = max(1, batch)
        self.threads = threads or os.cpu_count() or 1
        keeps_memory = self.threads > 1  # right for a command, too much for a web worker
        self.network = Network(folder / "model.onnx", self.manifest, keeps_memory=keeps_memory)
        self.scenes = self.network.scenes
        self.checks = self._read_checks()
        self.first: Network | None = None
        if facts := self.manifest.get("cascade"):
            self.first = Network(folder / "first.onnx", facts, keeps_memory=keeps_memory)
            self.limits = Limits(facts["temperature"], _by_name(facts["thresholds"]), facts["silent_below"])
        # Names all that an answer depends on, beside the photo and what is blocked.
        words = to_json(self.manifest, sort_keys=True) + f"\nopening {opening.VERSION}"
        self.digest = hashlib.sha256(words.encode()).hexdigest()

    def suggest(
        self,
        images: Iterable[Source],
        *,
        blocked: Callable[[], Collection[str]] = no_hashtags,
        most: int = 1,
        preparation: Preparation = AS_IT_IS,
        pool: ThreadPoolExecutor | None = None,
    ) -> Iterator[Suggestion]:
        """One suggestion per photo, in order. Photos are read from ``images`` a batch at a time.

        ``blocked`` is asked once a batch for the hashtags that must not be suggested; ``most`` is how many
        hashtags a photo may get. ``pool``: threads that are used instead of new ones, whose memory the system
        would have to give them anew for the first photos of each call.
        """
        answers = self._each(images, partial(self.answer, preparation=preparation), pool)
        for at, (name, answer) in enumerate(answers):
            if at % self.batch == 0:
                names = frozenset(blocked())
            yield self.judge(answer, names, name=name, most=most)

    def check(self, images: Iterable[Source]) -> Iterator[Fitting]:
        """One Fitting per photo, in order. Raises NoChecksError immediately if the model cannot check.

        In a cascade only the accurate network is asked: where the fast one is sure, it is sure of the
        likeliest hashtag, and says nothing of the others.
        """
        if self.checks is None:
            raise NoChecksError(
                Text("the model was exported without checks"), hint=Text("Export its run again.")
            )
        checks = self.checks
        answers = self._each(images, self._answer_accurately)
        return (self._fitting(name, answer, checks) for name, answer in answers)

    def _each(
        self,
        images: Iterable[Source],
        ask: Callable[[Source], Answer | str],
        pool: ThreadPoolExecutor | None = None,
    ) -> Iterator[tuple[str, Answer | str]]:
        """The name of each photo and what ``ask`` says of it, in order, while threads ask about the next."""
        iterator = iter(images)
        ahead: deque[tuple[str, Future[Answer | str]]] = deque()
        threads = pool or ThreadPoolExecutor(self.threads)
        try:
            while True:
                for source in islice(iterator, self.batch - len(ahead)):
                    # With how long a photo may wait for memory, which only this thread knows.
                    run = copy_context().run
                    ahead.append((_name(source), threads.submit(run, ask, source)))
                if not ahead:
                    return
                name, future = ahead.popleft()
                yield name, future.result()
        finally:
            for _, future in ahead:
                future.cancel()
            if pool is None:
                threads.shutdown()

    def answer(self, source: Source, preparation: Preparation = AS_IT_IS) -> Answer | str:
        """What the networks say of a photo; or why it cannot be read."""
        inputs = [network.input for network in (self.first, self.network) if network]
        pixels = self._open(source, inputs, preparation)
        return pixels if isinstance(pixels, str) else self._watched(self._ask, pixels)

    def _answer_accurately(self, source: Source) -> Answer | str:
        pixels = self._open(source, [self.network.input])
        return pixels if isinstance(pixels, str) else self._watched(self._ask_accurately, pixels)

    def _open(
        self, source: Source, inputs: Sequence[Input], preparation: Preparation = AS_IT_IS
    ) -> list[Pixels] | str:
        """The photo's pixels for each of the inputs; or why it cannot be read."""
        began = time.perf_counter()
        try:
            size = max(spec.size for spec in inputs)
            with spans.span("decode"), open_photo(source, size=size) as photo:  # its memory is shared
                return [prepared(photo, spec, preparation) for spec in inputs]
        except UnreadablePhotoError as error:
            return str(error)
        finally:
            self.watch("decode", time.perf_counter() - began)

    def _watched(self, ask: Callable[[Sequence[Pixels]], Answer], pixels: Sequence[Pixels]) -> Answer:
        began = time.perf_counter()
        try:
            with spans.span("network"):
                return ask(pixels)
        finally:
            self.watch("network", time.perf_counter() - began)

    def _fitting(self, name: str, answer: Answer | str, checks: Mapping[str, Check]) -> Fitting:
        if isinstance(answer, str):
            return Fitting(name, f"{UNREADABLE}{answer}", {}, ())
        row = answer.probabilities
        if not np.isfinite(row).all():
            return Fitting(name, NO_NUMBER, {}, ())
        ranking = tuple(self.labels[at] for at in np.argsort(-row, kind="stable"))
        return Fitting(name, None, self._chances(row, checks), ranking)

    def _read_checks(self) -> dict[str, Check] | None:
        """Raises ModelError if the manifest's checks are none of this model."""
        if (facts := self.manifest.get("checks")) is None:
            return None
        try:
            checks = {normalize_name(hashtag): check for hashtag, check in read_checks(facts).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                Text("manifest.json has checks that cannot be read: %(error)s", error=error)
            ) from error
        if not checks.keys() <= set(self.labels):
            raise ModelError(Text("manifest.json has checks of hashtags that are none of the model's labels"))
        return checks

    def _ask(self, pixels: Sequence[Pixels]) -> Answer:
        if self.first:
            early = Answer(*self.first.answer(pixels[0]), is_early=True)
            is_sure, _ = sure(early.probabilities[np.newaxis], self.labels, self.limits)
            if is_sure[0]:
                return early
        return self._ask_accurately(pixels)

    def _ask_accurately(self, pixels: Sequence[Pixels]) -> Answer:
        return Answer(*self.network.answer(pixels[-1]))

    def judge(
        self, answer: Answer | str, blocked: Collection[str], *, name: str = "", most: int = 1
    ) -> Suggestion:
        """What to suggest after this answer, or why nothing is suggested."""
        if isinstance(answer, str):
            return _unreadable(name, answer)
        row = answer.probabilities
        if not np.isfinite(row).all():
            return Suggestion(name, None, 0.0, NO_NUMBER, (), {})
        thresholds = self.limits.thresholds if answer.is_early else self.thresholds
        ranking = [(self.labels[at], float(row[at])) for at in np.argsort(-row, kind="stable")]
        hashtag, confidence, reason = judge(ranking, thresholds, blocked)
        hashtags = [(hashtag, confidence)] if hashtag else []
        if hashtag and most > 1:
            hashtags += further_hashtags(hashtag, *self._beside(answer, ranking), blocked, most=most - 1)
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
            hashtags=tuple((label, round(p, 4)) for label, p in hashtags),
        )

    def _beside(self, answer: Answer, ranking: Ranking) -> tuple[Ranking, Mapping[str, float]]:
        """What decides about a second hashtag: the probability that each fits, and from where on it does. A
        model without checks has only its labels' probabilities, and so has the fast network of a cascade.
        """
        if answer.is_early:
            return ranking, self.limits.thresholds
        if self.checks is None:
            return ranking, self.thresholds
        chances = self._chances(answer.probabilities, self.checks)
        # What is never suggested first is not suggested second either.
        limits = {name: max(one.fits_from, self._silenced(name)) for name, one in self.checks.items()}
        return sorted(chances.items(), key=lambda one: -one[1]), limits

    def _silenced(self, hashtag: str) -> float:
        """A limit that nothing reaches, for a hashtag that is never suggested; else 0."""
        threshold = self.thresholds.get(hashtag, NEVER)
        return threshold if threshold > 1 else 0.0

    def _chances(self, row: Row, checks: Mapping[str, Check]) -> dict[str, float]:
        """The probability that each hashtag fits, from the labels' probabilities (c,)."""
        numbers = dict(zip(self.labels, evidence(row[None])[0], strict=True))
        return {hashtag: check.probability(numbers[hashtag]) for hashtag, check in checks.items()}


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
