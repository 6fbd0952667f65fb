"""Opinions: those that ship; starting, filling and deleting one; an owner stays blind until finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client

from mapping.acts import Decision, change_entry
from mapping.files.catalogue import load_catalogue
from mapping.models import Hashtag, MappingEntry, Opinion, SceneClass
from mapping.opinions.agreement import agreement
from mapping.opinions.opinions import (
    NameTaken,
    delete_opinion,
    fill_opinion,
    opinion_of,
    patterns,
    standings,
    start_opinion,
)
from mapping.opinions.settling import open_rows, settled_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two_tables")]
UserFor = Callable[..., User]
ClientFor = Callable[..., Client]
LIST = "/mapping/opinions/"
SETTLE = "/mapping/settle/"
CLOSED = [("stranger", 302), ("validator", 403), ("viewer", 403)]
THE_FOURTEEN = [
    ("b/ball_pit", "entertainment", "sport"),
    ("b/batters_box", "sport", "other"),
    ("b/bullring", "entertainment", "sport"),
    ("d/driving_range/outdoor", "sport", "other"),
    ("f/fairway", "sport", "other"),
    ("i/ice_shelf", "snow", "nature"),
    ("p/podium/indoor", "sport", "other"),
    ("p/putting_green", "sport", "other"),
    ("s/ski_lodge", "snow", "sport"),
    ("s/ski_resort", "snow", "sport"),
    ("s/ski_slope", "snow", "sport"),
    ("s/swimming_pool/outdoor", "other", "sport"),
    ("t/track/outdoor", "sport", "other"),
    ("w/wrestling_ring/indoor", "entertainment", "sport"),
]


@pytest.fixture
def ann(user_for: UserFor) -> User:
    return user_for("curator", "ann")


@pytest.fixture
def bob(user_for: UserFor) -> User:
    return user_for("curator", "bob")


@pytest.fixture
def thesis() -> list[Opinion]:
    return list(Opinion.objects.order_by("pk"))


def entry(key: str, opinion: Opinion | None = None) -> MappingEntry:
    return MappingEntry.everywhere.get(scene_class__key=key, opinion=opinion)


def keys(rows: object) -> list[str]:
    return [row.scene_class.key for row in rows]  # type: ignore[attr-defined]


def answer(opinion: Opinion, by: User, **labels: str) -> None:
    """Answer classes by the last part of their key: answer(opinion, ann, abbey="art")."""
    for name, label in labels.items():
        row = entry(f"{name[0]}/{name}", opinion)
        change_entry(entry_id=row.pk, version=row.version, by=by, decision=Decision(label))


def test_final_and_printed_tables_differ_in_fourteen_classes(thesis: list[Opinion]) -> None:
    assert [opinion.name for opinion in thesis] == ["Thesis, final table", "Thesis, printed tables"]
    assert [(row.answers, row.classes) for row in standings()] == [(41, 41), (37, 41)]
    names = dict(Hashtag.objects.values_list("pk", "name")) | {0: "other"}
    differences = [
        (row.scene_class.key, names[row.answer_0], names[row.answer_1])  # type: ignore[attr-defined]
        for row in open_rows(thesis)
    ]
    assert differences == THE_FOURTEEN
    assert not settled_rows(thesis).exists()


def test_catalogue_ships_both_tables_completely() -> None:
    load_catalogue()
    first, second = standings()
    assert (first.answers, second.answers, second.classes) == (397, 37, 397)
    assert len(open_rows([first.opinion, second.opinion])) == 14


def test_agreement_of_the_two_tables(thesis: list[Opinion]) -> None:
    result = agreement(patterns(thesis))
    assert (result.classes, result.same) == (37, 23)
    assert result.alpha == pytest.approx(0.30, abs=0.05)
    # The mapping starts as a copy of the final table.
    assert agreement(patterns([thesis[0], None])).alpha == 1


def test_loading_the_catalogue_again_changes_no_answer(thesis: list[Opinion], few_classes: Path) -> None:
    MappingEntry.everywhere.filter(opinion=thesis[1], scene_class__key="b/ball_pit").update(
        hashtag=Hashtag.objects.get(name="art")
    )
    before = MappingEntry.everywhere.count()
    load_catalogue(classes_file=few_classes)
    assert (Opinion.objects.count(), MappingEntry.everywhere.count()) == (2, before)
    assert entry("b/ball_pit", thesis[1]).label == "art"


def test_opinion_starts_undecided_and_is_created_once(ann: User) -> None:
    opinion = start_opinion(name=" Ann's ", by=ann, note="second look")
    again = start_opinion(name="Ann's", by=ann)
    assert (again.pk, again.note, opinion.name) == (opinion.pk, "second look", "Ann's")
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    assert entries.count() == 41
    assert not entries.exclude(status="undecided", hashtag=None).exists()
    assert MappingEntry.objects.count() == 41


def test_opinion_can_be_filled_with_classes_added_later(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    SceneClass.objects.create(key="z/zoo", name="zoo")
    assert fill_opinion(opinion) == 1
    assert fill_opinion(opinion) == 0
    assert entry("z/zoo", opinion).label is None


def test_loading_classes_adds_them_to_every_opinion(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    load_catalogue()
    assert MappingEntry.everywhere.filter(opinion=opinion).count() == 397


def test_name_must_be_unique_and_not_blank(ann: User, bob: User) -> None:
    start_opinion(name="second", by=ann)
    with pytest.raises(NameTaken):
        start_opinion(name="second", by=bob)
    with pytest.raises(NameTaken):
        start_opinion(name="Thesis, final table", by=bob)
    with pytest.raises(ValueError, match="name"):
        start_opinion(name="  ", by=bob)


def test_only_its_owner_can_work_on_an_opinion(ann: User, bob: User, thesis: list[Opinion]) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    assert opinion_of(ann, str(opinion.pk)) == opinion
    for opinion_id in (opinion.pk, thesis[0].pk):
        with pytest.raises(PermissionDenied):
            opinion_of(bob, opinion_id)
    for nonsense in ("", "x", "-1", "²", "999999"):
        with pytest.raises(Http404):
            opinion_of(ann, nonsense)


def test_owner_can_delete_an_opinion_with_its_answers(ann: User, bob: User, thesis: list[Opinion]) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art")
    for opinion_id, by in ((opinion.pk, bob), (thesis[0].pk, ann)):
        with pytest.raises(PermissionDenied):
            delete_opinion(opinion_id=opinion_id, by=by)
    delete_opinion(opinion_id=opinion.pk, by=ann)
    delete_opinion(opinion_id=opinion.pk, by=ann)
    assert list(Opinion.objects.all()) == thesis
    assert MappingEntry.everywhere.count() == 41 + 41 + 37


def test_list_shows_agreement_and_hides_it_from_a_blind_owner(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art", bar="bar")
    mine = client_for("curator", "ann").get(LIST)
    assert [row.agreement is None for row in mine.context["rows"]] == [False, False, True]
    assert "you map blind" in mine.content.decode()
    assert all(opinion not in (pair.first, pair.second) for pair in mine.context["pairs"])
    theirs = client_for("curator").get(LIST).context["rows"][2]
    assert (theirs.agreement.classes, theirs.agreement.same) == (2, 1)
    pairs = client_for("curator").get(LIST).context["pairs"]
    assert [(pair.agreement.same, pair.agreement.classes) for pair in pairs] == [(23, 37), (1, 2), (0, 0)]


def test_blind_owner_sees_no_label_of_others(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art")
    client = client_for("curator", "ann")
    page = client.get(f"{LIST}{opinion.pk}/", {"against": "1"})
    assert page.status_code == 200
    assert "church" not in page.content.decode()
    assert "agreement" not in page.context
    settle_page = client.get(SETTLE, {"opinion": opinion.pk})
    assert settle_page.status_code == 403
    assert "Finish your opinion first" in settle_page.content.decode()
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    entries.filter(status="undecided").update(status="confirmed")
    assert "church" in client.get(f"{LIST}{opinion.pk}/").content.decode()
    assert client.get(SETTLE, {"opinion": opinion.pk}).status_code == 200


def test_opinion_page_lists_confused_labels(client_for: ClientFor, thesis: list[Opinion]) -> None:
    page = client_for("viewer").get(f"{LIST}{thesis[0].pk}/", {"against": thesis[1].pk})
    confusions = [(row.first, row.second, row.classes) for row, _ in page.context["confusions"]]
    assert confusions == [
        ("sport", "other", 6),
        ("entertainment", "sport", 3),
        ("snow", "sport", 3),
        ("other", "sport", 1),
        ("snow", "nature", 1),
    ]
    assert client_for("viewer").get(f"{LIST}9999/").status_code == 404


def test_repeated_click_starts_one_opinion(client_for: ClientFor) -> None:
    client = client_for("curator")
    for _ in range(2):
        response = client.post(f"{LIST}start/", {"name": "second look", "note": ""})
        assert response["Location"] == Opinion.objects.get(name="second look").get_absolute_url()
    refusal = client_for("curator", "bob").post(f"{LIST}start/", {"name": "second look"})
    assert refusal.status_code == 400
    assert "somebody else" in refusal.content.decode()
    assert client.post(f"{LIST}start/", {"name": " "}).status_code == 400
    assert Opinion.objects.count() == 3


def test_only_its_owner_can_delete_it_and_must_confirm(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    address = f"{LIST}{opinion.pk}/delete/"
    for role, status in [*CLOSED, ("curator", 403)]:
        assert client_for(role).get(address).status_code == status
        assert client_for(role).post(address).status_code == status
    owner = client_for("curator", "ann")
    assert "It has no answers yet" in owner.get(address).content.decode()
    assert Opinion.objects.filter(pk=opinion.pk).exists()
    for _ in range(2):
        assert owner.post(address)["Location"] == LIST
    assert not Opinion.objects.filter(pk=opinion.pk).exists()


def test_one_click_adds_later_classes_to_an_opinion(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    SceneClass.objects.create(key="z/zoo", name="zoo")
    client = client_for("curator", "ann")
    assert "1 class was added since" in client.get(f"{LIST}{opinion.pk}/").content.decode()
    assert client_for("curator", "bob").post(f"{LIST}{opinion.pk}/fill/").status_code == 403
    assert client.post(f"{LIST}{opinion.pk}/fill/").status_code == 302
    assert entry("z/zoo", opinion).label is None
