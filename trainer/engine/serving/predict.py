"""Suggests hashtags for photos with an exported model, or gives the reason for silence. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from formats.json_text import from_json
from formats.names import normalize_name
from formats.storage import raise_if_of_storage, read_through
from trainer.engine.errors import ModelError
from trainer.engine.evaluation.report import softmax
from trainer.engine.opening import Source, UnreadablePhotoError, open_photo
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.serving.judge import judge

FORMAT = "scenetag-model/1"
CANDIDATES = 3
NO_NUMBER = "unsure: the model gave no finite numbers for this photo"
Scene = tuple[str, float] | None


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


class Suggester:
    """A loaded model. ``suggest`` may be called from several threads at once.

    Raises ModelError if the folder does not contain a complete model of a format we know. ``threads`` is for
    ONNX Runtime (None: one per core); ``batch`` limits how many photos are in memory at once.
    """

    def __init__(self, model_dir: str | Path, *, threads: int | None = 1, batch: int = 16) -> None:
        folder = Path(model_dir)
        self.manifest = _read_manifest(folder)
        # A model of old may spell a hashtag in a way that looks the same as ours and is not equal.
        self.labels = [normalize_name(label) for label in self.manifest["labels"]]
        self.thresholds = {
            normalize_name(label): float(t) for label, t in self.manifest["thresholds"].items()
        }
        self.input = Input.from_dict(self.manifest["input"])
        self.temperature = float(self.manifest["temperature"])
        self.scenes: list[str] = list(self.manifest.get("scenes", []))
        self.batch = max(1, batch)
        self.threads = threads or os.cpu_count() or 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # An arena keeps its peak memory: right for a command, too much for a web worker.
        options.enable_cpu_mem_arena = self.threads > 1
        try:
            self.session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own kinds, all private
            read_through(folder / "model.onnx")
            raise ModelError(f"model.onnx cannot be loaded: {str(error)[:200]}") from error

    def suggest(
        self, images: Iterable[Source], *, blocked: Callable[[], Collection[str]] = no_hashtags
    ) -> Iterator[Suggestion]:
        """One suggestion per photo, in order. Photos are read from ``images`` a batch at a time.

        ``blocked`` is asked once a batch for the hashtags that must not be suggested.
        """
        iterator = iter(images)
        with ThreadPoolExecutor(self.threads) as threads:
            while chunk := list(islice(iterator, self.batch)):
                results = list(threads.map(self._decode, chunk))
                good = [pixels for pixels in results if not isinstance(pixels, str)]
                rows = self._rows(good)
                names = frozenset(blocked())
                for source, pixels in zip(chunk, results, strict=True):
                    name = _name(source)
                    yield (
                        _unreadable(name, pixels)
                        if isinstance(pixels, str)
                        else self._judge(name, *next(rows), names)
                    )

    def _rows(self, photos: list[NDArray[np.uint8]]) -> Iterator[tuple[NDArray[np.float64], Scene]]:
        # With one thread a batch is no faster and keeps 100 MB more, so a web worker predicts one by one.
        size = self.batch if self.threads > 1 else 1
        for at in range(0, len(photos), size):
            pixels = as_batch(photos[at : at + size], self.input)
            logits, *others = self.session.run(None, {"photos": pixels})
            scenes = self._scenes(others[0]) if self.scenes else [None] * len(logits)
            yield from zip(softmax(logits, self.temperature), scenes, strict=True)

    def _scenes(self, logits: NDArray[np.float32]) -> list[Scene]:
        """The likeliest scene class of each row (n, k), and its probability, which is not calibrated."""
        rows = softmax(logits)
        return [(self.scenes[at], round(float(row[at]), 4)) for row in rows for at in [int(row.argmax())]]

    def _decode(self, source: Source) -> NDArray[np.uint8] | str:
        try:
            return resized(open_photo(source, size=self.input.size), self.input)
        except UnreadablePhotoError as error:
            return str(error)

    def _judge(
        self, name: str, row: NDArray[np.float64], scene: Scene, blocked: frozenset[str]
    ) -> Suggestion:
        if not np.isfinite(row).all():
            return Suggestion(name, None, 0.0, NO_NUMBER, (), {})
        ranking = [(self.labels[at], float(row[at])) for at in np.argsort(-row, kind="stable")]
        hashtag, confidence, reason = judge(ranking, self.thresholds, blocked)
        offered = [at for at, (label, _) in enumerate(ranking) if label not in blocked][:CANDIDATES]
        likeliest = [(label, round(p, 4)) for label, p in ranking[: offered[-1] + 1 if offered else None]]
        return Suggestion(
            file=name,
            hashtag=hashtag,
            confidence=round(confidence, 4),
            reason=reason,
            candidates=tuple(one for one in likeliest if one[0] not in blocked),
            probabilities={label: float(p) for label, p in zip(self.labels, row, strict=True)},
            scene=scene,
            passed_over=tuple(one for one in likeliest if one[0] in blocked),
        )


def _unreadable(name: str, reason: str) -> Suggestion:
    return Suggestion(name, None, None, f"unreadable: {reason}", (), {})


def _name(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", ""))
    return str(getattr(source, "name", ""))


def _read_manifest(folder: Path) -> dict[str, Any]:
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
