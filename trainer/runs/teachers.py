"""The model that a run learns from: a recipe names it by words, "model 3".

How its files come to this machine is a matter of the models, which register it in AppConfig.ready().
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from formats.texts import Text, text_of
from trainer.models import TrainedModel

NAMED = re.compile(r"model #?(\d{1,9})")
AtHand = Callable[[TrainedModel], AbstractContextManager[Path]]


class NoTeacher(Exception):
    """The words name no model that a run can learn from. The message, a Text, says why."""


_at_hand: list[AtHand] = []


def register(at_hand: AtHand) -> None:
    _at_hand[:] = [at_hand]


def check(words: str) -> TrainedModel:
    """The model that the words name. Raises NoTeacher."""
    match = NAMED.fullmatch(words.strip().lower())
    if match is None:
        raise NoTeacher(Text("It must be like “%(name)s”.", name="model 1"))
    model = TrainedModel.objects.filter(pk=int(match[1])).first()
    if model is None or not model.is_ready:
        raise NoTeacher(Text("There is no model %(number)s that is ready.", number=match[1]))
    return model


@contextmanager
def at_hand(words: str) -> Iterator[Path]:
    """The folder of the model that the words name, whose files stay on this machine for the block.

    Raises NoTeacher and StorageFailure.
    """
    model = check(words)
    with ExitStack() as held:
        try:
            folder = held.enter_context(_at_hand[0](model))
        except FileNotFoundError as error:
            raise NoTeacher(text_of(error)) from error
        yield folder
