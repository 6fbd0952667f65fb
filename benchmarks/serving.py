"""How fast hashtags are suggested, by EfficientNet-Lite0, the smallest backbone offered.

    python -m benchmarks.serving --bulk [--rounds 5] [--threads 2]

--bulk: JPEG files of 1,080 px, many at once, as `manage.py suggest` and the prediction of a campaign ask.
The baseline is the same network in eager PyTorch, in batches of 16, with photos opened and resized by Pillow
in as many threads. Both sides read the same files in turns. Shown are the photos a second of each side's best
round, the processor time a photo of its cheapest one, and for how many photos both rank the same label first.
Then what one thread spends on a photo: opening (file to pixels), resizing and the network; the same for JPEGs
of 12 megapixels with grain, which enlarged photos lack.

If the machine does other work, trust the processor time. The photos are those of samples/, enlarged. The head
is random: it does not change the pace.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.photos import print_table
from formats.json_text import to_json
from trainer.engine.networks.finetuned import input_of
from trainer.engine.networks.parts import FrozenNetwork, build_head
from trainer.engine.opening import open_photo
from trainer.engine.photos.manifest import batched
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.presets import PRESETS
from trainer.engine.serving.export import sample_pixels, write_model
from trainer.engine.serving.predict import Suggester

SAMPLES = Path(__file__).parents[1] / "samples"
LABELS = [f"label{number}" for number in range(21)]
BATCH = 16  # of the baseline
LARGE_PHOTOS = 16
GRAIN = 4.0  # standard deviation of the tones of the large photos


def enlarged(into: Path, side: int, count: int | None = None, *, grain: float = 0) -> list[Path]:
    """Write the sample photos as JPEGs with ``side`` px on their long side; returns the files."""
    into.mkdir()
    files = []
    noise = np.random.default_rng(0)
    for path in sorted(SAMPLES.rglob("*.jpg"))[:count]:
        with Image.open(path) as photo:
            scale = side / max(photo.size)
            size = (round(photo.width * scale), round(photo.height * scale))
            large = photo.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        if grain:
            tones = np.asarray(large, np.float32) + noise.normal(0, grain, (large.height, large.width, 1))
            large = Image.fromarray(tones.clip(0, 255).astype(np.uint8))
        files.append(into / path.name)
        large.save(files[-1], "JPEG", quality=90)
    return files


def make_model(folder: Path, photos: list[Path]) -> tuple[nn.Module, Input]:
    """Write a model folder; returns its network in PyTorch and what that takes."""
    torch.manual_seed(0)
    recipe = PRESETS["frozen-lite0"].recipe
    head = build_head(recipe, range(len(LABELS)), len(LABELS))
    network, spec = FrozenNetwork(recipe.backbones, head).eval(), input_of(recipe)
    facts = {"labels": LABELS, "temperature": 1.0, "thresholds": dict.fromkeys(LABELS, 0.5)}
    write_model(network, spec, facts, folder, sample_pixels([str(path) for path in photos], spec))
    return network, spec


# --- the two sides


def ask_pytorch(network: nn.Module, spec: Input, photos: list[Path], threads: int) -> Iterator[int]:
    """The label that is ranked first for each photo."""

    def load(path: Path) -> Any:
        with Image.open(path) as photo:
            size = (spec.size, spec.size)
            return np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BICUBIC))

    torch.set_num_threads(threads)
    with ThreadPoolExecutor(threads) as pool, torch.inference_mode():
        for batch in batched(photos, BATCH):
            pixels = as_batch(pool.map(load, batch), spec)
            yield from network(torch.from_numpy(pixels)).argmax(1).tolist()


def ask_ours(suggester: Suggester, photos: list[Path]) -> Iterator[int]:
    for answer in suggester.suggest(photos):
        to_json(answer.as_dict())
        yield LABELS.index(max(answer.probabilities, key=lambda label: answer.probabilities[label]))


class Side:
    """What one side's rounds took: seconds and processor seconds a photo."""

    def __init__(self, ask: Callable[[], Iterator[int]]) -> None:
        self.ask = ask
        self.labels = list(ask())  # not timed
        self.seconds, self.processor = list[float](), list[float]()

    def time(self) -> None:
        start, processor = time.monotonic(), time.process_time()
        self.labels = list(self.ask())
        self.seconds.append((time.monotonic() - start) / len(self.labels))
        self.processor.append((time.process_time() - processor) / len(self.labels))

    def figures(self) -> dict[str, float]:
        return {"photos/s": 1 / min(self.seconds), "processor ms": 1000 * min(self.processor)}


def stages(suggester: Suggester, photos: list[Path]) -> dict[str, float]:
    """Milliseconds of one thread's processor time a photo, of three rounds the cheapest, and their shares."""
    spec, rounds = suggester.network.input, []
    for _ in range(3):
        spent = np.zeros(3)
        for path in photos:
            at = [time.thread_time()]
            with open_photo(path, size=spec.size) as photo:
                at.append(time.thread_time())
                pixels = resized(photo, spec)
            at.append(time.thread_time())
            suggester.network.answer(pixels[np.newaxis])
            at.append(time.thread_time())
            spent += np.diff(at)
        rounds.append(1000 * spent / len(photos))
    cheapest = min(rounds, key=sum)
    names = ("opening", "resizing", "network")
    row = {f"{name} ms": float(value) for name, value in zip(names, cheapest, strict=True)}
    shares = cheapest / cheapest.sum()
    return row | {f"{name} %": float(100 * share) for name, share in zip(names, shares, strict=True)}


def bulk(folder: Path, *, rounds: int, threads: int) -> dict[str, Any]:
    photos = enlarged(folder / "1080", 1080)
    large = enlarged(folder / "12", 4000, LARGE_PHOTOS, grain=GRAIN)
    network, spec = make_model(folder / "model", photos)
    suggester = Suggester(folder / "model", threads=threads)
    plain = Side(lambda: ask_pytorch(network, spec, photos, threads))
    ours = Side(lambda: ask_ours(suggester, photos))
    for _ in range(rounds):
        plain.time()
        ours.time()
    sides = {"eager PyTorch, Pillow": plain.figures(), "Suggester": ours.figures()}
    print_table(sides)
    parts = {"1,080 px": stages(suggester, photos), "12 megapixels": stages(suggester, large)}
    print_table(parts)
    base, mine = sides.values()
    return {
        "benchmark": "serving --bulk",
        "photos": len(photos),
        "threads": threads,
        "kilobytes": round(sum(path.stat().st_size for path in photos) / len(photos) / 1000),
        "kilobytes_of_large": round(sum(path.stat().st_size for path in large) / len(large) / 1000),
        "baseline": "the same network in eager PyTorch, photos opened and resized by Pillow",
        "photos_per_second": round(mine["photos/s"], 1),
        "pace_ratio": round(mine["photos/s"] / base["photos/s"], 2),
        "processor_ratio": round(base["processor ms"] / mine["processor ms"], 2),
        "same_label": sum(a == b for a, b in zip(plain.labels, ours.labels, strict=True)) / len(photos),
        "stages": parts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bulk", action="store_true", required=True, help="many files at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenetag-serving-") as name:
        print(json.dumps(bulk(Path(name), rounds=options.rounds, threads=options.threads)))


if __name__ == "__main__":
    main()
