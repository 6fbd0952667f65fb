"""Suggests a hashtag for a photo with an exported model, or says why it stays silent. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from trainer.engine.errors import ModelError
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.report import softmax
from trainer.engine.opening import Source, UnreadablePhotoError, open_photo
from trainer.engine.preprocess import Input, as_batch, resized

FORMAT = "scenetag-model/1"
CANDIDATES = 3
Scene = tuple[str, float] | None


@dataclass(frozen=True)
class Suggestion:
    """What the model says about one photo. Where it stays silent ``reason`` tells why.

    ``scene`` is the scene class it looks most like, with its probability, of models that tell scenes apart.
    """

    file: str
    hashtag: str | None
    confidence: float | None
    reason: str | None
    candidates: tuple[tuple[str, float], ...]
    probabilities: dict[str, float]
    scene: Scene = None

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

    Raises ModelError when the folder holds no complete model of a format we know. ``threads`` are those of
    ONNX Runtime (None: as many as the machine has); ``batch`` bounds the photos held in memory together.
    """

    def __init__(self, model_dir: str | Path, *, threads: int | None = 1, batch: int = 16) -> None:
        folder = Path(model_dir)
        self.manifest = _read_manifest(folder)
        self.labels: list[str] = list(self.manifest["labels"])
        self.thresholds: dict[str, float] = dict(self.manifest["thresholds"])
        self.input = Input.from_dict(self.manifest["input"])
        self.temperature = float(self.manifest["temperature"])
        self.scenes: list[str] = list(self.manifest.get("scenes", []))
        self.batch = max(1, batch)
        self.threads = threads or os.cpu_count() or 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # An arena keeps the memory of its fullest moment: right for a command, too much for a web worker.
        options.enable_cpu_mem_arena = self.threads > 1
        try:
            self.session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own kinds, all private
            raise ModelError(f"model.onnx cannot be loaded: {str(error)[:200]}") from error

    def suggest(self, images: Iterable[Source]) -> Iterator[Suggestion]:
        """One suggestion a photo, in order; photos are taken from ``images`` a batch at a time."""
        iterator = iter(images)
        with ThreadPoolExecutor(self.threads) as threads:
            while chunk := list(islice(iterator, self.batch)):
                decoded = list(threads.map(self._decode, chunk))
                good = [pixels for pixels in decoded if not isinstance(pixels, str)]
                rows = self._rows(good)
                for source, pixels in zip(chunk, decoded, strict=True):
                    name = _name(source)
                    yield (
                        _unreadable(name, pixels)
                        if isinstance(pixels, str)
                        else self._judge(name, *next(rows))
                    )

    def _rows(self, photos: list[NDArray[np.uint8]]) -> Iterator[tuple[NDArray[np.float64], Scene]]:
        # With one thread a batch is no faster and takes 100 MB more for good: a web worker goes one by one.
        together = self.batch if self.threads > 1 else 1
        for at in range(0, len(photos), together):
            pixels = as_batch(photos[at : at + together], self.input)
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

    def _judge(self, name: str, row: NDArray[np.float64], scene: Scene) -> Suggestion:
        order = np.argsort(-row, kind="stable")
        best, confidence = self.labels[order[0]], float(row[order[0]])
        needed = self.thresholds.get(best, NEVER)
        reason = None
        if best == "other":
            reason = "other: none of the hashtags fits"
        elif needed > 1:
            reason = f"unsure: #{best} is not reliable enough to be suggested"
        elif confidence < needed:
            reason = f"unsure: {confidence:.2f} < {needed:.2f} needed for #{best}"
        return Suggestion(
            file=name,
            hashtag=None if reason else best,
            confidence=round(confidence, 4),
            reason=reason,
            candidates=tuple((self.labels[at], round(float(row[at]), 4)) for at in order[:CANDIDATES]),
            probabilities={label: float(p) for label, p in zip(self.labels, row, strict=True)},
            scene=scene,
        )


def _unreadable(name: str, why: str) -> Suggestion:
    return Suggestion(name, None, None, f"unreadable: {why}", (), {})


def _name(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", ""))
    return str(getattr(source, "name", ""))


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"there is no model in {folder}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"manifest.json cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError("manifest.json is of a format that this version does not know")
    return manifest
