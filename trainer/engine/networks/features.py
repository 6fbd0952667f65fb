"""Features of photos under a frozen backbone, kept on disk so that no photo is computed twice.

A photo is known by the SHA-256 of its bytes, so the same photo under another name or in another set is not
computed again. Every chunk of photos is one file, written aside and renamed: a killed run loses at most one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from trainer.engine.backbones import Backbone
from trainer.engine.events import Progress, StopRequest
from trainer.engine.opening import VERSION, UnreadablePhotoError, open_photo
from trainer.engine.photos.manifest import Photo, batched
from trainer.engine.preprocess import Input, as_batch, resized

Halves = NDArray[np.float16]
Bytes = NDArray[np.uint8]

BATCH = 32
CHUNK = 512  # photos a file: about 1.3 MB, a few seconds of work
SMALL = 128  # px of the "small" view: what a photo looks like in a data set of thumbnails


class FeatureCache:
    """Rows of float16 features by content hash, for one backbone and view."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.rows: dict[str, Halves] = {}
        for file in sorted(folder.glob("*.npz")):
            try:
                with np.load(file) as chunk:
                    self.rows.update(zip(chunk["sha256"].tolist(), chunk["features"], strict=True))
            except Exception:  # a damaged chunk is computed again; zip, numpy and the disk all may raise
                file.unlink(missing_ok=True)

    def add(self, hashes: Sequence[str], features: Halves) -> None:
        """Keep the rows, on disk first."""
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, sha256=np.array(hashes), features=features)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, Path(name).with_suffix(".npz"))
        self.rows.update(zip(hashes, features, strict=True))


def view_of(photo: Image.Image, view: str, spec: Input) -> Bytes:
    """The photo's pixels under one view: whole, flip, small (from 128 px) or zoom (the middle 80 %)."""
    if view == "flip":
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elif view == "small":
        shrink = SMALL / max(photo.size)
        if shrink < 1:
            sides = tuple(max(1, round(side * shrink)) for side in photo.size)
            photo = photo.resize((sides[0], sides[1]), Image.Resampling.BICUBIC, reducing_gap=3.0)
    elif view == "zoom":
        across, down = photo.width * 0.1, photo.height * 0.1
        photo = photo.crop((int(across), int(down), int(photo.width - across), int(photo.height - down)))
    return resized(photo, spec)


def backbone_session(backbone: Backbone, folder: Path) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the packaged weights: several times faster than eager PyTorch on a processor."""
    from trainer.engine.networks.onnx import write_backbone

    file = folder / f"{backbone.name}.onnx"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        write_backbone(backbone, Path(name))
        os.replace(name, file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def extract(
    photos: Sequence[Photo],
    backbone: Backbone,
    view: str,
    cache: Path,
    *,
    stop: StopRequest,
    progress: Progress,
    skipped: Callable[[Photo, str], None],
) -> dict[str, Halves]:
    """Feature rows (f,) by content hash, from the cache or computed; unreadable photos are left out."""
    store = FeatureCache(cache / f"{backbone.name}-{backbone.input.size}-{view}-{VERSION}")
    missing = list({photo.sha256: photo for photo in photos if photo.sha256 not in store.rows}.values())
    progress.advance(len(photos) - len(missing))
    if missing:
        _compute(missing, backbone, view, cache, store, stop=stop, progress=progress, skipped=skipped)
    return {photo.sha256: store.rows[photo.sha256] for photo in photos if photo.sha256 in store.rows}


def _compute(
    missing: Sequence[Photo],
    backbone: Backbone,
    view: str,
    cache: Path,
    store: FeatureCache,
    *,
    stop: StopRequest,
    progress: Progress,
    skipped: Callable[[Photo, str], None],
) -> None:
    spec = backbone.input
    session = backbone_session(backbone, cache)
    hashes: list[str] = []
    rows: list[Halves] = []

    def keep() -> None:
        if hashes:
            store.add(hashes, np.concatenate(rows))
            hashes.clear()
            rows.clear()

    for batch in _decoded(missing, view, spec):
        good = [(photo, pixels) for photo, pixels, _ in batch if pixels is not None]
        for photo, pixels, reason in batch:
            if pixels is None:
                skipped(photo, reason)
        if good:
            inputs = as_batch([pixels for _, pixels in good], spec)
            rows.append(session.run(None, {"photos": inputs})[0].astype(np.float16))
            hashes += [photo.sha256 for photo, _ in good]
        progress.advance(len(batch))
        if len(hashes) >= CHUNK or stop:
            keep()
            stop.check()
    keep()


def _decoded(
    photos: Sequence[Photo], view: str, spec: Input
) -> Iterator[list[tuple[Photo, Bytes | None, str]]]:
    """Batches of decoded photos; the next batch is decoded while the caller computes on this one."""

    def load(photo: Photo) -> tuple[Photo, Bytes | None, str]:
        try:
            return photo, view_of(open_photo(photo.path, size=spec.size), view, spec), ""
        except UnreadablePhotoError as error:
            return photo, None, str(error)

    with ThreadPoolExecutor(2) as threads:
        ahead = None
        for batch in batched(photos, BATCH):
            futures = [threads.submit(load, photo) for photo in batch]
            if ahead is not None:
                yield [future.result() for future in ahead]
            ahead = futures
        if ahead is not None:
            yield [future.result() for future in ahead]
