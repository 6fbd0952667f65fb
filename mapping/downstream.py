"""What is made of the mapping: photos, runs and models. Apps that keep some say so in AppConfig.ready().

The mapping knows none of them. Without such an app there are no photos and nothing grows stale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from mapping.models import Release

    User = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True)
class Example:
    """A photo of a class: the address of its thumbnail, and what it says without pictures."""

    url: str
    alt: str


@dataclass(frozen=True)
class StaleRun:
    """A run that learned labels which are others now. photos: how many of its photo set carry another.

    model and model_url are empty where nothing was exported; active: this model answers right now.
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
        """Scene key → photos of this class, over all photo sets; the same photo in two sets is one."""

    def example_photos(
        self, scene_keys: Collection[str], *, user: User, per_class: int = 4
    ) -> dict[str, list[Example]]:
        """Scene key → some of its photos, from the newest set that has any. Keys without are left out.

        One query for any number of keys. Empty for a user who may not see photos.
        """

    def stale_runs(self, before: Release, after: Mapping[str, str | None]) -> list[StaleRun]:
        """The runs that go stale when the classes of after get its labels (None: left out), newest first.

        Looks at runs of before and of older releases. A run is stale if its photo set has photos of a class
        whose label it learned differently. Failed and cancelled runs are left out. Queries: constant.
        """


class Nothing:
    """No app keeps anything."""

    def photo_counts(self) -> dict[str, int]:
        return {}

    def example_photos(
        self, scene_keys: Collection[str], *, user: User, per_class: int = 4
    ) -> dict[str, list[Example]]:
        return {}

    def stale_runs(self, before: Release, after: Mapping[str, str | None]) -> list[StaleRun]:
        return []


_registered: Downstream = Nothing()


def register(source: Downstream) -> None:
    global _registered
    _registered = source


def get() -> Downstream:
    return _registered
