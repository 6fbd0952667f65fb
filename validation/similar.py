"""Nearly the same photo again: cropped by a hair, smaller, saved once more."""

from __future__ import annotations

import imagehash
import numpy as np
from django.db.models import Q
from numpy.typing import NDArray
from PIL import Image

from validation.models import Photo

# Bits of 64 by which near duplicates may differ. Measured in docs/experiments.md.
NEAR = 6


def perceptual_hash(picture: Image.Image) -> int:
    """64 bits of the picture's coarse structure (pHash: signs of low DCT coefficients), as a signed int."""
    bits = imagehash.phash(picture).hash
    return int(np.packbits(bits).view(">i8")[0])


class Known:
    """The hashes of all photos that are shown: 8 bytes each, compared all at once; 100,000 take 1 ms."""

    def __init__(self) -> None:
        # What resembles a photo that is gone stands for itself again.
        alone = Q(near_duplicate_of=None) | Q(near_duplicate_of__withdrawn_at__isnull=False)
        rows = Photo.objects.shown().filter(alone, phash__isnull=False).order_by("pk")
        pairs = np.array(list(rows.values_list("pk", "phash")), np.int64).reshape(-1, 2)
        self.ids: NDArray[np.int64] = pairs[:, 0]
        self.hashes: NDArray[np.uint64] = pairs[:, 1].view(np.uint64).copy()
        self.fresh: list[tuple[int, int]] = []

    def nearest(self, phash: int, *, but: int) -> int | None:
        """The photo nearest to this hash, itself apart; None if none differs by NEAR bits or fewer."""
        if len(self.fresh) > 1000:
            self._take_in_fresh()
        wanted = np.array([phash], np.int64).view(np.uint64)
        best, found = NEAR + 1, None
        if len(self.ids):
            distances = np.bitwise_count(self.hashes ^ wanted)
            distances[self.ids == but] = 64
            at = int(distances.argmin())
            best, found = int(distances[at]), int(self.ids[at])
        for pk, other in self.fresh:
            distance = ((other ^ phash) & (2**64 - 1)).bit_count()
            if pk != but and distance < best:
                best, found = distance, pk
        return found if best <= NEAR else None

    def add(self, pk: int, phash: int) -> None:
        self.fresh.append((pk, phash))

    def _take_in_fresh(self) -> None:
        fresh = np.array(self.fresh, np.int64)
        self.ids = np.concatenate([self.ids, fresh[:, 0]])
        self.hashes = np.concatenate([self.hashes, fresh[:, 1].view(np.uint64)])
        self.fresh = []
