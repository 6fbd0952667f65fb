"""Writes a run's TensorBoard logs: curves, the recipe, pictures. Without the package nothing is logged.

All steps count batches since the run's start, also for figures by epoch, so that one number tells which
entries of a killed run are out of date.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trainer.engine.evaluation.report import softmax
from trainer.engine.opening import UnreadablePhotoError, open_photo
from trainer.engine.photos.manifest import Photo
from trainer.engine.preprocess import Input
from trainer.engine.recipe import Recipe

FLUSH_SECONDS = 5
PHOTOS = 16  # in a grid
TILE = 160  # px
CAPTION = 30  # px
CURVES = {  # TensorBoard groups by what stands before the slash
    "loss": "loss/training",
    "test_loss": "loss/test",
    "train_accuracy": "accuracy/training",
    "accuracy": "accuracy/test",
    "balanced_accuracy": "accuracy/test balanced",
    "lr": "learning rate/by epoch",
    "photos_per_second": "speed/photos per second",
    "memory_mb": "speed/memory MB",
    "gpu_memory_mb": "speed/GPU memory MB",
}
Pixels = NDArray[np.uint8]


class Board:
    """Writes into ``folder`` from ``begin`` to the end of a ``with`` block; before that it is silent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def begin(self, recipe: Recipe, step: int) -> None:
        """Start logging after ``step`` batches; TensorBoard drops the entries of later batches."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(
            str(self.folder), purge_step=step + 1 if step else 0, flush_secs=FLUSH_SECONDS
        )
        if not step:
            self._writer.add_text("recipe", _as_table(recipe.as_dict()), 0)

    def step(self, step: int, *, loss: float, lr: float) -> None:
        """``loss`` is the mean of the running epoch so far."""
        if self._writer is not None:
            self._writer.add_scalar("loss/running epoch", loss, step)
            self._writer.add_scalar("learning rate/by batch", lr, step)

    def epoch(self, step: int, row: dict[str, Any]) -> None:
        """Log a row of the history; its names are those of an `epoch` event."""
        if self._writer is None:
            return
        for name, title in CURVES.items():
            if row.get(name) is not None:
                self._writer.add_scalar(title, row[name], step)

    def training_photos(self, step: int, batch: NDArray[np.float32], spec: Input) -> None:
        """The first photos of a batch (n, 3, s, s), distorted as the network gets them, scaled to 0…255."""
        pixels = batch[:PHOTOS].transpose(0, 2, 3, 1) * np.array(spec.std) + np.array(spec.mean)
        tiles = [Image.fromarray(np.uint8(np.clip(photo, 0, 255))) for photo in pixels]
        self._picture("training photos", grid([(tile, "") for tile in tiles]), step)

    def results(
        self,
        step: int,
        confusion: Sequence[Sequence[int]],
        labels: Sequence[str],
        photos: Sequence[Photo],
        logits: NDArray[Any],
    ) -> None:
        """Log the confusion matrix, and the wrongly predicted test photos with the highest confidence."""
        if self._writer is None:
            return
        self._picture("confusion matrix", confusion_picture(np.array(confusion), labels), step)
        if wrong := surest_wrong(photos, logits, labels):
            self._picture("surest wrong answers", grid(wrong), step)

    def _picture(self, name: str, pixels: Pixels, step: int) -> None:
        if self._writer is not None:
            self._writer.add_image(name, pixels, step, dataformats="HWC")


def _as_table(values: dict[str, Any]) -> str:
    rows = (f"| {name} | {value} |" for name, value in values.items())
    return "\n".join(("| setting | value |", "|---|---|", *rows))


def surest_wrong(
    photos: Sequence[Photo], logits: NDArray[Any], labels: Sequence[str], most: int = PHOTOS
) -> list[tuple[Image.Image, str]]:
    """Wrongly predicted photos with captions, the highest confidence first, without unreadable photos."""
    probabilities = softmax(logits)
    tiles: list[tuple[Image.Image, str]] = []
    for at in np.argsort(-probabilities.max(1), kind="stable"):
        label, photo = labels[int(probabilities[at].argmax())], photos[at]
        if label == photo.label:
            continue
        if len(tiles) == most:
            break
        try:
            with open_photo(photo.path, size=TILE) as tile:
                tile.thumbnail((TILE, TILE))
                tile = tile.copy()  # without the decoder
        except UnreadablePhotoError:
            continue
        tiles.append((tile, f"{photo.label}, taken for\n{label} {probabilities[at].max():.0%}"))
    return tiles


def grid(tiles: Sequence[tuple[Image.Image, str]]) -> Pixels:
    """Pictures in rows as (height, width, 3), each above its caption, if it has one."""
    columns = min(len(tiles), 4)
    width = max(tile.width for tile, _ in tiles)
    height = max(tile.height for tile, _ in tiles) + (CAPTION if any(words for _, words in tiles) else 0)
    sheet = Image.new("RGB", (columns * width, math.ceil(len(tiles) / columns) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for at, (tile, words) in enumerate(tiles):
        left, top = at % columns * width, at // columns * height
        sheet.paste(tile, (left, top))
        if words:
            draw.multiline_text((left + 2, top + tile.height + 1), words, "black", font, spacing=1)
    return np.asarray(sheet)


def confusion_picture(matrix: NDArray[np.int64], labels: Sequence[str], cell: int = 26) -> Pixels:
    """A picture (h, w, 3): rows are true labels, columns predictions; a bluer cell is a larger share of its
    row.
    """
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    font = ImageFont.load_default(11)
    margin = 8 + int(max(font.getlength(label) for label in labels))
    side = margin + cell * len(labels)
    sheet = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels):
        place = margin + row * cell
        draw.text((margin - 4, place + cell // 2), label, "black", font, "rm")
        upright = Image.new("RGB", (margin - 4, cell), "white")
        ImageDraw.Draw(upright).text((0, cell // 2), label, "black", font, "lm")
        sheet.paste(upright.rotate(90, expand=True), (place, 0))
        for column, share in enumerate(shares[row]):
            left = margin + column * cell
            shade = tuple(round(255 - share * (255 - to)) for to in (30, 90, 180))
            draw.rectangle((left, place, left + cell - 2, place + cell - 2), shade)
            if share >= 0.005:
                ink = "white" if share > 0.5 else "black"
                draw.text((left + cell // 2, place + cell // 2), f"{share:.0%}"[:-1], ink, font, "mm")
    return np.asarray(sheet)
