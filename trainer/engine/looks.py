"""What the photos of each scene class look like to a frozen backbone: the mean of their features.

Imports no network, so that web processes can read what an engine has written.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from formats.storage import replacing
from formats.texts import Text
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import PhotosError
from trainer.engine.events import Progress, StopRequest, emit
from trainer.engine.photos.manifest import Photo, read_manifest, with_hashes

PER_CLASS = 16  # photos looked at; more hardly move the mean: docs/experiments.md

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Looks:
    """Row i of each array is about class i.

    means (n, f): of features that were scaled to length 1. photos (n,): how many were looked at. agreement
    (n,): the mean cosine of two different photos of the class, measured from the mean of all classes: near 0
    if they are no more alike than photos of different classes, 1 if they are equal, NaN for a single photo.
    """

    classes: tuple[str, ...]
    means: Floats
    photos: NDArray[np.int64]
    agreement: Floats

    def to_bytes(self) -> bytes:
        """As an npz; the means are halved to 16 bits."""
        file = io.BytesIO()
        np.savez(
            file,
            classes=np.array(self.classes, np.str_),
            means=self.means.astype(np.float16),
            photos=self.photos,
            agreement=self.agreement,
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Looks:
        """Raises ValueError if it is not what to_bytes has written."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(
                tuple(arrays["classes"].tolist()),
                arrays["means"].astype(np.float32),
                arrays["photos"],
                arrays["agreement"],
            )


def look(manifest: Path, file: Path, *, backbone: str, cache: Path, stop: StopRequest) -> Looks:
    """Look at some photos of each class of a manifest and write the result. Features that are cached are not
    computed again. Raises PhotosError, WeightsError and Stopped.
    """
    from trainer.engine.networks.features import extract

    photos = sample(read_manifest(manifest))
    photos = with_hashes(photos, stop)
    rows = extract(
        photos,
        BACKBONES[backbone],
        "whole",
        cache,
        stop=stop,
        progress=Progress("features", len(photos)),
        skipped=lambda photo, reason: emit("skipped", photo_id=photo.photo_id, reason=reason),
    )
    looks = summarised(photos, rows)
    with replacing(file, "wb") as opened:
        opened.write(looks.to_bytes())
    return looks


def sample(photos: Sequence[Photo]) -> list[Photo]:
    """At most PER_CLASS photos of each class, evenly over its photos in the order of the manifest."""
    by_class: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        by_class[photo.scene_class].append(photo)
    return [
        group[at]
        for group in by_class.values()
        for at in np.unique(np.linspace(0, len(group) - 1, min(PER_CLASS, len(group))).round().astype(int))
    ]


def summarised(photos: Sequence[Photo], rows: Mapping[str, NDArray[np.floating]]) -> Looks:
    """rows: features (f,) by the hash of a photo; photos without one are left out. Raises PhotosError if none
    is left.
    """
    by_class: dict[str, dict[str, NDArray[np.floating]]] = defaultdict(dict)
    for photo in photos:
        if photo.sha256 in rows:
            by_class[photo.scene_class][photo.sha256] = rows[photo.sha256]
    if not by_class:
        raise PhotosError(
            Text("no photo of the set can be read"), hint=Text("Is its folder still where it was?")
        )
    classes = tuple(sorted(by_class))
    features = [_length_one(np.stack(list(by_class[key].values())).astype(np.float32)) for key in classes]
    means = np.stack([group.mean(0) for group in features])
    centre = means.mean(0)
    return Looks(
        classes,
        means,
        np.array([len(group) for group in features]),
        np.array([_agreement(_length_one(group - centre)) for group in features], np.float32),
    )


def _agreement(rows: Floats) -> float:
    count = len(rows)
    total = rows.sum(0)
    return float((total @ total - count) / (count * (count - 1))) if count > 1 else float("nan")


def _length_one(rows: Floats) -> Floats:
    scaled: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled
