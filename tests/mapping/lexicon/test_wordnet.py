"""On the real WordNet: `make test` fetches it."""

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
        ("/a/airplane_cabin", "cabin.n.03"),  # no phrase: its head noun, and "airplane" says which
        ("/s/stadium/football", "football_stadium.n.01"),  # the qualifier before the noun
        ("/u/underwater/coral_reef", "coral_reef.n.01"),
    ],
)
def test_first_sense_is_a_place(raw: str, best: str) -> None:
    assert senses.of_class(raw)[0].key == best


def test_sense_says_which_term_led_to_it() -> None:
    assert senses.of_class("/a/airplane_cabin")[0].via == "cabin"


def test_word_that_is_no_noun_has_no_senses() -> None:
    assert senses.of_class("j/jacuzzi/indoor", "indoor") == []


def test_path_goes_up_to_entity() -> None:
    words = [s.word for s in wordnet.hypernym_path("toyshop.n.01")]
    assert words[:2] == ["toyshop", "shop"]
    assert words[-1] == "entity"


@pytest.mark.parametrize("key", ["", "nonsense", "shop.n.99", "run.v.01", "shop.n.xx"])
def test_key_that_is_no_noun_sense_is_none(key: str) -> None:
    assert wordnet.sense(key) is None
    assert wordnet.hypernym_path(key) == []


@pytest.mark.integration  # starts a process
def test_without_data_it_says_how_to_get_it(tmp_path: Path) -> None:
    """In a process of its own: this one has its reader already."""
    code = (
        "from pathlib import Path; import nltk; from mapping.lexicon import wordnet\n"
        "nltk.data.path[:] = []; wordnet.DATA_DIR = Path('nowhere')\n"
        "assert not wordnet.is_ready()\n"
        "try: wordnet.sense('shop.n.01')\n"
        "except wordnet.WordNetMissing as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "scripts/get_wordnet.py" in done.stdout


def test_importing_it_does_not_load_nltk() -> None:
    code = "import sys; import mapping.lexicon.wordnet; print('nltk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("key", "level1", "best"),
    [
        ("c/cabin/outdoor", "outdoor_man-made", "cabin.n.02"),  # a house, no room of a ship
        ("l/library/indoor", "indoor", "library.n.01"),
        ("l/library/outdoor", "outdoor_man-made", "library.n.05"),
        ("v/volcano", "outdoor_natural", "volcano.n.02"),  # the mountain, not the vent
        ("v/videostore", "indoor", "shop.n.01"),  # no term: the noun that ends it
        ("m/mountain_snowy", "outdoor_natural", "mountain.n.01"),
    ],
)
def test_class_says_which_side_of_the_door(key: str, level1: str, best: str) -> None:
    assert senses.of_class(key, level1)[0].key == best


def test_embeddings_are_asked_when_there_are_some() -> None:
    def likes_the_first_gloss(texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), 1))
        vectors[:2] = 9
        return vectors

    assert senses.of_class("d/diner/indoor", "indoor")[0].key == "dining_car.n.01"
    assert senses.of_class("d/diner/indoor", "indoor", embed=likes_the_first_gloss)[0].key == "diner.n.01"
