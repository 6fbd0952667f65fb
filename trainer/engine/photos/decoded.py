"""Photos that are decoded and made small once: their pixels lie in one file on disk until the run ends.

Decoding a photo takes milliseconds, reading its pixels takes microseconds. The file is reserved as a whole,
so a full disk is an error at the start and never in the middle.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.engine.photos.manifest import Photo


def side_for(size: int, augment: float) -> int:
    """The side in px from which strength ``augment`` makes ``size`` px without enlarging what it cuts out."""
    return math.ceil(size / max(0.5, 1 - 0.1 * augment))


class DecodedPhotos:
    """Pixels (side, side, 3) of the first photos of a list, as many as fit into ``megabytes``.

    A photo is known by its SHA-256: the same file twice has one place. Several processes may read and write:
    whoever decodes a photo writes the same pixels, and marks them as written afterwards.
    """

    def __init__(self, file: Path, photos: Sequence[Photo], side: int, *, megabytes: float) -> None:
        """Reserve the file; one that a killed run left is emptied. Raises OSError if the disk has no room."""
        self.file, self.side, self.bytes = file, side, side * side * 3
        places: dict[str, int] = {}
        most = int(megabytes * 1_000_000) // (self.bytes + 1)
        self.places: list[int | None] = []  # by the photo's place in the list
        for photo in photos:
            if photo.sha256 not in places and len(places) < most:
                places[photo.sha256] = len(places)
            self.places.append(places.get(photo.sha256))
        self.count = len(places)
        self.handle: int | None = None
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        if self.count:
            try:
                os.posix_fallocate(self._open(), 0, self.count * (self.bytes + 1))
            except OSError:
                self.remove()
                raise

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "handle": None}  # each process opens the file itself

    def holds(self, at: int) -> bool:
        """Whether the photo at this place of the list belongs to those that fit."""
        return self.places[at] is not None

    def read(self, at: int) -> NDArray[np.uint8] | None:
        """The pixels (side, side, 3) of the photo at this place of the list; None if nobody wrote them."""
        place = self.places[at]
        if place is None or os.pread(self._open(), 1, place) != b"\1":
            return None
        content = os.pread(self._open(), self.bytes, self._start(place))
        return np.frombuffer(content, np.uint8).reshape(self.side, self.side, 3)

    def write(self, at: int, pixels: NDArray[np.uint8]) -> None:
        place = self.places[at]
        if place is not None:
            os.pwrite(self._open(), pixels.tobytes(), self._start(place))
            os.pwrite(self._open(), b"\1", place)

    def remove(self) -> None:
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None
        self.file.unlink(missing_ok=True)

    def _start(self, place: int) -> int:
        return self.count + place * self.bytes  # the marks come first

    def _open(self) -> int:
        if self.handle is None:
            self.handle = os.open(self.file, os.O_RDWR)
        return self.handle
