"""The migration that normalises the names of a database from before normalisation."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import transaction
from django.db.utils import DatabaseError

from mapping.models import Hashtag, MappingEntry, Release, ReleaseLabel, SceneClass
from tests.validation.conftest import MakeCampaign, MakeVote
from trainer.models import PhotoSet, ScenePhoto
from validation.models import AuthorHashtag, Photo, Vote

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
migration = import_module("validation.migrations.0011_names_in_one_spelling")
NFC, NFD = "caf\u00e9", "cafe\u0301"
ZERO_WIDTH = "\u200b"


def normalize() -> None:
    migration.normalize(apps, None)


def tag(name: str) -> Hashtag:
    return Hashtag.objects.create(name=name, posts=10**7, source="counted", counted_on="2019")


def scene(key: str, hashtag: Hashtag | None = None) -> SceneClass:
    row = SceneClass.objects.create(key=key, name=key[2:])
    MappingEntry.objects.create(scene_class=row, hashtag=hashtag, status=MappingEntry.Status.CONFIRMED)
    return row


def names() -> dict[int, str]:
    return dict(Hashtag.objects.order_by("pk").values_list("pk", "name"))


def test_single_names_get_todays_spelling(capsys: pytest.CaptureFixture[str]) -> None:
    odd, plain = tag(NFD), tag("bar")
    abbey, cafe = scene(f"a/ab{ZERO_WIDTH}bey"), scene(f"c/{NFD}", odd)
    SceneClass.objects.filter(pk=cafe.pk).update(name_ru="кафе\u0306", level1="in\u00a0door")
    normalize()
    assert names() == {odd.pk: NFC, plain.pk: "bar"}
    keys = dict(SceneClass.objects.values_list("pk", "key"))
    assert keys == {abbey.pk: "a/abbey", cafe.pk: f"c/{NFC}"}
    cafe.refresh_from_db()
    assert (cafe.name, cafe.name_ru, cafe.level1) == (NFC, "каф\u04d7", "in door")
    assert not Hashtag.objects.blocked().exists()
    told = capsys.readouterr().out
    assert "hashtag 'cafe\\u0301' is now 'caf\\xe9'" in told
    assert "scene class 'a/ab\\u200bbey' is now 'a/abbey'" in told


def test_the_hashtag_that_is_used_most_gets_the_name(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag]
) -> None:
    right, used = tag(NFC), hashtags["cafe"]
    Hashtag.objects.filter(pk=used.pk).update(name=NFD)
    campaign = make_campaign("cafe")
    used.refresh_from_db()
    votes = [vote_as(campaign, 0, "fits", name).pk for name in ("ann", "bob")]
    counts = list(campaign.questions.values("hashtag", "fits"))
    normalize()
    used.refresh_from_db()
    right.refresh_from_db()
    assert (used.name, used.blocked) == (NFC, False)
    assert (right.name, right.blocked) == (f"{NFC}_2", True)
    assert f"#{NFC}" in right.blocked_why
    assert sorted(Vote.objects.filter(hashtag=used).values_list("pk", flat=True)) == sorted(votes)
    assert list(campaign.questions.values("hashtag", "fits")) == counts


def test_equal_use_leaves_the_name_to_the_row_that_has_it() -> None:
    odd, right, odder = tag(NFD), tag(NFC), tag(f"{ZERO_WIDTH}{NFC}")
    numbered = tag(f"{NFC}_2")
    normalize()
    assert names() == {
        odd.pk: f"{NFC}_3",
        right.pk: NFC,
        odder.pk: f"{NFC}_4",
        numbered.pk: f"{NFC}_2",
    }
    assert set(Hashtag.objects.blocked()) == {odd, odder}


def test_no_hashtag_becomes_other_or_nameless() -> None:
    other, empty = tag(f"oth{ZERO_WIDTH}er"), tag(ZERO_WIDTH)
    normalize()
    assert names() == {other.pk: "other_2", empty.pk: "unnamed"}
    assert not Hashtag.objects.blocked().exists()


def test_equal_classes_keep_their_decisions_and_photos() -> None:
    bar, sport = tag("bar"), tag("sport")
    odd, right = scene(f"c/{NFD}", bar), scene(f"c/{NFC}", sport)
    photo_set = PhotoSet.objects.create(name="Old", source="folder")
    for number in range(3):
        ScenePhoto.objects.create(
            photo_set=photo_set, scene_class=odd, path=f"{number}.jpg", sha256=str(number), width=1, height=1
        )
    normalize()
    odd.refresh_from_db()
    right.refresh_from_db()
    assert (odd.key, right.key) == (f"c/{NFC}", f"c/{NFC}_2")
    assert [row.entries.get().hashtag for row in (odd, right)] == [bar, sport]
    assert odd.photos.count() == 3


def test_releases_name_the_rows_that_they_named() -> None:
    used, twin = tag(NFD), tag(NFC)
    odd, right = scene(f"c/{NFD}", used), scene(f"c/{NFC}", twin)
    scene("d/den", used)
    release = Release.objects.create(number=1, note="Old")
    for key, label in ((odd.key, NFD), (right.key, NFC), ("a/abbey", "other"), (f"g/go{ZERO_WIDTH}ne", NFD)):
        ReleaseLabel.objects.create(release=release, scene_key=key, label=label, sense="abbey.n.01")
    pks = set(release.labels.values_list("pk", flat=True))
    normalize()
    for row in (odd, right, used, twin):
        row.refresh_from_db()
    assert dict(release.labels.values_list("scene_key", "label")) == {
        odd.key: used.name,
        right.key: twin.name,
        "a/abbey": "other",
        "g/gone": used.name,
    }
    assert (used.name, twin.name) == (NFC, f"{NFC}_2")
    assert set(release.labels.values_list("pk", flat=True)) == pks
    assert set(release.labels.values_list("sense", flat=True)) == {"abbey.n.01"}
    with pytest.raises(DatabaseError), transaction.atomic():
        release.labels.update(label="bar")  # still frozen


def test_author_hashtags_are_there_once() -> None:
    first, second = (
        Photo.objects.create(sha256=name, file=name, name=name, width=1, height=1) for name in "ab"
    )
    for photo, name in ((first, NFD), (first, NFC), (first, "bar"), (second, NFD), (second, ZERO_WIDTH)):
        AuthorHashtag.objects.create(photo=photo, name=name)
    normalize()
    assert sorted(AuthorHashtag.objects.values_list("photo", "name")) == [
        (first.pk, "bar"),
        (first.pk, NFC),
        (second.pk, NFC),
    ]


def test_repeating_it_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (NFD, NFC, f"oth{ZERO_WIDTH}er"):
        scene(f"c/{name}", tag(name))
    normalize()
    capsys.readouterr()
    rows = names(), list(SceneClass.objects.order_by("pk").values())
    normalize()
    assert (names(), list(SceneClass.objects.order_by("pk").values())) == rows
    assert capsys.readouterr().out == ""
