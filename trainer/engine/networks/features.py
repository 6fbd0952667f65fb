"""Computes features of photos with a frozen backbone and caches them on disk, so that none is computed twice.

The SHA-256 of its bytes identifies a photo, so the same photo under another name or in another set is not
computed again. Each chunk of photos is one file, written under another name and then renamed: a killed run
loses at most one chunk.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from formats import spans
from formats.storage import StorageFailure, for_own_files, raise_if_of_storage, replacing, replacing_path
from formats.texts import Text
from trainer.engine.backbones import Backbone
from trainer.engine.errors import NotANumberError
from trainer.engine.events import Progress, StopRequest
from trainer.engine.opening import VERSION, UnreadablePhotoError, open_photo
from trainer.engine.photos.manifest import Photo, batched
from trainer.engine.preprocess import Input, as_batch, resized

Halves = NDArray[np.float16]
Bytes = NDArray[np.uint8]

BATCH = 32
CHUNK = 512  # photos per file: about 1.3 MB, a few seconds of work
SMALL = 128  # px of the "small" view, which looks like a photo in a data set of thumbnails


class Reader(Protocol):
    """A network whose outputs are kept: a backbone, or a teacher."""

    @property
    def name(self) -> str: ...

    @property
    def input(self) -> Input: ...


class FeatureCache:
    """Rows of float16 features (f,) by content hash, for one network and view."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with for_own_files():
            folder.mkdir(parents=True, exist_ok=True)
        self.rows: dict[str, Halves] = {}
        for file in sorted(folder.glob("*.npz")):
            try:
                with np.load(file) as chunk:
                    features = chunk["features"]
                    if not np.isfinite(features).all():
                        raise ValueError("features are not numbers")
                    self.rows.update(zip(chunk["sha256"].tolist(), features, strict=True))
            except MemoryError:
                raise
            except Exception as error:  # zip and numpy may both raise
                if isinstance(error, OSError) and error.errno is not None:
                    raise StorageFailure(error) from error
                file.unlink(missing_ok=True)  # a damaged chunk is computed again

    def add(self, hashes: Sequence[str], features: Halves) -> None:
        """Add the rows, first on disk and then in memory."""
        write_chunk(self.folder, hashes, features)
        self.rows.update(zip(hashes, features, strict=True))


def folder_of(cache: Path, backbone: Backbone, view: str) -> Path:
    return cache / f"{backbone.name}-{backbone.input.size}-{view}-{VERSION}"


def write_chunk(folder: Path, hashes: Sequence[str], features: Halves) -> None:
    """Write a file whose name tells its photos, so that whoever computes them again replaces it."""
    name = hashlib.sha256("".join(hashes).encode()).hexdigest()[:32]
    with replacing(folder / f"{name}.npz", "wb") as file:
        np.savez(file, sha256=np.array(hashes), features=features)


def cached_hashes(folder: Path) -> set[str]:
    """The photos that have features in this folder, without reading these. Damaged files are passed over."""
    hashes: set[str] = set()
    for file in folder.glob("*.npz"):
        try:
            with np.load(file) as chunk:
                hashes.update(chunk["sha256"].tolist())
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise_if_of_storage(error)
    return hashes


def view_of(photo: Image.Image, view: str, spec: Input) -> Bytes:
    """The photo's pixels (size, size, 3) in a view: whole, flip, small (by way of 128 px) or zoom (middle 80
    %).
    """
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


def backbone_session(
    backbone: Backbone, folder: Path, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session of the backbone: several times faster than eager PyTorch on a processor.

    It uses all cores unless `threads` says how many.
    """
    from trainer.engine.networks.onnx import write_backbone

    file = folder / f"{backbone.name}.onnx"
    if not file.exists():
        with replacing_path(file) as part:
            write_backbone(backbone, part)
    return session_of(file, threads)


def session_of(file: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    options.intra_op_num_threads = threads or cores
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
    """Feature rows (f,) by content hash, from the cache or computed. Unreadable photos are left out; each is
    passed to ``skipped`` with the reason. Raises Stopped.
    """
    return outputs_of(
        photos,
        backbone,
        view,
        folder_of(cache, backbone, view),
        lambda: backbone_session(backbone, cache),
        stop=stop,
        progress=progress,
        skipped=skipped,
    )


def outputs_of(
    photos: Sequence[Photo],
    reader: Reader,
    view: str,
    folder: Path,
    session: Callable[[], onnxruntime.InferenceSession],
    *,
    stop: StopRequest,
    progress: Progress,
    skipped: Callable[[Photo, str], None],
) -> dict[str, Halves]:
    """As ``extract``, of any network. ``folder`` keeps its rows; ``session`` is made if one is missing."""
    store = FeatureCache(folder)
    missing = list({photo.sha256: photo for photo in photos if photo.sha256 not in store.rows}.values())
    progress.advance(len(photos) - len(missing))
    if missing:
        compute(missing, reader, view, session(), store.add, stop=stop, progress=progress, skipped=skipped)
    return {photo.sha256: store.rows[photo.sha256] for photo in photos if photo.sha256 in store.rows}


def compute(
    missing: Sequence[Photo],
    reader: Reader,
    view: str,
    session: onnxruntime.InferenceSession,
    add: Callable[[Sequence[str], Halves], None],
    *,
    stop: StopRequest,
    progress: Progress,
    skipped: Callable[[Photo, str], None],
) -> None:
    """Compute features of photos, all outputs side by side; `add` gets them a chunk at a time. Raises
    Stopped after the last chunk.
    """
    spec = reader.input
    hashes: list[str] = []
    rows: list[Halves] = []

    def keep() -> None:
        if hashes:
            add(hashes, np.concatenate(rows))
            hashes.clear()
            rows.clear()

    for batch in spans.each("decode", _decode_batches(missing, view, spec)):
        good = [(photo, pixels) for photo, pixels, _ in batch if pixels is not None]
        for photo, pixels, reason in batch:
            if pixels is None:
                skipped(photo, reason)
        if good:
            inputs = as_batch([pixels for _, pixels in good], spec)
            with spans.span("network", {"photos": len(good)}):
                features = np.concatenate(session.run(None, {"photos": inputs}), 1).astype(np.float16)
            for (photo, _), row in zip(good, features, strict=True):
                if not np.isfinite(row).all():
                    raise NotANumberError(
                        Text(
                            "%(reader)s gives features of %(path)s that are no finite numbers",
                            reader=reader.name,
                            path=photo.path,
                        ),
                        hint=Text("Take this photo out of the photo set, or choose another network."),
                    )
            rows.append(features)
            hashes += [photo.sha256 for photo, _ in good]
        progress.advance(len(batch))
        if len(hashes) >= CHUNK or stop:
            keep()
            stop.check()
    keep()


def _decode_batches(
    photos: Sequence[Photo], view: str, spec: Input
) -> Iterator[list[tuple[Photo, Bytes | None, str]]]:
    """Yields batches of decoded photos; the next batch is decoded while the caller computes on this one."""

    def load(photo: Photo) -> tuple[Photo, Bytes | None, str]:
        try:
            with open_photo(photo.path, size=spec.size) as picture:
                return photo, view_of(picture, view, spec), ""
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
