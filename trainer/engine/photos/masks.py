"""Masks of objects that people outlined in a photo: the XML files of LabelMe, which SUN has for a part.

A photo's file is beside it under the same name (``x.jpg``, ``x.xml``), or in LabelMe's and SUN's own layout:
``Images/a/abbey/x.jpg`` and ``Annotations/a/abbey/x.xml``. All objects make one mask, except deleted ones and
those that only enclose a scene (``ENCLOSING``). Coordinates are pixels of the picture that people outlined;
the file gives its size, or the photo has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException, ElementTree
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from formats.storage import raise_if_of_storage
from formats.texts import Text, text_of
from trainer.engine.opening import UnreadablePhotoError, open_checked
from trainer.engine.photos.augment import Drawn, affine, draw, generator
from trainer.engine.photos.manifest import Photo

ENCLOSING = frozenset({"wall", "floor", "ceiling", "sky", "ground"})  # in any scene, so they tell none apart
GRID = 64  # cells per side of a mask: finer than any last feature map
MAX_BYTES = 4_000_000  # of an XML file; SUN's largest has 400 kB
MAX_POINTS = 100_000

Floats = NDArray[np.float32]
Polygon = tuple[tuple[float, float], ...]


class MaskError(ValueError):
    """The file of a photo's masks cannot be used. The message gives the reason."""


@dataclass(frozen=True)
class Outlines:
    """The objects of a photo of this width and height, each a polygon of pixels (x, y)."""

    width: float
    height: float
    polygons: tuple[Polygon, ...]


def find_file(photo: Path) -> Path | None:
    """The XML file of a photo, if it has one."""
    places = [photo.with_suffix(".xml")]
    parts = photo.parts
    if "Images" in parts:
        at = len(parts) - 1 - parts[::-1].index("Images")
        places.append(Path(*parts[:at], "Annotations", *parts[at + 1 :]).with_suffix(".xml"))
    return next((place for place in places if place.is_file()), None)


def read_outlines(file: Path, photo: Path) -> Outlines:
    """The objects in LabelMe's XML of a photo. Raises MaskError; entities and DTDs are refused."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise MaskError(
                Text("%(file)s is larger than %(n)s MB", file=file.name, n=MAX_BYTES // 1_000_000)
            )
        root = ElementTree.fromstring(file.read_bytes(), forbid_dtd=True)
    except OSError as error:
        raise_if_of_storage(error)
        raise MaskError(Text("%(file)s cannot be read: %(error)s", file=file.name, error=error)) from error
    except DefusedXmlException as error:
        raise MaskError(Text("%(file)s has a DTD or entities, which are refused", file=file.name)) from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that nobody knows
        if isinstance(error, MaskError):
            raise
        raise MaskError(Text("%(file)s is no XML: %(error)s", file=file.name, error=error)) from error
    width, height = _size(root, file, photo)
    polygons = tuple(_polygons(root, file))
    if sum(map(len, polygons)) > MAX_POINTS:
        raise MaskError(Text("%(file)s has more than %(n)s points", file=file.name, n=MAX_POINTS))
    return Outlines(width, height, polygons)


class Masks:
    """The masks of some photos, distorted as the photos are."""

    def __init__(self, photos: Sequence[Photo], *, augment: float = 0, seed: int = 0) -> None:
        """``augment`` and ``seed`` are those that distort the photos."""
        self.augment, self.seed, self.count = augment, seed, len(photos)
        self.outlines: dict[int, Outlines] = {}  # by the photo's place in the list
        self.faults: dict[str, str] = {}  # photo id → why its file cannot be used
        for at, photo in enumerate(photos):
            try:
                if (file := find_file(Path(photo.path))) is not None:
                    outlines = read_outlines(file, Path(photo.path))
                    if outlines.polygons:
                        self.outlines[at] = outlines
            except MaskError as error:
                self.faults[photo.photo_id] = text_of(error)

    def of(self, places: Sequence[int], epoch: int) -> Floats:
        """(n, GRID, GRID): the masks of the photos at these places in this epoch; NaN where there is none.

        A photo drawn again has a place behind the list's end, by which it is distorted, as its pixels are.
        """
        masks = np.full((len(places), GRID, GRID), np.nan, np.float32)
        for row, at in enumerate(places):
            if outlines := self.outlines.get(at % self.count):
                masks[row] = mask_of(outlines, draw(self.augment, generator(self.seed, epoch, at)))
        return masks


def _size(root: Element, file: Path, photo: Path) -> tuple[float, float]:
    if root.find("imagesize") is not None:
        width, height = (_number(root, f"imagesize/{name}", file) for name in ("ncols", "nrows"))
    else:
        try:
            with open_checked(photo) as opened:
                width, height = opened.size
        except UnreadablePhotoError as error:
            raise MaskError(
                Text("%(file)s gives no imagesize, and the photo %(error)s", file=file.name, error=error)
            ) from error
    if not (width >= 1 and height >= 1):
        raise MaskError(
            Text(
                "%(file)s gives an imagesize of %(width)s × %(height)s",
                file=file.name,
                width=f"{width:g}",
                height=f"{height:g}",
            )
        )
    return width, height


def _polygons(root: Element, file: Path) -> Iterator[Polygon]:
    for thing in root.iter("object"):
        name = (thing.findtext("name") or "").strip().lower()
        if (thing.findtext("deleted") or "0").strip() != "0" or name in ENCLOSING:
            continue
        for polygon in thing.iter("polygon"):
            points = tuple((_number(p, "x", file), _number(p, "y", file)) for p in polygon.iter("pt"))
            if len(points) > 2:
                yield points


def _number(element: Element, name: str, file: Path) -> float:
    text = element.findtext(name) or ""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6:
        raise MaskError(
            Text(
                "%(file)s has %(text)s where %(name)s should be a number of pixels",
                file=file.name,
                text=f"{text.strip()[:20]!r}",
                name=name,
            )
        )
    return value


def mask_of(outlines: Outlines, drawn: Drawn) -> Floats:
    """(GRID, GRID): 1 on objects, 0 elsewhere, of the photo distorted by these amounts."""
    scale = 2 * GRID / min(outlines.width, outlines.height)
    sides = tuple(max(1, min(round(side * scale), 20 * GRID)) for side in (outlines.width, outlines.height))
    canvas = Image.new("L", (sides[0], sides[1]))
    pen = ImageDraw.Draw(canvas)
    across, down = sides[0] / outlines.width, sides[1] / outlines.height
    for polygon in outlines.polygons:
        pen.polygon([(x * across, y * down) for x, y in polygon], fill=255)
    moved = canvas.transform(
        (GRID, GRID),
        Image.Transform.AFFINE,
        tuple(affine(drawn, canvas.size, GRID)),
        resample=Image.Resampling.BILINEAR,
    )
    cells: NDArray[np.float32] = np.asarray(moved, dtype=np.float32) / np.float32(255)
    return cells
