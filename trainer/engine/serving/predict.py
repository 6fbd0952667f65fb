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

from formats.json_text import from_json, to_json
from formats.names import normalize_name
from formats.storage import raise_if_of_storage, read_through
from trainer.engine import opening
from trainer.engine.errors import ModelError
from trainer.engine.evaluation.cascade import Limits, sure
from trainer.engine.evaluation.report import softmax
from trainer.engine.opening import Source, UnreadablePhotoError, open_photo
from trainer.engine.photos.manifest import batched
from trainer.engine.preprocess import Input, as_batch
from trainer.engine.serving.judge import further_hashtags, judge
from trainer.engine.serving.prepare import AS_IT_IS, Preparation, prepared

FORMAT = "scenetag-model/1"
CANDIDATES = 3
NO_NUMBER = "unsure: the model gave no finite numbers for this photo"
Scene = tuple[str, float] | None
Row = NDArray[np.float64]
Pixels = NDArray[np.uint8]  # of a photo and its copies (k, size, size, 3)


def joint_sha256(accurate: str, fast: str) -> str:
    """The hash that names a cascade, of the hashes of its two files."""
    return hashlib.sha256((accurate + fast).encode()).hexdigest()


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


class Answer(NamedTuple):
    """What a network says of a photo, before anybody judges it: probabilities (c,) and scene class.

    ``is_early``: the fast network of a cascade was sure, so its thresholds hold.
    """

    probabilities: Row
    scene: Scene
    is_early: bool = False


class Network:
    """One ONNX file: its session, the photos that it expects, and the names of its outputs.

    Raises ModelError if the file cannot be loaded. ``threads`` are ONNX Runtime's; ``batch`` is how many
    photos and copies it takes at once.
    """

    def __init__(self, file: Path, facts: Mapping[str, Any], *, threads: int, batch: int) -> None:
        self.batch = batch
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

    def answer(self, photos: Sequence[Pixels]) -> Iterator[tuple[Row, Scene]]:
        """For photos as ``prepared`` gives them, each with as many copies: probabilities (c,), averaged over
        the copies, and the likeliest scene class.
        """
        copies = [copy for photo in photos for copy in photo]
        runs = [
            self.session.run(None, {"photos": as_batch(part, self.input)})
            for part in batched(copies, self.batch)
        ]
        logits, *others = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        rows = _averaged(softmax(logits, self.temperature), len(photos))
        scenes = (
            self._scenes(_averaged(softmax(others[0]), len(photos))) if self.scenes else [None] * len(rows)
        )
        yield from zip(rows, scenes, strict=True)

    def _scenes(self, rows: Row) -> list[Scene]:
        """The likeliest scene class of each row (n, k), and its probability, which is not calibrated."""
        return [(self.scenes[at], round(float(row[at]), 4)) for row in rows for at in [int(row.argmax())]]


def _averaged(rows: Row, photos: int) -> Row:
    """Probabilities (n · k, c) of n photos in k copies → (n, c)."""
    mean: Row = rows.reshape(photos, -1, rows.shape[1]).mean(1)
    return mean


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
        # With one thread a batch is no faster and keeps 100 MB more, so a web worker predicts one by one.
        limits = {"threads": self.threads, "batch": self.batch if self.threads > 1 else 1}
        self.network = Network(folder / "model.onnx", self.manifest, **limits)
        self.scenes = self.network.scenes
        self.first: Network | None = None
        if facts := self.manifest.get("cascade"):
            self.first = Network(folder / "first.onnx", facts, **limits)
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
    ) -> Iterator[Suggestion]:
        """One suggestion per photo, in order. Photos are read from ``images`` a batch at a time.

        ``blocked`` is asked once a batch for the hashtags that must not be suggested; ``most`` is how many
        hashtags a photo may get.
        """
        iterator = iter(images)
        while chunk := list(islice(iterator, self.batch)):
            answers = self.answer(chunk, preparation)
            names = frozenset(blocked())
            for source, answer in zip(chunk, answers, strict=True):
                yield self.judge(answer, names, name=_name(source), most=most)

    def answer(self, photos: Sequence[Source], preparation: Preparation = AS_IT_IS) -> Iterator[Answer | str]:
        """What the model says of each photo, or why it cannot be read. All of them are in memory at once."""
        with ThreadPoolExecutor(self.threads) as threads:
            # With how long a photo may wait for memory, which only this thread knows.
            contexts = [copy_context() for _ in photos]
            decode = partial(self._decode, preparation=preparation)
            results = list(threads.map(Context.run, contexts, repeat(decode), photos))
        answers = self._answers([photo for photo in results if not isinstance(photo, str)])
        return (photo if isinstance(photo, str) else next(answers) for photo in results)

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
        if hashtag:
            hashtags += further_hashtags(hashtag, ranking, thresholds, blocked, most=most - 1)
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

    def _decode(self, source: Source, *, preparation: Preparation) -> tuple[Pixels, ...] | str:
        """The photo's pixels for each network, the accurate one's last; or why it cannot be read."""
        inputs = [network.input for network in (self.first, self.network) if network]
        try:
            with open_photo(source, size=max(spec.size for spec in inputs)) as photo:
                return tuple(prepared(photo, spec, preparation) for spec in inputs)
        except UnreadablePhotoError as error:
            return str(error)

    def _answers(self, photos: Sequence[tuple[Pixels, ...]]) -> Iterator[Answer]:
        for batch in batched(photos, self.batch if self.threads > 1 else 1):
            if self.first is None:
                yield from (Answer(*row) for row in self.network.answer([p[-1] for p in batch]))
            else:
                yield from self._in_two_steps(self.first, batch)

    def _in_two_steps(self, first: Network, photos: Sequence[tuple[Pixels, ...]]) -> Iterator[Answer]:
        early = [Answer(*row, is_early=True) for row in first.answer([p[0] for p in photos])]
        is_sure, _ = sure(np.stack([answer.probabilities for answer in early]), self.labels, self.limits)
        rest = [photo[-1] for photo, known in zip(photos, is_sure, strict=True) if not known]
        late = self.network.answer(rest) if rest else iter(())
        for answer, known in zip(early, is_sure, strict=True):
            yield answer if known else Answer(*next(late))


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
