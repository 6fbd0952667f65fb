"""From a photo file to the numbers a network takes: the same code trains and serves.

Torch-free: Pillow and numpy only. A photo is opened, turned upright by its EXIF note, made RGB, resized to a
square (the whole scene, its sides squeezed, because a cropped scene loses what its edges tell) and
normalised channel by channel as (x − mean) / std, x in 0…255.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.engine.scans import too_many_scans

Source = str | Path | bytes | BinaryIO | Image.Image
Floats = NDArray[np.float32]

# Beyond it a "photo" is a decompression bomb. JPEG is decoded small, the others at 3 bytes a pixel.
MAX_PIXELS = {"JPEG": 80_000_000, "MPO": 80_000_000}
MAX_PIXELS_OF_OTHERS = 40_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS["JPEG"]  # Pillow warns beyond it, and refuses at twice as many
TURNS = {  # by the number of EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BACKBONE_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
LITE_MEAN, LITE_STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class UnreadablePhotoError(ValueError):
    """The file is not a photo that can be decoded; the message says why."""


@dataclass(frozen=True)
class Input:
    """How a network wants its photos; stored in every exported model."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str = "squeeze"  # squeeze: whole photo to a square; crop: short side, then the centre

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Input:
        mean, std = (tuple(float(x) for x in data[key]) for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3:
            raise ValueError("mean and std need three numbers each")
        return cls(int(data["size"]), mean, std, str(data.get("resize", "squeeze")))


def open_photo(source: Source, *, size: int) -> Image.Image:
    """An upright RGB photo at least ``size`` px on its short side where the file has that much.

    Raises UnreadablePhotoError for anything that is not a decodable photo, or has too many pixels.
    """
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    try:
        photo = source if isinstance(source, Image.Image) else Image.open(source)
        if photo.width * photo.height > MAX_PIXELS.get(photo.format or "", MAX_PIXELS_OF_OTHERS):
            raise UnreadablePhotoError(f"{photo.width}×{photo.height} pixels are too many")
        if photo.format in MAX_PIXELS and (reason := too_many_scans(_bytes_of(photo))):
            raise UnreadablePhotoError(reason)
        photo.draft("RGB", (2 * size, 2 * size))  # JPEG: decodes at 1/2, 1/4 or 1/8, several times faster
        photo.load()
        return _upright_rgb(photo)
    except UnreadablePhotoError:
        raise
    except MemoryError:
        raise UnreadablePhotoError("it does not fit in memory") from None
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        raise UnreadablePhotoError(_reason(error)) from error


def _bytes_of(photo: Image.Image) -> bytes:
    """Of its file; none once it is decoded."""
    file = getattr(photo, "fp", None)
    if file is None:
        return b""
    file.seek(0)
    content: bytes = file.read()
    return content


def upright(photo: Image.Image) -> Image.Image:
    """Turned as its EXIF note says. Nothing else of the EXIF is looked at: much is broken, and harmless."""
    try:
        how = TURNS.get(photo.getexif().get(0x0112, 1))
    except Exception:  # what reads EXIF raises nearly anything on broken ones
        how = None
    return photo if how is None else photo.transpose(how)


def _upright_rgb(photo: Image.Image) -> Image.Image:
    photo = upright(photo)
    if photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info:
        rgba = photo.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    if photo.mode.startswith("I;16") or photo.mode in ("I", "F"):
        values = np.asarray(photo, dtype=np.float32)
        top = float(values.max()) or 1.0
        return Image.fromarray(np.uint8(np.clip(values / top, 0, 1) * 255)).convert("RGB")
    return photo if photo.mode == "RGB" else photo.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "its pixels are too many"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if type(error).__name__ == "UnidentifiedImageError":
        return "not a photo in a format we know"
    return (str(error) or type(error).__name__).split("\n")[0][:200]


def resized(photo: Image.Image, spec: Input) -> NDArray[np.uint8]:
    """The photo as (size, size, 3) bytes, by the input's resize rule."""
    size, box = spec.size, None
    if spec.resize == "crop":
        short = min(photo.size)
        left, top = (photo.width - short) / 2, (photo.height - short) / 2
        box = (left, top, left + short, top + short)
    small = photo.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)


def as_batch(photos: Iterable[NDArray[np.uint8]], spec: Input) -> Floats:
    """Bytes (n × (size, size, 3)) → the network's input (n, 3, size, size), float32, normalised."""
    pixels = np.stack(list(photos)).transpose(0, 3, 1, 2).astype(np.float32)
    pixels -= np.asarray(spec.mean, np.float32).reshape(3, 1, 1)
    pixels /= np.asarray(spec.std, np.float32).reshape(3, 1, 1)
    return np.ascontiguousarray(pixels)


def backbone_input(backbone: str, *, size: int | None = None, resize: str = "squeeze") -> Input:
    return Input(size or BACKBONE_SIZES[backbone], LITE_MEAN, LITE_STD, resize)
