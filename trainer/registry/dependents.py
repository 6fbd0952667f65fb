"""What hangs on a model in other apps, which say so in AppConfig.ready(): the trainer knows none of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Thing:
    """Rows of one kind. words: singular and plural; key: which rows they are."""

    words: tuple[str, str]
    count: int
    name: str = ""
    url: str = ""
    key: str = ""
    stays: bool = False  # is kept when the model goes

    @property
    def said(self) -> str:
        return self.words[0] if self.count == 1 else self.words[1]


class Dependents(Protocol):
    def on(self, models: Collection[int]) -> list[Thing]:
        """What hangs on these models, what would stay too. Constant queries."""

    def refusal(self, models: Collection[int]) -> str:
        """Why these models cannot go now, or nothing."""

    def remove(self, models: Collection[int]) -> None:
        """Delete what hangs on these models. Inside the caller's transaction."""


_registered: list[Dependents] = []


def register(source: Dependents) -> None:
    if source not in _registered:
        _registered.append(source)


def all_sources() -> tuple[Dependents, ...]:
    return tuple(_registered)
