from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.lexicon.names import clean, lookup_terms, scene_key

DATA = Path(__file__).resolve().parents[3] / "mapping/data"
ROWS = list(csv.DictReader((DATA / "sun397.csv").open(encoding="utf-8")))


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("/a/abbey", "abbey"),
        ("/a/athletic_field/outdoor", "athletic field"),
        ("b/balcony/interier", "balcony"),  # the thesis's spelling
        ("/d/desert/sand", "desert sand"),
        ("/b/bus_interior", "bus"),
        ("airplane cabin", "airplane cabin"),
        ("/o/outdoor", "outdoor"),  # the only word is kept
    ],
)
def test_clean_removes_index_and_service_words(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


def test_all_spellings_of_a_folder_have_the_same_key() -> None:
    assert {scene_key(raw) for raw in ("/a/abbey", "a/abbey/", "A/Abbey", "a\\abbey", "./a/abbey")} == {
        "a/abbey"
    }


def test_lookup_terms_lead_from_the_phrase_to_its_head() -> None:
    assert lookup_terms("/s/stadium/football") == [
        "stadium football",
        "football stadium",
        "stadium",
        "football",
    ]
    assert lookup_terms("/a/airplane_cabin") == ["airplane cabin", "cabin"]


def test_catalogue_has_397_distinct_classes_with_cleaned_names() -> None:
    assert len({scene_key(row["raw_name"]) for row in ROWS}) == 397
    assert [row["name"] for row in ROWS] == [clean(row["raw_name"]) for row in ROWS]


def test_catalogue_uses_the_20_hashtags_and_other() -> None:
    hashtags = {row["hashtag"] for row in csv.DictReader((DATA / "hashtags.csv").open(encoding="utf-8"))}
    assert len(hashtags) == 20
    assert {row["hashtag"] for row in ROWS} == hashtags | {"other"}


def test_catalogue_has_14_classes_that_the_two_tables_map_differently() -> None:
    differences = [r for r in ROWS if r["printed_hashtag"] and r["printed_hashtag"] != r["hashtag"]]
    assert len(differences) == 14
    assert sum(row["printed_hashtag"] == "sport" for row in ROWS) == 25  # all of table 2


@given(st.text())
def test_scene_key_is_idempotent(raw: str) -> None:
    assert scene_key(scene_key(raw)) == scene_key(raw)
