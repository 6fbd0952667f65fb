"""On the real WordNet: `make test` fetches it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mapping import wordnet
from mapping.names import lookup_terms

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("raw", "best"),
    [
        ("/m/mansion", "mansion.n.02"),  # not the sign of the zodiac, WordNet's first sense
        ("/d/diner/outdoor", "dining_car.n.01"),  # not the eater
        ("/a/airplane_cabin", "cabin.n.01"),  # no phrase: its head noun
        ("/s/stadium/football", "football_stadium.n.01"),  # the qualifier before the noun
        ("/u/underwater/coral_reef", "coral_reef.n.01"),
    ],
)
def test_first_sense_is_a_place(raw: str, best: str) -> None:
    assert wordnet.senses(lookup_terms(raw))[0].key == best


def test_sense_says_which_term_led_to_it() -> None:
    assert wordnet.senses(lookup_terms("/a/airplane_cabin"))[0].via == "cabin"


def test_word_that_is_no_noun_has_no_senses() -> None:
    assert wordnet.senses(["jacuzzi"]) == []


def test_path_goes_up_to_entity() -> None:
    words = [s.word for s in wordnet.hypernym_path("toyshop.n.01")]
    assert words[:2] == ["toyshop", "shop"]
    assert words[-1] == "entity"


@pytest.mark.parametrize("key", ["", "nonsense", "shop.n.99", "run.v.01", "shop.n.xx"])
def test_key_that_is_no_noun_sense_is_none(key: str) -> None:
    assert wordnet.sense(key) is None
    assert wordnet.hypernym_path(key) == []


def test_without_data_it_says_how_to_get_it(tmp_path: Path) -> None:
    """In a process of its own: this one has its reader already."""
    code = (
        "from pathlib import Path; import nltk; from mapping import wordnet\n"
        "nltk.data.path[:] = []; wordnet.DATA_DIR = Path('nowhere')\n"
        "assert not wordnet.is_ready()\n"
        "try: wordnet.senses(['shop'])\n"
        "except wordnet.WordNetMissing as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "scripts/get_wordnet.py" in done.stdout


def test_importing_it_does_not_load_nltk() -> None:
    code = "import sys; import mapping.wordnet; print('nltk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
