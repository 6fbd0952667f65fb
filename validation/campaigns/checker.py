"""What understands and checks authors' hashtags. The app above that can registers it in AppConfig.ready();
campaigns know no other way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainer.models import TrainedModel


@dataclass(frozen=True)
class Said:
    """What a check says about one hashtag. `verdict` is one of PostedHashtag.Verdict."""

    verdict: str
    probability: float | None


class Checker(Protocol):
    def understand(self, words: Collection[str], vocabulary: Sequence[str]) -> dict[str, str]:
        """Word → the hashtag of the vocabulary that is meant; without words that mean none."""

    def check(
        self, photos: Sequence[tuple[bytes, Sequence[str]]], model: TrainedModel
    ) -> list[dict[str, Said]]:
        """For each photo: hashtag → what the model's check says; empty if the photo cannot be read. Raises
        NoActiveModel or ModelError.
        """


_checkers: list[Checker] = []


def register(checker: Checker) -> None:
    _checkers[:] = [checker]


def checker() -> Checker:
    return _checkers[0]
