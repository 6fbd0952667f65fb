"""What classes look like on their photos, as coordinates that the suggester can compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mapping.downstream import Look
from mapping.suggester.facts import Floats, length_one

USUAL = 0.2  # agreement of the photos of a class, if no class has two
WEIGHT = 2  # photos that the usual agreement counts as, beside the class's own
LEAST = 0.05


def coordinates(looks: Sequence[Look | None]) -> Floats | None:
    """(classes, f): directions from the mean of all classes. None without any look.

    The product of two rows says how alike two classes look. A row's length is the share of the mean that is
    not chance: 1 for many photos that agree, less for few or differing ones, 0 for none.
    """
    seen = [look for look in looks if look is not None]
    if not seen:
        return None
    means = np.stack([look.mean for look in seen])
    rows = length_one((means - means.mean(0)).astype(np.float32))
    rows *= np.sqrt(_reliability(seen))[:, None].astype(np.float32)
    coordinates = np.zeros((len(looks), rows.shape[1]), np.float32)
    coordinates[[look is not None for look in looks]] = rows
    return coordinates


def _reliability(looks: Sequence[Look]) -> Floats:
    """(looks,): the share of the variance of each mean that would be there with endlessly many photos."""
    photos = np.array([look.photos for look in looks], np.float32)
    agreement = np.array([look.agreement for look in looks], np.float32)
    known = ~np.isnan(agreement)
    usual = float(np.median(agreement[known])) if known.any() else USUAL
    others = np.where(known, photos - 1, 0)
    mixed = (np.where(known, agreement, 0) * others + WEIGHT * usual) / (others + WEIGHT)
    mixed = np.clip(mixed, LEAST, 1)
    reliability: Floats = (mixed / (mixed + (1 - mixed) / photos)).astype(np.float32)
    return reliability
