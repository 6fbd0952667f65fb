"""Nearly the same photo again: cropped by a hair, smaller, saved once more."""

from __future__ import annotations

import imagehash
import numpy as np
from django.db.models import Q
from PIL import Image

from validation.models import Photo

# Bits of 64 by which near duplicates may differ. Measured in docs/experiments.md.
NEAR = 6


def perceptual_hash(picture: Image.Image) -> int:
    """64 bits of the picture's coarse structure (pHash: signs of low DCT coefficients), as a signed int."""
    bits = imagehash.phash(picture).hash
    return int(np.packbits(bits).view(">i8")[0])


class Known:
    """The hashes of all photos that are shown: 8 bytes each, compared all at once; 100,000 take 1 ms.

    A photo is compared with those that came before it, by primary key: two intakes at once see each other's
    photos, and of two near duplicates exactly one is called so. What comes later is read as it is needed.
    """

    def __init__(self) -> None:
        self.ids = np.empty(0, np.int64)  # ascending
        self.hashes = np.empty(0, np.uint64)
        self.fresh: list[tuple[int, int]] = []  # appending to an array copies it: a thousand at a time

    def nearest(self, phash: int, *, before: int) -> int | None:
        """The photo nearest to this hash among those with a lower primary key; None if none differs by NEAR
        bits or fewer.
        """
        self._read_up_to(before)
        wanted = np.array([phash], np.int64).view(np.uint64)
        best, nearest_pk = NEAR + 1, None
        earlier = int(np.searchsorted(self.ids, before))
        if earlier:
            distances = np.bitwise_count(self.hashes[:earlier] ^ wanted)
            at = int(distances.argmin())
            best, nearest_pk = int(distances[at]), int(self.ids[at])
        for pk, other in self.fresh:
            distance = ((other ^ phash) & (2**64 - 1)).bit_count()
            if pk < before and distance < best:
                best, nearest_pk = distance, pk
        return nearest_pk if best <= NEAR else None

    def _read_up_to(self, before: int) -> None:
        newest = self.fresh[-1][0] if self.fresh else int(self.ids[-1]) if len(self.ids) else 0
        # What resembles a photo that is gone stands for itself again.
        alone = Q(near_duplicate_of=None) | Q(near_duplicate_of__withdrawn_at__isnull=False)
        rows = Photo.objects.shown().filter(alone, phash__isnull=False, pk__gt=newest, pk__lt=before)
        for pk, phash in rows.order_by("pk").values_list("pk", "phash"):
            assert phash is not None  # only those are asked for
            self.fresh.append((pk, phash))
        if len(self.fresh) > 1000:
            fresh = np.array(self.fresh, np.int64)
            self.ids = np.concatenate([self.ids, fresh[:, 0]])
            self.hashes = np.concatenate([self.hashes, fresh[:, 1].view(np.uint64)])
            self.fresh = []
