"""The table of nouns agrees with nltk."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mapping.lexicon import nouns, wordnet

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader
    from numpy.typing import NDArray


def test_noun_is_found_by_its_key() -> None:
    table = wordnet.nouns()
    number = table.index("shop.n.01")
    assert number is not None
    assert table.keys[number] == "shop.n.01"
    assert table.lemmas(number) == ("shop", "store")
    assert table.lexname(number) == "noun.artifact"
    assert not table.is_instance(number)
    assert table.index("shop.n.99") is None


@pytest.mark.parametrize(
    ("term", "first"),
    [
        ("Shoe shop", "shoe_shop.n.01"),
        ("slums", "slum.n.01"),  # by a rule
        ("abaci", "abacus.n.01"),  # an exception
        ("glasses", "spectacles.n.01"),  # both a word and a plural
    ],
)
def test_plurals_and_capitals_are_found(term: str, first: str) -> None:
    table = wordnet.nouns()
    assert table.keys[table.synsets(term)[0]] == first


def test_closure_has_the_least_number_of_steps() -> None:
    table = wordnet.nouns()
    shop, entity = table.index("shop.n.01"), table.index("entity.n.01")
    assert shop is not None
    assert entity is not None
    above = table.closure(shop)
    assert above[shop] == 0
    assert above[entity] == len(table.path(shop)) - 1


@pytest.mark.integration  # nltk takes seconds to start
def test_table_agrees_with_nltk(reader: WordNetCorpusReader) -> None:
    table = wordnet.nouns()
    for key in random.Random(0).sample(table.keys, 500):
        synset, number = reader.synset(key), table.index(key)
        assert number is not None
        paths = [[s.name() for s in reversed(way)] for way in synset.hypernym_paths()]
        path = [table.keys[at] for at in table.path(number)]
        assert path in paths
        assert len(path) == min(map(len, paths))
        assert {table.keys[at] for at in table.closure(number)} == {key for way in paths for key in way}
        assert _keys(table, table.hyponyms(number)) == sorted(
            s.name() for s in synset.hyponyms() + synset.instance_hyponyms()
        )
        meronyms = synset.part_meronyms() + synset.member_meronyms() + synset.substance_meronyms()
        assert _keys(table, table.meronyms(number)) == sorted(s.name() for s in meronyms)
        assert table.gloss(number) == synset.definition()
        assert list(table.examples(number)) == synset.examples()
        assert table.counts[number] == sum(lemma.count() for lemma in synset.lemmas())
        for term in (*synset.lemma_names(), f"{synset.lemma_names()[0]}s"):
            synset_names = dict.fromkeys(s.name() for s in reader.synsets(term, "n"))  # nltk repeats some
            assert [table.keys[at] for at in table.synsets(term)] == list(synset_names)


def _keys(table: nouns.Nouns, numbers: NDArray[np.int32]) -> list[str]:
    return sorted(table.keys[at] for at in numbers)


def test_file_of_each_format_has_a_name_of_its_own() -> None:
    assert str(nouns.FORMAT) in wordnet.TABLE


def test_damaged_or_outdated_file_is_not_a_table(tmp_path: Path) -> None:
    file = tmp_path / "nouns.npz"
    assert nouns.read(file) is None
    nouns.write(file, {"counts": np.zeros(3)})
    assert nouns.read(file) is None  # incomplete
    file.write_bytes((wordnet.DATA_DIR / wordnet.TABLE).read_bytes()[:100_000])
    assert nouns.read(file) is None
    np.savez(file, format=np.array(nouns.FORMAT + 1))
    assert nouns.read(file) is None
