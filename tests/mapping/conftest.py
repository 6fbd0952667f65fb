"""A mapping of seven classes, enough for most tests."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mapping.files.catalogue import DATA, load_catalogue
from mapping.lexicon import wordnet
from mapping.models import OTHER, Hashtag, MappingEntry, SceneClass
from mapping.releases import publish_release
from tests import snapshot

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

FEW = {
    "a/abbey": ("church", "abbey.n.01"),
    "a/alley": ("street", "alley.n.01"),
    "a/anechoic_chamber": (OTHER, "anechoic_chamber.n.01"),
    "b/beach": ("beach", ""),
    "c/chapel": ("church", ""),
    "s/shoe_shop": ("shopping", ""),
    "t/toyshop": ("shopping", ""),
}


@pytest.fixture
def few(db: None) -> None:
    """Seven classes, published as release 1. There ten times as quickly as the catalogue."""
    snapshot.load_mapping_once("few", load_few)


def load_few() -> None:
    names = ("art", "beach", "church", "shopping", "sport", "street")
    Hashtag.objects.bulk_create(
        Hashtag(name=name, posts=10**7, source="counted", counted_on="2019") for name in names
    )
    tags = {row.name: row for row in Hashtag.objects.all()}
    for key, (label, sense) in FEW.items():
        row = SceneClass.objects.create(key=key, name=key[2:].replace("_", " "))
        MappingEntry.objects.create(
            scene_class=row, hashtag=tags.get(label), sense=sense, status=MappingEntry.Status.IMPORTED
        )
    publish_release(by=None, note="Seven")


@pytest.fixture(scope="session")
def reader() -> WordNetCorpusReader:
    """nltk's WordNet. Reading its index takes four seconds: the tests that need it are in one process."""
    return wordnet.reader()


@pytest.fixture(scope="session")
def few_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short catalogue: the classes that both tables of the thesis name, and four more."""
    with (DATA / "sun397.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    file = tmp_path_factory.mktemp("catalogue") / "few.csv"
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        keys = ("/a/abbey", "/b/bar", "/b/beach", "/b/bookstore")
        writer.writerows(row for row in rows if row["printed_hashtag"] or row["raw_name"] in keys)
    return file


@pytest.fixture
def two_tables(db: None, few_classes: Path) -> None:
    """The short catalogue, with the thesis's two tables as opinions."""
    snapshot.load_mapping_once("two tables", partial(load_catalogue, classes_file=few_classes))
