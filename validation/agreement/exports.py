"""Exports votes without identities, so that others can count them; makes the address of a public result."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from typing import Any

from django.core import signing
from django.db.models import F, Subquery
from django.utils.crypto import salted_hmac

from formats.json_text import to_json
from validation.models import Campaign, Question, Vote

FIELDS = (
    "person",
    "photo",
    "hashtag",
    "kind",
    "confidence",
    "answer",
    "reason",
    "would_post",
    "seconds",
    "day",
    "set_aside",
    "made_up",
)
CHUNK = 2000  # rows held in memory at a time
SALT = "validation.public"


# --- votes ------------------------------------------------------------------------------------


def person_number(campaign_id: int, person_id: int) -> int:
    """A number that all votes of a person have in one campaign; in another campaign it is a different number.

    It is keyed with SECRET_KEY, so that outsiders cannot find the person by trying all ids. It has 48 bits,
    which spreadsheets and JavaScript read exactly.
    """
    digest = salted_hmac("validation.exports", f"{campaign_id}:{person_id}", algorithm="sha256").digest()
    return int.from_bytes(digest[:6])


def votes(campaign: Campaign, *, questions: Collection[int] | None = None) -> Iterator[tuple[Any, ...]]:
    """Rows of FIELDS: the votes on what the campaign asks, from any campaign, read in chunks. `questions`
    are ids: only the votes on these of its questions.

    They are in the order of photos, not of time, and show only the day: the exact time of a vote is private.
    """
    asked = Question.objects.of_campaign(campaign)
    given = Vote.objects.counting_in(campaign)
    if questions is not None:
        asked = asked.filter(pk__in=questions)
        given = given.filter(photo__in=asked.values("photo"))
    question = asked.on_outer_pair()
    rows = (
        given.annotate(kind=Subquery(question.values("kind")), sure=Subquery(question.values("confidence")))
        .exclude(kind=None)
        .order_by("photo_id", "hashtag_id", "request_id")
        .values_list(
            "person_id",
            F("photo__sha256"),
            F("hashtag__name"),
            "kind",
            "sure",
            "answer",
            "reason",
            "would_post",
            "seconds",
            "created_at",
            "set_aside",
        )
    )
    for person_id, *middle, created_at, set_aside in rows.iterator(chunk_size=CHUNK):
        day, number = created_at.date().isoformat(), person_number(campaign.pk, person_id)
        yield (number, *middle, day, set_aside, campaign.is_made_up)


class _Echo:
    """A file whose `write` returns the text."""

    def write(self, text: str) -> str:
        return text


def as_csv(campaign: Campaign) -> Iterator[str]:
    """Lines of a CSV table with a header."""
    writer = csv.writer(_Echo())
    yield writer.writerow(FIELDS)
    for row in votes(campaign):
        yield writer.writerow(["" if value is None else value for value in row])


def as_json(campaign: Campaign) -> Iterator[str]:
    """A JSON object: the campaign's name and kind, is it made up, and a list of votes, one a line."""
    facts = {"campaign": campaign.name, "kind": campaign.kind, "made_up": campaign.is_made_up}
    yield f'{to_json(facts).removesuffix("}")}, "votes": ['
    separator = "\n"
    for row in votes(campaign):
        yield separator + to_json(dict(zip(FIELDS, row, strict=True)))
        separator = ",\n"
    yield "\n]}\n"


# --- the public address -----------------------------------------------------------------------


def public_token(campaign: Campaign) -> str:
    """The token in the public address. A new link for guests makes it invalid, too."""
    return signing.Signer(salt=SALT).sign_object([campaign.pk, campaign.link_version])


def public_campaign(token: str) -> Campaign | None:
    """The campaign of a public address; None if the address is invented, outdated or no longer public."""
    try:
        pk, version = signing.Signer(salt=SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return Campaign.objects.predicted().filter(pk=pk, link_version=version, is_public=True).first()
