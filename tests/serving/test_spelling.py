"""What somebody means by a hashtag, by the real WordNet."""

from __future__ import annotations

import pytest

from serving.spelling import BadHashtags, Meaning, read_hashtags, understand

VOCABULARY = [
    "airport",
    "art",
    "bar",
    "cafe",
    "cars",
    "church",
    "forest",
    "sky",
    "snow",
    "sport",
    "street",
    "other",
]


@pytest.mark.parametrize(
    ("written", "hashtag", "how"),
    [
        ("cafe", "cafe", "as_written"),
        ("#Café ☕", "cafe", "spelling"),
        ("C.A.F.E!", "cafe", "spelling"),
        ("Churches", "church", "plural"),
        ("skies", "sky", "plural"),
        ("car", "cars", "plural"),
        ("coffeehouse", "cafe", "synonym"),
        ("Coffee_Shops", "cafe", "synonym"),
        ("automobile", "cars", "synonym"),
        ("woodland", "forest", "synonym"),
    ],
)
def test_spellings_plurals_and_synonyms(written: str, hashtag: str, how: str) -> None:
    assert understand(written, VOCABULARY) == Meaning(hashtag, how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written", ["machine", "other", "streetart", "beach", "☕", "s", "ca", "教会", "\u200d"]
)
def test_other_words_are_not_guessed(written: str) -> None:
    """A machine is a car only in its third sense; street art is no street."""
    assert understand(written, VOCABULARY) == Meaning(None)


def test_a_hashtag_is_itself_before_it_is_another_ones_synonym() -> None:
    assert understand("saloon", ["bar", "saloon"]) == Meaning("saloon", "as_written")
    assert understand("saloon", ["bar"]) == Meaning("bar", "synonym")


def test_reading_keeps_order_and_words_with_spaces() -> None:
    assert read_hashtags(["coffee shop", "#a#b", "c;d,e"]) == ["coffee shop", "a", "b", "c", "d", "e"]
    with pytest.raises(BadHashtags, match="at least one"):
        read_hashtags([])
