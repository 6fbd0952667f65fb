"""What depends on a model in other apps. They register in AppConfig.ready(); the trainer knows none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Thing:
    """Rows of one kind that depend on a model. words: singular and plural; key: identifies the rows."""

    words: tuple[str, str]
    count: int
    name: str = ""
    url: str = ""
    key: str = ""
    stays: bool = False  # is kept when the model is deleted

    @property
    def noun(self) -> str:
        return self.words[0] if self.count == 1 else self.words[1]


class Dependents(Protocol):
    def on(self, models: Collection[int]) -> list[Thing]:
        """What depends on these models, including what would be kept. A constant number of queries."""

    def refusal(self, models: Collection[int]) -> str:
        """Why these models cannot be deleted now; empty if they can."""

    def remove(self, models: Collection[int]) -> None:
        """Delete what depends on these models, inside the caller's transaction."""


_sources: list[Dependents] = []


def register(source: Dependents) -> None:
    if source not in _sources:
        _sources.append(source)


def all_sources() -> tuple[Dependents, ...]:
    return tuple(_sources)
