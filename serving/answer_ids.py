"""The id of each answer: signed, and it says what was answered. Nothing is stored when somebody asks.

A network has a thousand uploads a second and tells us later about some of them. So the id carries what
feedback is counted by, and an id that was never given fails its signature. It is no secret: whoever has it
can read it.

    version (1 byte), key (16), model (4), account (4), trial (4), confidence × 10,000 (2), hashtag in UTF-8

The key is the time in milliseconds (6 bytes) and a random number: rows sorted by it are in the order of time,
so that new ones are added at the end of the index.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core import signing
from django.utils import timezone

VERSION = 1
HEAD = struct.Struct(">B16sIIIH")
STEPS = 10_000  # in which the confidence is stored
LONGEST = 500  # characters of an id; ours have about 120
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_signer = signing.Signer(salt="serving.answer")


class NoSuchAnswer(ValueError):
    """No answer has this id."""


@dataclass(frozen=True)
class Answer:
    """What an id says. `hashtag` is empty for silence; `trial` is 0 outside of trials."""

    key: UUID
    model: int
    account: int
    trial: int
    hashtag: str
    confidence: float  # 0 to 1

    @property
    def given_at(self) -> datetime:
        return EPOCH + timedelta(milliseconds=int.from_bytes(self.key.bytes[:6]))


def make_key(at: datetime) -> UUID:
    milliseconds = (at - EPOCH) // timedelta(milliseconds=1)
    return UUID(bytes=milliseconds.to_bytes(6) + os.urandom(10))


def make_id(
    *,
    model: int,
    account: int,
    hashtag: str | None,
    confidence: float,
    trial: int = 0,
    at: datetime | None = None,
) -> str:
    """A new id, for an answer that is given now or `at` another time."""
    key = make_key(at or timezone.now()).bytes
    head = HEAD.pack(VERSION, key, model, account, trial, round(confidence * STEPS))
    return _signer.sign(signing.b64_encode(head + (hashtag or "").encode()).decode())


def read_id(text: str) -> Answer:
    """Raises NoSuchAnswer for an id that we have not given."""
    if len(text) > LONGEST:
        raise NoSuchAnswer(NoSuchAnswer.__doc__)
    try:
        content = signing.b64_decode(_signer.unsign(text).encode())
    except signing.BadSignature as error:
        raise NoSuchAnswer(NoSuchAnswer.__doc__) from error
    version, key, model, account, trial, steps = HEAD.unpack_from(content)
    if version != VERSION:
        raise NoSuchAnswer(NoSuchAnswer.__doc__)
    return Answer(UUID(bytes=key), model, account, trial, content[HEAD.size :].decode(), steps / STEPS)
