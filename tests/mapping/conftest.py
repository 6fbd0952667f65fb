"""A mapping of seven classes, enough for most tests."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.utils.timezone import now

from jobs.models import Job
from mapping.files.catalogue import DATA, load_catalogue
from mapping.lexicon import domains, wordnet
from mapping.models import OTHER, Hashtag, MappingEntry, SceneClass
from mapping.releases import publish_release
from tests import snapshot
from trainer.engine.looks import Looks
from trainer.models import ClassLooks, PhotoSet, ScenePhoto

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


@pytest.fixture
def see(db: None) -> Callable[..., PhotoSet]:
    """A photo set that has been looked at: scene key → mean feature; each class with two photos."""

    def put(means: dict[str, list[float]]) -> PhotoSet:
        photo_set = PhotoSet.objects.create(name="Seen", root="/photos")
        ids = dict(SceneClass.objects.filter(key__in=means).values_list("key", "pk"))
        ScenePhoto.objects.bulk_create(
            ScenePhoto(
                photo_set=photo_set,
                scene_class_id=ids[key],
                path=f"{key}/{number}.jpg",
                sha256=f"{key}{number}",
                width=4,
                height=3,
            )
            for key in means
            for number in range(2)
        )
        agreement = np.full(len(means), 0.9, np.float32)
        looks = Looks(tuple(means), np.array(list(means.values())), np.full(len(means), 2), agreement)
        ClassLooks.objects.create(
            photo_set=photo_set,
            backbone="clip_b16",
            job=Job.objects.create(
                kind="trainer.look", title="x", state=Job.State.SUCCEEDED, finished_at=now()
            ),
            content=looks.to_bytes(),
            looked_at=now(),
        )
        return photo_set

    return put


@pytest.fixture
def wordnet_domains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package like spacy-wordnet, with the domains of an abbey, a shop and a beach."""
    data = tmp_path / "spacy_wordnet" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    nouns = wordnet.nouns()
    rows = {
        "abbey.n.01": "buildings town_planning religion",
        "toyshop.n.01": "commerce buildings",
        "beach.n.01": "factotum geology",
    }
    offsets = {key: nouns.offsets[nouns.index(key) or 0] for key in rows}
    lines = [f"{offsets[key]:08d}-n\t{names}\n" for key, names in rows.items()]
    text = "".join([*lines, "00001740-v\tbiology\n", "-n\tsport\n"])
    (data / "wordnet_domains.txt").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "spacy_wordnet")
    domains.domains_file.cache_clear()
    yield
    domains.domains_file.cache_clear()


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
