"""Loading the catalogue: completely or not at all, and never over a curator's decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapping.files.catalogue import DATA, CatalogueError, LoadCounts, load_catalogue
from mapping.models import Hashtag, MappingEntry, Release, SceneClass

pytestmark = pytest.mark.django_db
HEADER = "raw_name,hashtag\n"


def test_second_load_changes_nothing() -> None:
    assert load_catalogue() == LoadCounts(hashtags=20, classes=397)
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    MappingEntry.objects.filter(pk=entry.pk).update(
        hashtag=Hashtag.objects.get(name="art"), status="confirmed"
    )
    assert load_catalogue() == LoadCounts(hashtags=0, classes=0)
    entry.refresh_from_db()
    assert entry.label == "art"
    assert Release.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + "/a/abbey,church\n/b/bar,nonsense\n", "line 3, column hashtag: “nonsense” is not a known"),
        (
            HEADER + "/a/abbey,church\na/abbey/,art\n",
            "line 3, column raw_name: a/abbey is in the file twice",
        ),
        (HEADER + "/,church\n", "line 2, column raw_name: it is empty"),
        ("raw_name\n/a/abbey\n", "line 1, column hashtag: the column is missing"),
    ],
)
def test_bad_row_is_named_and_nothing_loaded(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "classes.csv"
    file.write_text(text)
    with pytest.raises(CatalogueError, match=words):
        load_catalogue(classes_file=file)
    assert not SceneClass.objects.exists()
    assert not Hashtag.objects.exists()


@pytest.mark.parametrize("count", ["many", "10²"])
def test_bad_post_count_is_named(tmp_path: Path, count: str) -> None:
    file = tmp_path / "hashtags.csv"
    file.write_text(f"hashtag,instagram_posts_million,source,counted_on\nart,{count},x,2019\n")
    with pytest.raises(CatalogueError, match=f"“{count}” is not a whole number"):
        load_catalogue(hashtags_file=file)


def test_catalogue_file_has_397_rows() -> None:
    assert (DATA / "sun397.csv").read_text(encoding="utf-8").count("\n") == 398
