"""What depends on the mapping: photos, runs and models. Apps that have some register in AppConfig.ready().

The mapping imports no such app. Without one there are no photos, and nothing becomes stale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from mapping.models import Release

    User = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True)
class Example:
    """A photo of a class: the address of its thumbnail, and its alternative text."""

    url: str
    alt: str


@dataclass(frozen=True)
class Look:
    """What the photos of a class look like to a network.

    mean (f,): the mean of their features, which had length 1. agreement: how alike the photos are, from 0 (no
    more than photos of different classes) to 1 (equal), NaN for a single photo. photos: how many were seen.
    """

    mean: NDArray[np.float32]
    agreement: float
    photos: int


@dataclass(frozen=True)
class StaleRun:
    """A run whose training labels have changed since. photos: how many photos of its set have a new label.

    model and model_url are empty if nothing was exported. active: this model is the active one.
    """

    name: str
    url: str
    release: int
    photos: int
    model: str = ""
    model_url: str = ""
    active: bool = False


class Downstream(Protocol):
    def photo_counts(self) -> dict[str, int]:
        """Scene key → number of photos in all photo sets. A photo that is in two sets counts once."""

    def example_photos(
        self, scene_keys: Collection[str], *, user: User, per_class: int = 4
    ) -> dict[str, list[Example]]:
        """Scene key → some of its photos, from the newest set that has any. Keys without photos are left out.

        One query for any number of keys. Empty for a user who may not see photos.
        """

    def looks(self) -> dict[str, Look]:
        """Scene key → what its photos look like, to the same network. Empty before a job has looked."""

    def looks_version(self) -> str:
        """Another text whenever looks() may have changed. One quick query."""

    def stale_runs(self, before: Release, after: Mapping[str, str | None]) -> list[StaleRun]:
        """The runs that become stale if classes get the labels in `after` (None: no label), newest first.

        Considers runs on the release before and on older ones. A run is stale if its photo set has photos of
        a class with a different label now. Skips failed and cancelled runs. Constant number of queries.
        """


class Nothing:
    """The default: no app has photos or runs."""

    def photo_counts(self) -> dict[str, int]:
        return {}

    def example_photos(
        self, scene_keys: Collection[str], *, user: User, per_class: int = 4
    ) -> dict[str, list[Example]]:
        return {}

    def looks(self) -> dict[str, Look]:
        return {}

    def looks_version(self) -> str:
        return ""

    def stale_runs(self, before: Release, after: Mapping[str, str | None]) -> list[StaleRun]:
        return []


_source: Downstream = Nothing()


def register(source: Downstream) -> None:
    global _source
    _source = source


def get() -> Downstream:
    return _source
