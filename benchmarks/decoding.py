"""Memory that opening one photo takes, by format; and what small hostile files take.

    python -m benchmarks.decoding [--megapixels 24]

Each figure is the peak of a fresh process above what it held before, in MB of 10^6 bytes. "pillow" is the
baseline: Image.open(…).convert("RGB") without our limits. "network", "people" and "check" open the photo as a
network, a page and the registration of a photo set do. "charged" is what trainer.engine.costs reckons for the
dearest of these three. The program fails if one of them takes more, or if a hostile file gets more than the
budget.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, features

from tests.trainer.engine import bombs
from trainer.engine import opening, preprocess
from trainer.engine.budget import DECODING
from trainer.engine.costs import bytes_needed
from trainer.engine.opening import UnreadablePhotoError, open_checked
from trainer.photosets.layout import BadPhoto, check_photo

WAYS = ("pillow", "network", "people", "check")
COLUMNS = (*WAYS, "charged")
DRAFTS = (448, 1280, 1)  # pixels: for what size the three ways of ours open a photo


# --- the photos


def picture(mode: str, size: tuple[int, int]) -> Image.Image:
    """A gradient with some noise: quick to encode, not all the same."""
    noise = Image.effect_noise((size[0] // 4, size[1] // 4), 40).resize(size)
    return noise if mode == "L" else noise.convert(mode)


def photos(megapixels: float) -> Iterator[tuple[str, bytes]]:
    """(name, file): one photo of each kind, 3 : 2."""
    side = round((megapixels * 1e6 / 6) ** 0.5)
    size = (3 * side, 2 * side)
    rgb, grey = picture("RGB", size), picture("L", size)
    clear = rgb.copy()
    clear.putalpha(grey)
    turned = Image.Exif()
    turned[0x0112] = 6
    wide = wide_profile()
    encoded = bombs.encoded
    yield "JPEG", encoded(rgb, "JPEG")
    yield "JPEG, turned", encoded(rgb, "JPEG", exif=turned)
    yield "JPEG, progressive", encoded(rgb, "JPEG", progressive=True)
    yield "JPEG, progressive 4:4:4", encoded(rgb, "JPEG", progressive=True, subsampling=0)
    yield "JPEG, progressive CMYK", encoded(rgb.convert("CMYK"), "JPEG", progressive=True, subsampling=0)
    yield "PNG", encoded(rgb, compress_level=1)
    yield "PNG, turned, wide colours", encoded(rgb, compress_level=1, exif=turned, icc_profile=wide)
    yield "PNG, grey", encoded(grey, compress_level=1)
    yield "PNG, palette", encoded(grey.convert("P"), compress_level=1)
    yield "PNG, clear palette", encoded(grey.convert("P"), compress_level=1, transparency=0)
    yield "PNG, transparent", encoded(clear, compress_level=1)
    yield "PNG, transparent, turned, wide", encoded(clear, compress_level=1, exif=turned, icc_profile=wide)
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    yield "PNG, 16 bits", encoded(deep, compress_level=1)
    yield "PNG, 16 bits, clear colour", encoded(deep, compress_level=1, transparency=300)
    yield "WebP", encoded(rgb, "WEBP", method=0)
    yield "WebP, transparent", encoded(clear, "WEBP", method=0)
    yield "WebP, lossless", encoded(rgb, "WEBP", lossless=True, method=0, quality=0)
    yield "TIFF", encoded(rgb, "TIFF")
    yield "TIFF, deflated", encoded(rgb, "TIFF", compression="tiff_adobe_deflate")
    yield "TIFF, JPEG inside", encoded(rgb, "TIFF", compression="jpeg")
    yield "TIFF, float", encoded(Image.fromarray(np.asarray(grey, np.float32) / 255), "TIFF")
    yield "TIFF, 32 bits", encoded(Image.fromarray(np.asarray(grey, np.int32)), "TIFF")
    yield "BMP", encoded(rgb, "BMP")
    yield "GIF", encoded(grey.convert("P"), "GIF")
    down = max(1, round((megapixels / 1.92 * 0.75) ** 0.5))
    yield "HEIC", bombs.heic_of_tiles(round(megapixels / 1.92 / down), down)


def wide_profile() -> bytes:
    """sRGB under another name, so that colours are converted."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace("sRGB".encode("utf-16-be"), "sBGR".encode("utf-16-be"))


def hostile() -> Iterator[tuple[str, bytes]]:
    """(name, file): small files that ask for much memory."""
    frames = [Image.new("L", (500, 500), at) for at in range(200)]
    large = picture("RGB", (3000, 2000))
    yield "PNG, 100,000 × 100,000", bombs.png(100_000, 100_000)
    yield "PNG, 16 bits, 40 MP of zeros", bombs.png(8000, 5000, bombs.zeros(80_005_000), depth=16, colour=0)
    yield "TIFF, 1,000,000 strips", bombs.tiff_of_strips(1_000_000)
    yield "TIFF, a tile of 30,000²", bombs.tiff_of_one_tile(30_000, bombs.zeros(900_000_000))
    yield (
        "TIFF, a strip of 36 MP",
        bombs.encoded(
            Image.new("RGB", (6000, 6000)), "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 6000}
        ),
    )
    yield "TIFF, 36 MP of 1 bit", bombs.encoded(Image.new("1", (6000, 6000)), "TIFF", compression="group4")
    yield "GIF, 200 frames", bombs.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "APNG, 200 frames", bombs.encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield (
        "WebP, 200 frames",
        bombs.encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0),
    )
    yield "MPO, 20 pictures", bombs.encoded(large, "MPO", save_all=True, append_images=[large] * 19)
    yield "HEIC, 123 MP", bombs.heic_of_tiles(8, 8)
    yield "HEIC, 123 MP that say 38 MP", bombs.heic_of_tiles(8, 8, size=(6400, 6000))
    yield "HEIC, 123 MP that say 64 × 64", bombs.heic_of_tiles(8, 8, size=(64, 64))
    yield "HEIC that says 64 × 64", bombs.heic_that_says(64, 64)
    yield "WebP, 16,383²", webp_head(16_383, 16_383)
    if features.check("jpg_2000"):
        yield "JPEG 2000", bombs.encoded(Image.new("RGB", (3000, 3000)), "JPEG2000")


def webp_head(width: int, height: int) -> bytes:
    """A lossless WebP that announces this size and contains nothing else."""
    bits = (width - 1) | (height - 1) << 14
    body = b"VP8L" + (10).to_bytes(4, "little") + b"\x2f" + bits.to_bytes(4, "little") + bytes(5)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


# --- one photo in a process of its own


def measure_here(way: str, path: Path) -> dict[str, Any]:
    """Open the photo in this process: {"mb": peak growth, "says": why not, if it is refused}."""
    spec = preprocess.Input(224, (0, 0, 0), (1, 1, 1))

    def for_network() -> None:
        with opening.open_photo(path, size=spec.size) as photo:
            preprocess.resized(photo, spec)

    ways: dict[str, Callable[[], object]] = {
        "pillow": lambda: Image.open(path).convert("RGB"),
        "network": for_network,
        "people": lambda: opening.open_within(path, (1280, 1280)),
        "check": lambda: check_photo(path, max_bytes=2**31, max_pixels=10**9),
    }
    if way == "pillow":
        Image.MAX_IMAGE_PIXELS = None
    opening.open_within(bombs.encoded(Image.new("RGB", (64, 64)), "JPEG"), (32, 32))  # loads what all need
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before, says = memory("VmRSS"), ""
    try:
        ways[way]()
    except (UnreadablePhotoError, BadPhoto, OSError, ValueError, RuntimeError, MemoryError) as error:
        says = str(error) or type(error).__name__
    return {"mb": round((memory("VmHWM") - before) / 1e6, 1), "says": says.strip()}


def charged(raw: bytes) -> float:
    """MB that the budget is charged for the dearest way; nan if the photo is refused before."""
    costs = []
    for side in DRAFTS:
        try:
            photo = open_checked(raw)
            photo.draft("RGB", (side, side))
            costs.append(bytes_needed(photo))
        except UnreadablePhotoError:
            return float("nan")
    return max(costs) / 1e6


def memory(field: str) -> int:
    """Bytes, by the kernel's count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def measured(way: str, path: Path) -> dict[str, Any]:
    # Forked from a server that has imported everything and opened nothing: as good as fresh, and quick.
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as process:
        try:
            return process.submit(measure_here, way, path).result()
        except BrokenProcessPool:
            return {"mb": float("nan"), "says": "the process died"}


# --- the tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[24])
    arguments = parser.parse_args()
    result: dict[str, Any] = {"photos": [], "hostile": [], "budget_mb": round(DECODING.size / 1e6)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo"
        print(f"{'photo':32}{'MP':>8}" + "".join(f"{way:>9}" for way in COLUMNS) + "   bytes per pixel")
        for megapixels in arguments.megapixels:
            for name, raw in photos(megapixels):
                pixels = Image.open(io.BytesIO(raw)).size
                megapixel = pixels[0] * pixels[1] / 1e6
                row, _ = compare(raw, path)
                shares = " ".join(f"{row[way] / megapixel:6.1f}" for way in COLUMNS)
                print(line(name, f"{megapixel:8.1f}", row, shares), flush=True)
                result["photos"].append({"photo": name, "megapixels": round(megapixel, 1), **row})
        print(f"\n{'hostile file':32}{'KB':>8}" + "".join(f"{way:>9}" for way in COLUMNS) + "   told people")
        for name, raw in hostile():
            row, says = compare(raw, path)
            print(line(name, f"{len(raw) / 1e3:8.1f}", row, says[:100]), flush=True)
            result["hostile"].append({"file": name, "kb": round(len(raw) / 1e3, 1), **row})
    beyond = [row["photo"] for row in result["photos"] if not most(row) <= row["charged"]]
    beyond += [row["file"] for row in result["hostile"] if not most(row) <= DECODING.size / 1e6]
    result["beyond"] = beyond
    print(json.dumps(result))
    sys.exit(bool(beyond))


def compare(raw: bytes, path: Path) -> tuple[dict[str, float], str]:
    """MB by column, and what people are told of the photo if it is refused."""
    path.write_bytes(raw)
    rows = {way: measured(way, path) for way in WAYS}
    return {way: rows[way]["mb"] for way in WAYS} | {"charged": charged(raw)}, rows["people"]["says"]


def most(row: dict[str, Any]) -> float:
    return max(float(row[way]) for way in WAYS[1:])


def line(name: str, size: str, row: dict[str, float], end: str) -> str:
    return f"{name:32}{size}" + "".join(f"{row[way]:9.0f}" for way in COLUMNS) + "   " + end


if __name__ == "__main__":
    main()
