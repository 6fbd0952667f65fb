"""Opens photos for all parts of the project: training, serving, galleries and the intake see the same pixels.

Imports neither torch nor Django. Every photo is turned upright by its EXIF orientation and converted to RGB:
transparency becomes white, 16-bit tones are scaled to 8 bits, CMYK and wide colour spaces become sRGB.
Format, number of pixels, scans and memory are checked before decoding, since a few hostile bytes can cost
gigabytes or minutes. All threads of a process share one budget of memory: see `budget.py`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pi_heif
from PIL import Image, ImageCms, UnidentifiedImageError

from formats.storage import raise_if_of_storage, read_through
from trainer.engine.budget import DECODING
from trainer.engine.costs import bytes_needed
from trainer.engine.grids import grid_pixels
from trainer.engine.scans import MOST_SCANS, count_scans
from trainer.engine.strips import MOST_STRIPS, count_strips

pi_heif.register_heif_opener(thumbnails=False)

File = str | Path | bytes | BinaryIO
Source = File | Image.Image
Convert = Callable[[Image.Image], Image.Image]

# The formats we open, with their file suffixes. Pillow knows many more, and each is a way to attack it.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "HEIF": (".heic", ".heif"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}
FORMATS = tuple(SUFFIXES)
PHOTO_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
UPLOADS = ("JPEG", "PNG", "WEBP", "HEIF")  # what people may send to be shown to others
# Raise it when a file yields other pixels than before, so that cached features are computed again.
VERSION = 2

# A "photo" with more is a decompression bomb. JPEG is decoded small, others take 8 to 20 bytes per pixel.
MAX_PIXELS = {"JPEG": 80_000_000, "MPO": 80_000_000}  # MPO: JPEG with more pictures behind the first
MAX_PIXELS_OF_OTHERS = 40_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS["JPEG"]  # above it Pillow warns, and refuses at twice as many
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # where Pillow warns, we refuse

ORIENTATION = 0x0112
TURNS = {  # by the value of the EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = tuple(TURNS[orientation] for orientation in (5, 6, 7, 8))
PIXELS_OF_A_STRIP = 2**18  # converted at once
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


class UnreadablePhotoError(ValueError):
    """The file is not a photo that can be decoded; the message says why."""


class UnknownFormatError(UnreadablePhotoError):
    """The file is in none of the accepted formats."""


class TooManyPixelsError(UnreadablePhotoError):
    """The file's header announces more pixels than we decode."""


class TooManyScansError(UnreadablePhotoError):
    """The JPEG has so many scans that it would keep the decoder busy for minutes."""


class TooMuchMemoryError(UnreadablePhotoError):
    """Decoding the photo would take more memory than all photos together may have."""


@contextmanager
def open_photo(source: Source, *, size: int) -> Iterator[Image.Image]:
    """For a `with` block: the photo, upright and in RGB, with at least ``size`` px on its short side if the
    file has that many.

    Its memory is part of the budget until the block ends, so do not open another photo inside. Raises
    UnreadablePhotoError for anything that is not a photo we can decode, StorageFailure and DecodersBusy.
    """
    photo = open_checked(source)
    with DECODING.share(_need_of(photo, draft=(2 * size, 2 * size))):
        with _reading(source):
            photo.load()
            turn = _turn_of(photo)
            photo = _rgb(photo)
            if turn is not None:
                photo = photo.transpose(turn)
        yield photo


def open_within(
    source: File, box: tuple[int, int], *, formats: tuple[str, ...] = FORMATS, max_pixels: int | None = None
) -> Image.Image:
    """The photo scaled down to fit ``box`` (width, height in px), to be shown to people. EXIF, XMP, profile
    and comments are removed.

    Raises UnreadablePhotoError for anything that is not a photo we can decode; StorageFailure, DecodersBusy.
    """
    photo = open_checked(source, formats=formats, max_pixels=max_pixels)
    side = max(box)
    with DECODING.share(_need_of(photo, draft=(side, side))), _reading(source):
        photo.load()
        turn = _turn_of(photo)
        photo = _tones(photo)
        # Before turning, which copies every pixel.
        photo.thumbnail(box[::-1] if turn in SIDEWAYS else box)
        photo = _rgb(photo.copy())  # a copy, because decoders of some formats stay with the photo
        photo = photo if turn is None else photo.transpose(turn)
        photo.info = {}
        return photo


def decode_to_end(photo: Image.Image) -> None:
    """Decode a photo from `open_checked` only to know that it is complete: a JPEG as small as possible.

    Raises UnreadablePhotoError and DecodersBusy.
    """
    with DECODING.share(_need_of(photo, draft=(1, 1))), _reading(photo):
        photo.load()


def open_checked(
    source: Source, *, formats: tuple[str, ...] = FORMATS, max_pixels: int | None = None
) -> Image.Image:
    """The photo with only its header read; ``max_pixels`` replaces our own limits.

    Raises UnreadablePhotoError, or its subclass UnknownFormatError, TooManyPixelsError or TooManyScansError;
    StorageFailure if not the file is at fault. Sets ``info["scans"]`` of a JPEG, ``info["grid_pixels"]``
    of a HEIC.
    """
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    with _reading(source):
        photo = source if isinstance(source, Image.Image) else _opened(source, formats)
        limit = max_pixels or MAX_PIXELS.get(photo.format or "", MAX_PIXELS_OF_OTHERS)
        if photo.width * photo.height > limit:
            pixels = f"{photo.width} × {photo.height} pixels"
            raise TooManyPixelsError(f"{pixels} are more than {limit / 1e6:.0f} megapixels")
        if photo.format == "HEIF":
            photo.info["grid_pixels"] = count = grid_pixels(_bytes_of(photo))
            if count > limit:
                raise TooManyPixelsError(f"{count / 1e6:.0f} megapixels are more than {limit / 1e6:.0f}")
        if photo.format in MAX_PIXELS:
            photo.info["scans"] = scans = count_scans(_bytes_of(photo))
            if scans > MOST_SCANS:
                raise TooManyScansError(f"its JPEG has {scans:,} scans, more than {MOST_SCANS}")
    return photo


def _opened(source: str | Path | BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    with Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source) as file:
        strips = count_strips(file)
    if strips > MOST_STRIPS:
        raise UnreadablePhotoError(f"its TIFF has {strips:,} strips, more than {MOST_STRIPS:,}")
    return Image.open(source, formats=formats)


def _need_of(photo: Image.Image, *, draft: tuple[int, int]) -> int:
    """The bytes that it takes to decode and convert the photo. JPEG: at 1/2, 1/4 or 1/8, but at least at
    ``draft`` px, which is also several times faster.

    Raises TooMuchMemoryError.
    """
    with _reading(photo):
        photo.draft("RGB", draft)
        need = bytes_needed(photo)
    if need > DECODING.size:
        words = f"opening it takes {-(-need // 2**20):,} MB of memory"
        raise TooMuchMemoryError(f"{words}, more than {DECODING.size // 2**20:,} MB")
    return need


@contextmanager
def _reading(source: Source) -> Iterator[None]:
    """Raise UnreadablePhotoError or StorageFailure for any error of this block."""
    try:
        yield
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        raise _unreadable(error, source) from error


def _unreadable(error: Exception, source: Source) -> UnreadablePhotoError:
    """What is wrong with the file. Raises StorageFailure if nothing is: the disk did not give its content."""
    if isinstance(error, UnreadablePhotoError):
        return error
    raise_if_of_storage(error)
    if isinstance(source, str | Path):
        read_through(Path(source))  # a decoder that reads by itself only says that it stopped
    if isinstance(error, MemoryError):
        return UnreadablePhotoError("it does not fit in memory")
    if isinstance(error, Image.DecompressionBombError):
        return TooManyPixelsError("its pixels are too many")
    if isinstance(error, FileNotFoundError):
        return UnreadablePhotoError("no such file")
    if isinstance(error, UnidentifiedImageError):
        return UnknownFormatError("not a photo in a format we know")
    return UnreadablePhotoError((str(error) or type(error).__name__).split("\n")[0][:200])


def _bytes_of(photo: Image.Image) -> bytes:
    """The bytes of the photo's file; empty once the photo is decoded."""
    file = getattr(photo, "fp", None)
    if file is None:
        return b""
    file.seek(0)
    content: bytes = file.read()
    return content


def _tones(photo: Image.Image) -> Image.Image:
    """The photo with 8 bits per channel whose values can be averaged.

    Pillow scales photos with a palette or a transparent colour by leaving pixels out, and it turns every tone
    of a 16-bit photo above 255 white.
    """
    toned = _toned_by(photo)
    return _in_strips(photo, toned) if toned else photo


def _toned_by(photo: Image.Image) -> Convert | None:
    """The function that does this to any part of the photo; None if it is so already."""
    if photo.mode.startswith("I;16"):
        return partial(_grey, end=65_536)
    if photo.mode in ("I", "F"):
        brightest = max(float(_finite(photo.crop(box)).max()) for box in _strips(photo))
        return partial(_grey, end=_white(photo.mode, brightest) * 256 / 255)
    if photo.mode in ("1", "P", "PA") or "transparency" in photo.info:
        mode = "RGBA" if photo.has_transparency_data else "RGB"
        return lambda strip: strip.convert(mode)
    return None


def _strips(photo: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of whole rows that cover the photo."""
    rows = max(1, PIXELS_OF_A_STRIP // photo.width)
    for top in range(0, photo.height, rows):
        yield 0, top, photo.width, min(top + rows, photo.height)


def _in_strips(photo: Image.Image, convert: Convert) -> Image.Image:
    """The photo, converted a few rows at a time: whole copies in between would take far more memory."""
    strips = ((box, convert(photo.crop(box))) for box in _strips(photo))
    box, strip = next(strips)
    whole = Image.new(strip.mode, photo.size)
    whole.paste(strip, box)
    for box, strip in strips:
        whole.paste(strip, box)
    whole.info = {key: value for key, value in photo.info.items() if key != "transparency"}
    return whole


def _finite(strip: Image.Image) -> np.ndarray[Any, Any]:
    return np.nan_to_num(np.asarray(strip, dtype=np.float64))


def _grey(strip: Image.Image, *, end: float) -> Image.Image:
    """Scale values from 0 to below ``end`` to 256 greys."""
    values = _finite(strip) if strip.mode in ("I", "F") else np.asarray(strip)
    grey = Image.fromarray(np.clip(values * (256 / end), 0, 255).astype(np.uint8))
    clear = strip.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _white(mode: str, brightest: float) -> float:
    """The value of white, which 32-bit files do not state: the end of the smallest usual range that fits."""
    ranges = (65_535.0,) if mode == "I" else (1.0, 255.0, 65_535.0)
    return next((top for top in ranges if brightest <= top), brightest)


def _turn_of(photo: Image.Image) -> Image.Transpose | None:
    """What turns the photo upright. Nothing else of the EXIF is read: much of it is broken, and harmless."""
    try:
        return TURNS.get(photo.getexif().get(ORIENTATION, 1))
    except Exception:  # reading broken EXIF raises nearly anything
        return None


def _rgb(photo: Image.Image) -> Image.Image:
    """The photo in 8 bits and sRGB, its transparency on white."""
    toned = _toned_by(photo)
    mode = toned(photo.crop((0, 0, 1, 1))).mode if toned else photo.mode
    to_srgb = _to_srgb(photo.info.get("icc_profile"), mode)
    if mode == "RGB" and not toned and not to_srgb:
        return photo

    def convert(strip: Image.Image) -> Image.Image:
        strip = toned(strip) if toned else strip
        strip = to_srgb.apply(strip) if to_srgb else strip
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        return strip.convert("RGB")

    return _in_strips(photo, convert)


def _to_srgb(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What converts colours of this profile to sRGB; None if there is nothing to convert."""
    if not profile or mode not in ("RGB", "RGBA", "CMYK"):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, SRGB, mode, "RGBA" if mode == "RGBA" else "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None  # the profile is broken: keep the colours as they are
