"""Texts that are translated where they are shown: what they keep, and what comes back."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from formats.json_text import from_json, to_json
from formats.storage import StorageFailure
from formats.texts import Text, as_words, from_words, joined_texts, text_of, with_words


def test_a_text_is_english_and_keeps_what_it_is_made_of() -> None:
    inner = Text("photos %(first)s to %(last)s", first=1, last=12345)
    text = Text(
        "%(what)s of 100 %% in %(folder)s: %(error)s", what=inner, folder=Path("a"), error=OSError("no")
    )
    assert text == "photos 1 to 12,345 of 100 % in a: no"
    kept = as_words(text)
    assert kept["words"] == "%(what)s of 100 %% in %(folder)s: %(error)s"
    assert kept["names"] == {"what": as_words(inner), "folder": "a", "error": "no"}
    back = from_words(from_json(to_json(kept)))
    assert (back, as_words(back)) == (text, kept)
    again = pickle.loads(pickle.dumps(text))  # as processes that read photos send errors  # noqa: S301
    assert (again, as_words(again)) == (text, kept)


def test_a_text_that_nothing_fills_in_may_have_a_per_cent_sign() -> None:
    assert Text("100 % done") == "100 % done"
    assert as_words("plain") == {}


def test_texts_are_joined_without_those_that_are_empty() -> None:
    text = joined_texts(Text("One."), "", "100 %", Text("%(n)s.", n=2))
    assert text == "One. 100 % 2."
    assert from_words(as_words(text)) == text
    assert joined_texts("", "") == ""


@pytest.mark.parametrize("text", ["", "Waiting", "Opening pho"])
def test_words_of_another_text_are_not_taken(text: str) -> None:
    """A program of before writes its own text beside the words of the last one, which it does not know."""
    kept = as_words(Text("Opening photos"))
    taken = with_words(text, kept)
    assert taken == ("Opening photos" if text == "Opening pho" else text)
    assert with_words("Old", {}) == "Old"


def test_errors_say_the_text_that_they_were_given() -> None:
    text = Text("%(folder)s is empty", folder="a")
    for error in (ValueError(text), StorageFailure(text), StorageFailure(StorageFailure(text))):
        said = text_of(error)
        assert isinstance(said, Text)
        assert said == str(error) == "a is empty"
    assert text_of(OSError(2, "no", "a")) == "[Errno 2] no: 'a'"
    assert text_of(ValueError()) == ""
