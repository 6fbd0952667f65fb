"""Senses and paths on the real WordNet, which `make test` downloads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mapping.lexicon import senses, wordnet

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("raw", "best"),
    [
        ("/m/mansion", "mansion.n.02"),  # not the sign of the zodiac, WordNet's first sense
        ("/d/diner/outdoor", "diner.n.03"),  # not the eater
        ("/a/airplane_cabin", "cabin.n.03"),  # not a term: its head noun, where "airplane" decides the sense
        ("/s/stadium/football", "football_stadium.n.01"),  # the qualifier before the noun
        ("/u/underwater/coral_reef", "coral_reef.n.01"),
    ],
)
def test_first_sense_is_a_place(raw: str, best: str) -> None:
    assert senses.of_class(raw)[0].key == best


def test_sense_says_which_term_led_to_it() -> None:
    assert senses.of_class("/a/airplane_cabin")[0].via == "cabin"


def test_word_without_a_noun_has_no_senses() -> None:
    assert senses.of_class("j/jacuzzi/indoor", "indoor") == []


def test_path_goes_up_to_entity() -> None:
    words = [s.word for s in wordnet.hypernym_path("toyshop.n.01")]
    assert words[:2] == ["toyshop", "shop"]
    assert words[-1] == "entity"


def test_sense_has_kinds_and_parts() -> None:
    assert {"nave", "vestry"} <= {lemma for part in wordnet.meronyms("church.n.02") for lemma in part.lemmas}
    assert [s.word for s in wordnet.meronyms("beach.n.01")] == ["sand"]  # a substance
    assert "tree" in {s.word for s in wordnet.meronyms("forest.n.01")}  # a member
    assert "toyshop" in {s.word for s in wordnet.hyponyms("shop.n.01")}
    assert wordnet.hyponyms("toyshop.n.01") == wordnet.meronyms("toyshop.n.01") == []


def test_kinds_come_before_single_instances() -> None:
    mountains = [s.word for s in wordnet.hyponyms("mountain.n.01")]
    assert mountains.index("volcano") < mountains.index("Black Hills")


@pytest.mark.parametrize("key", ["", "nonsense", "shop.n.99", "run.v.01", "shop.n.xx"])
def test_unknown_key_has_neither_sense_nor_relations(key: str) -> None:
    assert wordnet.sense(key) is None
    assert wordnet.hypernym_path(key) == []
    assert wordnet.hyponyms(key) == []
    assert wordnet.meronyms(key) == []


@pytest.mark.integration  # starts a process
def test_missing_data_is_reported_with_the_command_to_get_it(tmp_path: Path) -> None:
    """In a separate process, because this one has already loaded the table."""
    code = (
        "from pathlib import Path; import nltk; from mapping.lexicon import wordnet\n"
        "nltk.data.path[:] = []; wordnet.DATA_DIR = Path('nowhere')\n"
        "try: wordnet.sense('shop.n.01')\n"
        "except wordnet.WordNetMissing as e: print(e)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "scripts/get_wordnet.py" in process.stdout


def test_import_does_not_load_nltk() -> None:
    code = "import sys; import mapping.lexicon.wordnet; print('nltk' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("key", "level1", "best"),
    [
        ("c/cabin/outdoor", "outdoor_man-made", "cabin.n.02"),  # a house, not a room of a ship
        ("l/library/indoor", "indoor", "library.n.01"),
        ("l/library/outdoor", "outdoor_man-made", "library.n.05"),
        ("v/volcano", "outdoor_natural", "volcano.n.02"),  # the mountain, not the vent
        ("v/videostore", "indoor", "shop.n.01"),  # not a term: the noun at its end
        ("m/mountain_snowy", "outdoor_natural", "mountain.n.01"),
    ],
)
def test_sense_is_inside_or_outside_as_the_class_says(key: str, level1: str, best: str) -> None:
    assert senses.of_class(key, level1)[0].key == best


def test_embeddings_change_the_ranking() -> None:
    def likes_the_first_gloss(texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), 1))
        vectors[:2] = 9
        return vectors

    assert senses.of_class("d/diner/indoor", "indoor")[0].key == "dining_car.n.01"
    assert senses.of_class("d/diner/indoor", "indoor", embed=likes_the_first_gloss)[0].key == "diner.n.01"
