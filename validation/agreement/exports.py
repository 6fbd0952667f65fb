"""Votes without identities, for whoever wants to count for themselves, and the address of a public result."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.core import signing
from django.db.models import F, Subquery
from django.utils.crypto import salted_hmac

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
)
CHUNK = 2000  # rows held in memory at a time
SALT = "validation.public"


# --- votes ------------------------------------------------------------------------------------


def person_number(campaign_id: int, person_id: int) -> int:
    """The same person's votes share a number inside one campaign, and in no two campaigns.

    It is keyed with SECRET_KEY, so nobody outside can count people up to find out whose it is. 48 bits: a
    spreadsheet and JavaScript read it exactly.
    """
    digest = salted_hmac("validation.exports", f"{campaign_id}:{person_id}", algorithm="sha256").digest()
    return int.from_bytes(digest[:6])


def votes(campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """Rows of FIELDS: the votes on what the campaign asks, wherever given, read in chunks.

    In the order of photos, never of time, and with the day alone: who voted when is nobody's business.
    """
    question = Question.objects.of_campaign(campaign).on_outer_pair()
    rows = (
        Vote.objects.annotate(
            kind=Subquery(question.values("kind")), sure=Subquery(question.values("confidence"))
        )
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
        yield (person_number(campaign.pk, person_id), *middle, created_at.date().isoformat(), set_aside)


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def as_csv(campaign: Campaign) -> Iterator[str]:
    """Lines of a CSV table with a header."""
    writer = csv.writer(_Echo())
    yield writer.writerow(FIELDS)
    for row in votes(campaign):
        yield writer.writerow(["" if value is None else value for value in row])


def as_json(campaign: Campaign) -> Iterator[str]:
    """A JSON object: the campaign's name and a list of votes, one a line."""
    yield f'{{"campaign": {json.dumps(campaign.name)}, "votes": ['
    separator = "\n"
    for row in votes(campaign):
        yield separator + json.dumps(dict(zip(FIELDS, row, strict=True)))
        separator = ",\n"
    yield "\n]}\n"


# --- the public address -----------------------------------------------------------------------


def public_token(campaign: Campaign) -> str:
    """What the public address carries. New links for guests make it worthless, too."""
    return signing.Signer(salt=SALT).sign_object([campaign.pk, campaign.link_version])


def public_campaign(token: str) -> Campaign | None:
    """The campaign of a public address; None if the address is made up, old, or no longer public."""
    try:
        pk, version = signing.Signer(salt=SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return Campaign.objects.filter(pk=pk, link_version=version, is_public=True).first()
