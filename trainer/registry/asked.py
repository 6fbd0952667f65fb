"""Photos that people were asked about, and what they answered. The app that has them registers in
AppConfig.ready(); the trainer knows none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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


Suggest = Callable[
    [Sequence[bytes]], list[tuple[str | None, float]]
]  # files → hashtag and confidence of each


@dataclass(frozen=True)
class Objection:
    """Hashtags that people find unfitting more often than a model promises. ``least``: from which confidence
    on it would keep its promise by their answers; None if they show none.
    """

    hashtags: tuple[str, ...]
    judged: int  # photos on which the model suggests one of them, and people were asked about it
    fitting: int  # of these
    least: float | None


@dataclass(frozen=True)
class Objections:
    """What people's answers in a campaign say against the thresholds of a model."""

    name: str
    url: str
    photos: int  # judged, on which the model suggests what people were asked about
    people: int
    found: tuple[Objection, ...]


class Source(Protocol):
    def last_asked(self, model: int, most: int) -> Asked | None:
        """The newest campaign with predictions of this model, with ``most`` of its photos, drawn at random
        but the same each time; None if there is none.
        """

    def objections(
        self, model: int, *, groups: Sequence[Collection[str]], target: float, suggest: Suggest
    ) -> Objections | None:
        """Of the newest campaign about the suggestions of this model, against another one with its network,
        which ``suggest`` asks. ``groups`` are hashtags that have a threshold in common; none: as the answers
        allow. None if nobody has judged what both suggest.
        """


_sources: list[Source] = []


def register(source: Source) -> None:
    if source not in _sources:
        _sources.append(source)


def last_asked(model: int, most: int) -> Asked | None:
    found = (source.last_asked(model, most) for source in _sources)
    return next((asked for asked in found if asked), None)


def objections(
    model: int, *, groups: Sequence[Collection[str]], target: float, suggest: Suggest
) -> Objections | None:
    found = (one.objections(model, groups=groups, target=target, suggest=suggest) for one in _sources)
    return next((one for one in found if one), None)
