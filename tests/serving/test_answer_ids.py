"""Ids of answers: what goes in comes out, and nobody can make one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core import signing

from serving import answer_ids
from serving.answer_ids import NoSuchAnswer, make_id, read_id

AT = datetime(2026, 11, 29, 14, 52, 8, 123000, UTC)


def test_an_id_says_what_was_answered() -> None:
    answer = read_id(make_id(model=7, account=8, trial=9, hashtag="кафе", confidence=0.93127, at=AT))
    assert (answer.model, answer.account, answer.trial) == (7, 8, 9)
    assert (answer.hashtag, answer.confidence, answer.given_at) == ("кафе", 0.9313, AT)


def test_silence_has_no_hashtag() -> None:
    assert read_id(make_id(model=1, account=1, hashtag=None, confidence=0.0)).hashtag == ""


def test_two_answers_at_once_have_two_ids_and_later_ones_are_larger() -> None:
    keys = [read_id(make_id(model=1, account=1, hashtag="bar", confidence=1, at=AT)).key for _ in range(100)]
    assert len(set(keys)) == 100
    later = answer_ids.make_key(AT.replace(microsecond=124000))
    assert later > max(keys)


@pytest.mark.parametrize("text", ["", "x", ":", "AQ:AQ", "é:é", "A" * 10_000, "\N{BLACK HEART SUIT}"])
def test_what_we_did_not_sign_is_no_id(text: str) -> None:
    with pytest.raises(NoSuchAnswer):
        read_id(text)


def test_a_changed_letter_is_no_id() -> None:
    mine = make_id(model=1, account=1, hashtag="bar", confidence=0.5)
    for place in range(len(mine)):
        changed = mine[:place] + ("A" if mine[place] != "A" else "B") + mine[place + 1 :]
        with pytest.raises(NoSuchAnswer):
            read_id(changed)


def test_ids_of_other_versions_and_of_other_parts_of_the_site_are_refused() -> None:
    content = signing.b64_encode(bytes([2]) + bytes(answer_ids.HEAD.size)).decode()
    with pytest.raises(NoSuchAnswer):
        read_id(signing.Signer(salt="serving.answer").sign(content))
    with pytest.raises(NoSuchAnswer):
        read_id(signing.Signer(salt="validation.public").sign(content))
