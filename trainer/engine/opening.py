"""Opens photos for all parts of the project: training, serving, galleries and the intake see the same pixels.

Imports neither torch nor Django. Every photo is turned upright by its EXIF orientation and converted to RGB:
transparency becomes white, 16-bit tones are scaled to 8 bits, CMYK and wide colour spaces become sRGB.
Format, number of pixels and scans are checked before decoding, since a few hostile bytes can cost gigabytes
or minutes.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pi_heif
from PIL import Image, ImageCms, UnidentifiedImageError

from formats.storage import raise_if_of_storage, read_through
from trainer.engine.scans import too_many_scans

pi_heif.register_heif_opener(thumbnails=False)

File = str | Path | bytes | BinaryIO
Source = File | Image.Image

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

# A "photo" with more is a decompression bomb. JPEG is decoded small, other formats take 3 bytes per pixel.
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
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


class UnreadablePhotoError(ValueError):
    """The file is not a photo that can be decoded; the message says why."""


class UnknownFormatError(UnreadablePhotoError):
    """The file is in none of the accepted formats."""


class TooManyPixelsError(UnreadablePhotoError):
    """The file's header announces more pixels than we decode."""


class TooManyScansError(UnreadablePhotoError):
    """The JPEG has so many scans that it would keep the decoder busy for minutes."""


def open_photo(source: Source, *, size: int) -> Image.Image:
    """The photo, upright and in RGB, with at least ``size`` px on its short side if the file has that many.

    Raises UnreadablePhotoError for anything that is not a photo we can decode, and StorageFailure.
    """
    photo = open_checked(source)
    try:
        photo.draft("RGB", (2 * size, 2 * size))  # JPEG: decodes at 1/2, 1/4 or 1/8, several times faster
        photo.load()
        return _rgb(_upright(_tones(photo)))
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        raise _unreadable(error, source) from error


def open_within(
    source: File, box: tuple[int, int], *, formats: tuple[str, ...] = FORMATS, max_pixels: int | None = None
) -> Image.Image:
    """The photo scaled down to fit ``box`` (width, height in px), to be shown to people. EXIF, XMP, profile
    and comments are removed.

    Raises UnreadablePhotoError for anything that is not a photo we can decode, and StorageFailure.
    """
    photo = open_checked(source, formats=formats, max_pixels=max_pixels)
    try:
        side = max(box)
        photo.draft("RGB", (side, side))
        photo.load()
        photo = _tones(photo)
        # Before turning, which copies every pixel.
        photo.thumbnail(box if _orientation(photo) < 5 else box[::-1])
        photo = _rgb(_upright(photo))
        photo.info = {}
        return photo
    except Exception as error:
        raise _unreadable(error, source) from error


def open_checked(
    source: Source, *, formats: tuple[str, ...] = FORMATS, max_pixels: int | None = None
) -> Image.Image:
    """The photo with only its header read; ``max_pixels`` replaces our own limits.

    Raises UnreadablePhotoError, or its subclass UnknownFormatError, TooManyPixelsError or TooManyScansError;
    StorageFailure if not the file is at fault.
    """
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    try:
        photo = source if isinstance(source, Image.Image) else Image.open(source, formats=formats)
        limit = max_pixels or MAX_PIXELS.get(photo.format or "", MAX_PIXELS_OF_OTHERS)
        if photo.width * photo.height > limit:
            pixels = f"{photo.width} × {photo.height} pixels"
            raise TooManyPixelsError(f"{pixels} are more than {limit / 1e6:.0f} megapixels")
        if photo.format in MAX_PIXELS and (reason := too_many_scans(_bytes_of(photo))):
            raise TooManyScansError(reason)
    except Exception as error:
        raise _unreadable(error, source) from error
    return photo


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
    if photo.mode.startswith("I;16"):
        return _grey(photo, np.asarray(photo), 65_536)
    if photo.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(photo, dtype=np.float64))
        return _grey(photo, values, _white(photo.mode, float(values.max())) * 256 / 255)
    if photo.mode in ("1", "P", "PA") or "transparency" in photo.info:
        return photo.convert("RGBA" if photo.has_transparency_data else "RGB")
    return photo


def _grey(photo: Image.Image, values: np.ndarray[Any, Any], end: float) -> Image.Image:
    """Scale values from 0 to below ``end`` to 256 greys."""
    grey = Image.fromarray(np.clip(values * (256 / end), 0, 255).astype(np.uint8))
    grey.info = {key: value for key, value in photo.info.items() if key != "transparency"}
    clear = photo.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _white(mode: str, brightest: float) -> float:
    """The value of white, which 32-bit files do not state: the end of the smallest usual range that fits."""
    ranges = (65_535.0,) if mode == "I" else (1.0, 255.0, 65_535.0)
    return next((top for top in ranges if brightest <= top), brightest)


def _orientation(photo: Image.Image) -> int:
    """The EXIF orientation. Nothing else of the EXIF is read: much of it is broken, and harmless."""
    try:
        orientation = photo.getexif().get(ORIENTATION, 1)
    except Exception:  # reading broken EXIF raises nearly anything
        return 1
    return orientation if orientation in TURNS else 1


def _upright(photo: Image.Image) -> Image.Image:
    turn = TURNS.get(_orientation(photo))
    return photo if turn is None else photo.transpose(turn)


def _rgb(photo: Image.Image) -> Image.Image:
    """Convert the colours to sRGB and put transparency on white."""
    photo = _in_srgb(photo)
    if photo.has_transparency_data:
        photo = photo.convert("RGBA")
        photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
    return photo if photo.mode == "RGB" else photo.convert("RGB")


def _in_srgb(photo: Image.Image) -> Image.Image:
    profile = photo.info.get("icc_profile")
    if not profile or photo.mode not in ("RGB", "RGBA", "CMYK"):
        return photo
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return photo
        mode = "RGBA" if photo.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(photo, source, SRGB, outputMode=mode) or photo
    except (ImageCms.PyCMSError, OSError):
        return photo  # the profile is broken: keep the colours as they are
