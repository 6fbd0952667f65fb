"""The SUN397 catalogue, which ships with the project: classes, hashtags and the thesis's mapping."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from simple_history.utils import bulk_create_with_history

from mapping.lexicon.names import clean, scene_key
from mapping.models import OTHER, Hashtag, MappingEntry, Opinion, Release, SceneClass
from mapping.opinions.opinions import fill_opinions
from mapping.releases import publish_release

DATA = Path(__file__).resolve().parents[1] / "data"
FIRST_RELEASE = "The founding thesis's published mapping"
OPINIONS = {  # name → column and note
    "Thesis, final table": ("hashtag", "What the thesis's later, published table says."),
    "Thesis, printed tables": (
        "printed_hashtag",
        "What the founding document's own tables print, where they name a class.",
    ),
}


class CatalogueError(Exception):
    """A row of a catalogue file cannot be used. Nothing was loaded."""

    def __init__(self, file: Path, line: int, column: str, problem: str) -> None:
        super().__init__(f"{file.name}, line {line}, column {column}: {problem}. Nothing was loaded.")


@dataclass(frozen=True)
class LoadCounts:
    """Numbers of new rows; zero if everything was loaded before."""

    hashtags: int
    classes: int


@transaction.atomic
def load_catalogue(
    *,
    by: AbstractBaseUser | None = None,
    classes_file: Path = DATA / "sun397.csv",
    hashtags_file: Path = DATA / "hashtags.csv",
) -> LoadCounts:
    """Load missing rows. A repeated call changes nothing, and curators' decisions are never overwritten.

    Publishes release 1 if there is no release. Raises CatalogueError; nothing is saved then.
    """
    new_hashtags = _load_hashtags(hashtags_file)
    new_classes = _load_classes(classes_file)
    if new_classes:
        fill_opinions()
    _load_opinions(classes_file)
    if not Release.objects.exists():
        publish_release(by=by, note=FIRST_RELEASE)
    return LoadCounts(hashtags=new_hashtags, classes=new_classes)


def _rows(file: Path, columns: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line number in the file; the header is line 1."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        missing_columns = columns - set(reader.fieldnames or ())
        if missing_columns:
            raise CatalogueError(file, 1, ", ".join(sorted(missing_columns)), "the column is missing")
        for row in reader:
            yield reader.line_num, {key: (value or "").strip() for key, value in row.items() if key}


def _load_hashtags(file: Path) -> int:
    known_names = set(Hashtag.objects.values_list("name", flat=True))
    new = []
    for line, row in _rows(file, {"hashtag", "instagram_posts_million", "source", "counted_on"}):
        name, posts = row["hashtag"], row["instagram_posts_million"]
        if not name or name == OTHER or name.startswith("#"):
            raise CatalogueError(file, line, "hashtag", f"“{name}” is not a hashtag's name without #")
        if not posts.isdecimal():
            raise CatalogueError(file, line, "instagram_posts_million", f"“{posts}” is not a whole number")
        if name not in known_names:
            known_names.add(name)
            new.append(
                Hashtag(
                    name=name,
                    posts=int(posts) * 1_000_000,
                    source=row["source"],
                    counted_on=row["counted_on"],
                )
            )
    words = set(Hashtag.with_words.filter(name__in=[one.name for one in new]).values_list("name", flat=True))
    for one in new:
        if one.name in words:  # of authors until now
            says = {"posts": one.posts, "source": one.source, "counted_on": one.counted_on}
            Hashtag.with_words.filter(name=one.name).update(in_vocabulary=True, **says)
    Hashtag.objects.bulk_create([one for one in new if one.name not in words])
    return len(new)


def _load_classes(file: Path) -> int:
    hashtags = {hashtag.name: hashtag for hashtag in Hashtag.objects.all()}
    known_keys = set(SceneClass.objects.values_list("key", flat=True))
    new: list[tuple[SceneClass, dict[str, str]]] = []
    file_keys: set[str] = set()
    for line, row in _rows(file, {"raw_name", "hashtag"}):
        key = scene_key(row["raw_name"])
        if not key:
            raise CatalogueError(file, line, "raw_name", "it is empty")
        if key in file_keys:
            raise CatalogueError(file, line, "raw_name", f"{key} is in the file twice")
        file_keys.add(key)
        if row["hashtag"] not in hashtags and row["hashtag"] != OTHER:
            raise CatalogueError(file, line, "hashtag", f"“{row['hashtag']}” is not a known hashtag")
        if key not in known_keys:
            known_keys.add(key)
            new.append((_scene_class(key, row), row))
    SceneClass.objects.bulk_create([scene_class for scene_class, _ in new])
    entries = [
        MappingEntry(
            scene_class=scene_class,
            sense=row.get("sense", ""),
            synset=row.get("synset", ""),
            hypernym_sense=row.get("hypernym_sense", ""),
            hypernym=row.get("hypernym", ""),
            hashtag=hashtags.get(row["hashtag"]),
            status=MappingEntry.Status.IMPORTED,
        )
        for scene_class, row in new
    ]
    bulk_create_with_history(entries, MappingEntry, default_change_reason="imported")
    return len(new)


def _load_opinions(file: Path) -> None:
    """Load the label columns as opinions, to be compared and settled. A blank cell is no answer."""
    columns = {column for column, _ in OPINIONS.values()}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if columns - set(csv.DictReader(lines).fieldnames or ()):
            return  # a file with a single label column has no opinions
    hashtags = {hashtag.name: hashtag for hashtag in Hashtag.objects.all()}
    classes = dict(SceneClass.objects.order_by().values_list("key", "pk"))
    rows = [(line, classes[scene_key(row["raw_name"])], row) for line, row in _rows(file, columns)]
    for name, (column, note) in OPINIONS.items():
        opinion, _ = Opinion.objects.get_or_create(name=name, defaults={"note": note})
        answered_classes = set(opinion.entries(manager="everywhere").values_list("scene_class", flat=True))
        new = []
        for line, scene_class, row in rows:
            label = row[column]
            if label and label != OTHER and label not in hashtags:
                raise CatalogueError(file, line, column, f"“{label}” is not a known hashtag")
            if label and scene_class not in answered_classes:
                new.append(_answer(opinion, scene_class, hashtags.get(label)))
        MappingEntry.everywhere.bulk_create(new)


def _answer(opinion: Opinion, scene_class: int, hashtag: Hashtag | None) -> MappingEntry:
    return MappingEntry(
        opinion=opinion,
        scene_class_id=scene_class,
        hashtag=hashtag,
        status=MappingEntry.Status.IMPORTED,
    )


def _scene_class(key: str, row: dict[str, str]) -> SceneClass:
    return SceneClass(
        key=key,
        name=clean(key),
        name_ru=row.get("name_ru", ""),
        level1=row.get("sun_level1", ""),
        level2=row.get("sun_level2", ""),
    )
