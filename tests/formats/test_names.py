"""Names that look equal are equal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.names import comparable, describe_change, is_hashtag, normalize_hashtag, normalize_name, path_key


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cafe\u0301", "café"),
        ("\ufeffabbey\u200b", "abbey"),
        ("abb\u00adey\u2060\u200e", "abbey"),
        ("athletic\u00a0field", "athletic field"),
        ("  athletic \u3000 field ", "athletic field"),
        ("ab\u200cbey\u200d", "abbey"),  # a joiner between Latin letters
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner that Persian needs
        ("हिन्दी", "हिन्दी"),
        ("heart\ufe0f", "heart"),
        ("beach\u3164", "beach"),
    ],
)
def test_names_are_normalized(text: str, name: str) -> None:
    assert normalize_name(text) == name


@given(st.text(st.characters() | st.sampled_from("\u200c\u200d\u200b\u0301\u00a0 iİaक")))
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    assert normalize_name(normalize_name(text)) == normalize_name(text)
    assert normalize_hashtag(normalize_hashtag(text)) == normalize_hashtag(text)
    assert comparable(comparable(text)) == comparable(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("#Sport", "sport"),
        ("＃sport", "sport"),
        ("# New York", "newyork"),
        ("İstanbul", "istanbul"),
        ("Café", "café"),
        ("हिन्दी", "हिन्दी"),
        ("กรุงเทพ", "กรุงเทพ"),
        ("nature\u200b", "nature"),
    ],
)
def test_hashtags_of_all_alphabets_are_hashtags(text: str, name: str) -> None:
    assert normalize_hashtag(text) == name
    assert is_hashtag(name)
    assert is_hashtag(normalize_hashtag(unicodedata.normalize("NFD", text)))


@pytest.mark.parametrize("name", ["", "a b", "a-b", "a,b", "\u0301a", "a\u200b", "a#b", "a🏖"])
def test_other_texts_are_no_hashtags(name: str) -> None:
    assert not is_hashtag(name)


def test_what_was_changed_is_said() -> None:
    assert describe_change("abbey\u200b") == "“abbey” is kept in its usual spelling, without U+200B"
    assert describe_change("cafe\u0301") == "“café” is kept in its usual spelling, without U+0301"
    assert describe_change(" abbey ") == ""


@pytest.mark.parametrize(
    "path",
    [
        "trip/Й.JPG",
        "trip\\Й.jpg",
        "./trip//И\u0306.jpg",
        "/trip/й.jpg ",
        "C:\\Trip\\й.jpg",
        "c:/trip /й.jpg",
        "trip/.\\й.jpg",
        "trip/\u200bй.jpg",
    ],
)
def test_all_spellings_of_a_path_have_the_same_key(path: str) -> None:
    assert path_key(path) == "trip/й.jpg"


@pytest.mark.parametrize("path", ["../й.jpg", "a b/й.jpg", "a/b"])
def test_other_paths_have_other_keys(path: str) -> None:
    assert path_key(path) == path
