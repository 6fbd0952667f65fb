"""Finds near duplicates: photos that were cropped a little, made smaller or saved again."""

from __future__ import annotations

from collections.abc import Mapping

import imagehash
import numpy as np
from django.db.models import Q
from PIL import Image

from validation.models import Photo

# How many of the 64 bits may differ between near duplicates. Measured in docs/experiments.md.
NEAR = 6


def perceptual_hash(picture: Image.Image) -> int:
    """64 bits of the picture's coarse structure (pHash: signs of low DCT coefficients), as a signed int."""
    bits = imagehash.phash(picture).hash
    return int(np.packbits(bits).view(">i8")[0])


class Hashes:
    """The hashes of all photos that are not withdrawn: 8 bytes each, compared at once; 100,000 take 1 ms.

    A photo is compared with those of a lower primary key that are committed, so two near duplicates are
    never both marked because of each other. On PostgreSQL neither is if two intakes add them at the same
    moment: the later number may be committed first. New photos are read when needed.
    """

    def __init__(self) -> None:
        self.ids = np.empty(0, np.int64)  # ascending
        self.hashes = np.empty(0, np.uint64)
        # Not in the arrays yet: appending to an array copies it, so it is done for many at a time.
        self.fresh: list[tuple[int, int]] = []

    def nearest(self, phash: int, *, before: int) -> int | None:
        """The photo of a lower primary key whose hash is nearest to this one; None if all differ by more than
        NEAR bits.
        """
        self.fresh += self._unread(before)
        self._keep_few_fresh(1000)
        return self._nearest(phash, before)

    def near_duplicates(self, phashes: Mapping[int, int]) -> dict[int, int]:
        """Of new photos, primary key → hash, those with an earlier one nearby, as `nearest` says. A photo is
        compared with those before it in `phashes`, too, unless these are near duplicates themselves.
        """
        self.fresh += self._unread(min(phashes))
        self._keep_few_fresh(0)  # what is fresh is compared one by one
        found: dict[int, int] = {}
        for pk, phash in sorted({*self._unread(max(phashes)), *phashes.items()}):
            near = self._nearest(phash, pk) if pk in phashes else None
            if near is not None:
                found[pk] = near
            elif pk > self._newest:
                self.fresh.append((pk, phash))
        self._keep_few_fresh(0)
        return found

    def _nearest(self, phash: int, before: int) -> int | None:
        target = np.array([phash], np.int64).view(np.uint64)
        best, nearest_pk = NEAR + 1, None
        earlier = int(np.searchsorted(self.ids, before))
        if earlier:
            distances = np.bitwise_count(self.hashes[:earlier] ^ target)
            at = int(distances.argmin())
            best, nearest_pk = int(distances[at]), int(self.ids[at])
        for pk, other in self.fresh:
            distance = ((other ^ phash) & (2**64 - 1)).bit_count()
            if pk < before and distance < best:
                best, nearest_pk = distance, pk
        return nearest_pk if best <= NEAR else None

    @property
    def _newest(self) -> int:
        return self.fresh[-1][0] if self.fresh else int(self.ids[-1]) if len(self.ids) else 0

    def _unread(self, before: int) -> list[tuple[int, int]]:
        # A near duplicate of a withdrawn photo is an original again.
        is_original = Q(near_duplicate_of=None) | Q(near_duplicate_of__withdrawn_at__isnull=False)
        rows = Photo.objects.shown().filter(is_original, phash__isnull=False)
        new = rows.filter(pk__gt=self._newest, pk__lt=before).order_by("pk").values_list("pk", "phash")
        return [(pk, phash) for pk, phash in new if phash is not None]

    def _keep_few_fresh(self, most: int) -> None:
        if len(self.fresh) > most:
            fresh = np.array(self.fresh, np.int64)
            self.ids = np.concatenate([self.ids, fresh[:, 0]])
            self.hashes = np.concatenate([self.hashes, fresh[:, 1].view(np.uint64)])
            self.fresh = []
