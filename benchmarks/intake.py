"""Intake of photos: photos per second, compared with a bare Pillow loop; hostile files.

    python -m benchmarks.intake [--photos 600] [--data ../shared/data]

The loop reads, hashes, decodes, turns, scales to two sizes and writes. The intake does the same, and also
finds duplicates and stores the terms and the outcome of each file in the database. Both run on one core, in
turn, three times, on the same photos: those of sun_photos.tar if it is there, otherwise noise; and 40 photos
of 12 megapixels. Before that: the hostile files and the largest photo allowed, with the memory they take.
Last: the distance between photos and their variants, in bits of the perceptual hash (with sun_photos.tar
only).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.photos import DATA

LARGE, REPETITIONS = 40, 3
BITS = (2, 4, 6, 8, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenetag-intake-") as name:
        folder = Path(name)
        os.environ["SCENETAG_VAR"] = str(folder / "var")
        os.environ["PHOTO_ROOTS"] = str(folder)
        os.environ["DJANGO_SETTINGS_MODULE"] = "hashtags_site.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        result: dict[str, Any] = {
            "hostile": hostile(),  # first, because memory is measured by its peak
            "largest": largest(folder / "largest.png"),
            "usual": compare(usual(folder / "usual", options.data, options.photos), folder),
            "12 megapixels": compare(large(folder / "large"), folder),
        }
        if (options.data / "sun_photos.tar").exists():
            result["bits"] = distances(options.data / "sun_photos.tar")
    print(json.dumps(result))


# --- photos -----------------------------------------------------------------------------------


def usual(folder: Path, data: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    if (data / "sun_photos.tar").exists():
        for number, raw in enumerate(from_tar(data / "sun_photos.tar", count)):
            (folder / f"{number}.jpg").write_bytes(raw)
        return folder
    for number in range(count):
        noise(number, (640, 480)).save(folder / f"{number}.jpg", quality=90)
    return folder


def from_tar(path: Path, count: int) -> list[bytes]:
    with tarfile.open(path) as archive:
        members = [one for one in archive if one.name.endswith(".jpg")]
        random.Random(0).shuffle(members)
        files = (archive.extractfile(one) for one in members[:count])
        return [file.read() for file in files if file]


def noise(seed: int, size: tuple[int, int]) -> Image.Image:
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 255, (60, 80, 3), np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def large(folder: Path) -> Path:
    folder.mkdir()
    for number in range(LARGE):
        exif = Image.Exif()
        exif[0x0112] = 6
        noise(number, (4000, 3000)).save(folder / f"{number}.jpg", quality=90, exif=exif)
    return folder


# --- speed ------------------------------------------------------------------------------------


def compare(photos: Path, folder: Path) -> dict[str, float]:
    from validation.models import Photo

    count = len(list(photos.iterdir()))
    bare_seconds, intake_seconds = [], []
    for _ in range(REPETITIONS):
        bare_seconds.append(timed(lambda: loop(photos, folder / "bare")))
        shutil.rmtree(folder / "bare")
        Photo.objects.all().delete()
        shutil.rmtree(folder / "var/media", ignore_errors=True)
        intake_seconds.append(timed(lambda: take_in(photos)))
        assert Photo.objects.count() == count
    result = {
        "photos": count,
        "bare_per_s": round(count / min(bare_seconds), 1),
        "intake_per_s": round(count / min(intake_seconds), 1),
        "ratio": round(min(intake_seconds) / min(bare_seconds), 2),
    }
    print(f"{photos.name:<8}{count:>6} photos: a bare loop {result['bare_per_s']}/s, ", end="")
    print(f"the intake {result['intake_per_s']}/s, {result['ratio']} times as long")
    return result


def timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def loop(photos: Path, into: Path) -> None:
    into.mkdir()
    for path in sorted(photos.iterdir()):
        raw = path.read_bytes()
        name = hashlib.sha256(raw).hexdigest()
        picture: Image.Image = Image.open(io.BytesIO(raw))
        picture.draft("RGB", (1280, 1280))
        picture.thumbnail((1280, 1280))
        picture = ImageOps.exif_transpose(picture)
        picture.convert("RGB").save(into / f"{name}.jpg", quality=88, optimize=True)
        if max(picture.size) > 640:
            picture.thumbnail((640, 640))
            picture.convert("RGB").save(into / f"{name}.small.jpg", quality=88, optimize=True)


def take_in(photos: Path) -> None:
    from jobs import work
    from validation.photos import intake

    new_intake = intake.start(name=photos.name, by=None, folder=str(photos))
    work.run(job_id=str(new_intake.job_id))
    assert not new_intake.files.exclude(state__in=("taken", "similar")).exists()


# --- hostile files ----------------------------------------------------------------------------


def hostile() -> dict[str, float]:
    from tests.validation.photos.hostile import files
    from validation.models import Photo
    from validation.photos.store import PhotoRefused, receive

    Photo.objects.all().delete()
    hostile_files = files()
    memory_before, refused_count = peak_mb(), 0
    began = time.perf_counter()
    for name, raw in hostile_files.items():
        try:
            receive(file=io.BytesIO(raw), name=name, by=None)
        except PhotoRefused:
            refused_count += 1
    result = {
        "files": len(hostile_files),
        "refused": refused_count,
        "stored": Photo.objects.count(),
        "seconds": round(time.perf_counter() - began, 2),
        "more_mb": round(peak_mb() - memory_before),
    }
    print(
        f"hostile: {refused_count} of {len(hostile_files)} files refused, {result['stored']} stored, ", end=""
    )
    print(f"{result['more_mb']} MB more at the peak")
    return result


def largest(path: Path) -> dict[str, float]:
    """The largest photo that is accepted, a PNG of 100 megapixels, which must be decoded completely."""
    from validation.models import Photo
    from validation.photos.store import receive

    make = "import sys; from PIL import Image; Image.new('RGB', (10000, 10000), 'teal').save(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", make, str(path)], check=True
    )  # in another process, whose memory does not count
    before, began = peak_mb(), time.perf_counter()
    with path.open("rb") as file:
        photo, _ = receive(file=file, name=path.name, by=None)
    result = {"seconds": round(time.perf_counter() - began, 2), "more_mb": round(peak_mb() - before)}
    assert (photo.width, Photo.objects.count()) == (1280, 1)
    print(f"100 megapixels: {result['seconds']} s, {result['more_mb']} MB more at the peak")
    return result


def peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


# --- near duplicates --------------------------------------------------------------------------


def distances(path: Path, photos: int = 6000, varied: int = 400) -> dict[str, Any]:
    from validation.photos.similar import perceptual_hash

    hashes: list[int] = []
    bits_by_variant: dict[str, list[int]] = {}
    for number, raw in enumerate(from_tar(path, photos)):
        picture = Image.open(io.BytesIO(raw)).convert("RGB")
        hashes.append(perceptual_hash(picture))
        for name, other in variants(picture).items() if number < varied else ():
            bits = ((perceptual_hash(other) ^ hashes[-1]) & (2**64 - 1)).bit_count()
            bits_by_variant.setdefault(name, []).append(bits)
    all_hashes = np.array(hashes, np.int64).view(np.uint64)
    nearest = []
    for at, one in enumerate(all_hashes):
        bits_of = np.bitwise_count(all_hashes ^ one)
        bits_of[at] = 64
        nearest.append(int(bits_of.min()))
    print(f"\n{'bits or fewer':<34}" + "".join(f"{bits:>7}" for bits in BITS))
    result: dict[str, Any] = {}
    for name, bits_apart in bits_by_variant.items():
        result[name] = [round(float(np.mean(np.array(bits_apart) <= bits)), 3) for bits in BITS]
        print(f"{name:<34}" + "".join(f"{share:>7.1%}" for share in result[name]))
    result["different photos"] = [sum(one <= bits for one in nearest) for bits in BITS]
    label = f"of {len(all_hashes):,} photos, with another this close"
    print(f"{label:<34}" + "".join(f"{count:>7}" for count in result["different photos"]))
    return result


def variants(picture: Image.Image) -> dict[str, Image.Image]:
    width, height = picture.size
    again = io.BytesIO()
    picture.save(again, "JPEG", quality=40)

    def cropped(share: float) -> Image.Image:
        x, y = int(width * share), int(height * share)
        return picture.crop((x, y, width - x, height - y))

    return {
        "half the size": picture.resize((width // 2, height // 2)),
        "saved again, quality 40": Image.open(again),
        "2 % cut off each side": cropped(0.02),
        "5 % cut off each side": cropped(0.05),
        "a fifth brighter": ImageEnhance.Brightness(picture).enhance(1.2),
    }


if __name__ == "__main__":
    main()
