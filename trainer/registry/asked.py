"""Photos that people were asked about, and what they answered. The app that has them registers in
AppConfig.ready(); the trainer knows none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class AskedPhoto:
    """A photo's file, the hashtag that a model suggests for it (None: it is silent), and for each hashtag
    that people have judged on it: 1 if most find it fitting, 0 if not, ½ for a tie.
    """

    content: bytes
    suggestion: str | None
    answers: Mapping[str, float]


@dataclass(frozen=True)
class Asked:
    """A campaign that predicted its photos with a model. ``photos`` may be iterated once."""

    name: str
    url: str
    total: int  # photos predicted
    drawn: int  # of these, in ``photos``, at random
    photos: Iterator[AskedPhoto]


class Source(Protocol):
    def last_asked(self, model: int, most: int) -> Asked | None:
        """The newest campaign with predictions of this model, with ``most`` of its photos, drawn at random
        but the same each time; None if there is none.
        """


_sources: list[Source] = []


def register(source: Source) -> None:
    if source not in _sources:
        _sources.append(source)


def last_asked(model: int, most: int) -> Asked | None:
    found = (source.last_asked(model, most) for source in _sources)
    return next((asked for asked in found if asked), None)
