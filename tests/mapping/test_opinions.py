"""Opinions: started, compared, settled in the mapping, taken over where they agree; blind for their owner."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404

from mapping.agreement import agreement
from mapping.catalogue import load_catalogue
from mapping.models import Change, Hashtag, MappingEntry, Opinion, SceneClass
from mapping.opinions import (
    NameTaken,
    delete_opinion,
    fill_opinion,
    opinion_of,
    patterns,
    standings,
    start_opinion,
)
from mapping.services import Decision, StaleEntries, change_entry, change_many, undo_change
from mapping.settling import AnswersMoved, agreed, open_rows, settle, settled_rows, take_over

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue"), pytest.mark.postgres]
UserFor = Callable[..., User]
THE_EIGHT = [
    ("b/ball_pit", "entertainment", "sport"),
    ("b/bullring", "entertainment", "sport"),
    ("i/ice_shelf", "snow", "nature"),
    ("s/ski_lodge", "snow", "sport"),
    ("s/ski_resort", "snow", "sport"),
    ("s/ski_slope", "snow", "sport"),
    ("s/swimming_pool/outdoor", "other", "sport"),
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
        found = entry(f"{name[0]}/{name}", opinion)
        change_entry(entry_id=found.pk, version=found.version, by=by, decision=Decision(label))


def pick(
    key: str, hashtag: str, by: User, opinions: list[Opinion], version: int | None = None
) -> MappingEntry:
    found = entry(key)
    version = version or found.version
    return settle(entry_id=found.pk, version=version, by=by, hashtag=hashtag, opinions=opinions)


# --- what ships


def test_final_and_printed_tables_differ_in_eight_classes(thesis: list[Opinion]) -> None:
    assert [opinion.name for opinion in thesis] == ["Thesis, final table", "Thesis, printed tables"]
    assert [(row.answered, row.classes) for row in standings()] == [(397, 397), (31, 397)]
    names = dict(Hashtag.objects.values_list("pk", "name")) | {0: "other"}
    found = [
        (row.scene_class.key, names[row.answer_0], names[row.answer_1])  # type: ignore[attr-defined]
        for row in open_rows(thesis)
    ]
    assert found == THE_EIGHT
    assert not settled_rows(thesis).exists()


def test_agreement_of_the_two_tables(thesis: list[Opinion]) -> None:
    found = agreement(patterns(thesis))
    assert (found.classes, found.same) == (31, 23)
    assert found.alpha == pytest.approx(0.45, abs=0.05)
    assert agreement(patterns([thesis[0], None])).alpha == 1  # the mapping begins as the final table


def test_loading_again_changes_no_answer(thesis: list[Opinion]) -> None:
    MappingEntry.everywhere.filter(opinion=thesis[1], scene_class__key="b/ball_pit").update(
        hashtag=Hashtag.objects.get(name="art")
    )
    before = MappingEntry.everywhere.count()
    load_catalogue()
    assert (Opinion.objects.count(), MappingEntry.everywhere.count()) == (2, before)
    assert entry("b/ball_pit", thesis[1]).label == "art"


# --- starting, filling, deleting


def test_opinion_starts_undecided_and_a_repeated_click_finds_it(ann: User) -> None:
    opinion = start_opinion(name=" Ann's ", by=ann, note="second look")
    again = start_opinion(name="Ann's", by=ann)
    assert (again.pk, again.note, opinion.name) == (opinion.pk, "second look", "Ann's")
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    assert entries.count() == 397
    assert not entries.exclude(status="undecided", hashtag=None).exists()
    assert MappingEntry.objects.count() == 397


def test_class_added_later_gets_a_row(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    SceneClass.objects.create(key="z/zoo", name="zoo")
    assert fill_opinion(opinion) == 1
    assert fill_opinion(opinion) == 0
    assert entry("z/zoo", opinion).label is None


def test_name_of_another_is_taken(ann: User, bob: User) -> None:
    start_opinion(name="second", by=ann)
    with pytest.raises(NameTaken):
        start_opinion(name="second", by=bob)
    with pytest.raises(NameTaken):
        start_opinion(name="Thesis, final table", by=bob)
    with pytest.raises(ValueError, match="name"):
        start_opinion(name="  ", by=bob)


def test_only_its_owner_works_on_an_opinion(ann: User, bob: User, thesis: list[Opinion]) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    assert opinion_of(ann, str(opinion.pk)) == opinion
    for opinion_id in (opinion.pk, thesis[0].pk):
        with pytest.raises(PermissionDenied):
            opinion_of(bob, opinion_id)
    for nonsense in ("", "x", "-1", "²", "999999"):
        with pytest.raises(Http404):
            opinion_of(ann, nonsense)


def test_owner_deletes_an_opinion_with_its_answers(ann: User, bob: User, thesis: list[Opinion]) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art")
    for opinion_id, by in ((opinion.pk, bob), (thesis[0].pk, ann)):
        with pytest.raises(PermissionDenied):
            delete_opinion(opinion_id=opinion_id, by=by)
    delete_opinion(opinion_id=opinion.pk, by=ann)
    delete_opinion(opinion_id=opinion.pk, by=ann)
    assert list(Opinion.objects.all()) == thesis
    assert MappingEntry.everywhere.count() == 397 + 397 + 31


# --- settling


def test_settling_decides_in_the_mapping_and_moves_the_class(ann: User, thesis: list[Opinion]) -> None:
    saved = pick("i/ice_shelf", "nature", ann, thesis)
    assert (saved.label, saved.status, saved.sense) == ("nature", "confirmed", "shelf_ice.n.01")
    assert saved.change is not None
    assert saved.change.action == "settle"
    assert keys(settled_rows(thesis)) == ["i/ice_shelf"]
    assert "i/ice_shelf" not in keys(open_rows(thesis))
    assert entry("i/ice_shelf", thesis[0]).label == "snow"  # opinions stay what they were


def test_settling_keeps_what_a_curator_confirmed_before(ann: User, bob: User, thesis: list[Opinion]) -> None:
    before = entry("s/ski_slope")
    change_entry(entry_id=before.pk, version=before.version, by=bob, decision=Decision("snow"))
    assert "s/ski_slope" in keys(open_rows(thesis))  # a decision elsewhere settles nothing
    saved = pick("s/ski_slope", "snow", ann, thesis)
    assert keys(settled_rows(thesis)) == ["s/ski_slope"]
    assert saved.changed_by == ann
    pick("s/ski_slope", "snow", ann, thesis)  # a repeated click
    assert Change.objects.filter(action="settle").count() == 1
    assert saved.change is not None
    undo_change(change_id=saved.change.pk, by=ann)
    assert "s/ski_slope" in keys(open_rows(thesis))
    assert entry("s/ski_slope").status == "confirmed"


@pytest.mark.parametrize("hashtag", ["sport", "snow"])
def test_stale_page_settles_nothing(ann: User, bob: User, thesis: list[Opinion], hashtag: str) -> None:
    seen = entry("s/ski_slope").version
    answered = entry("s/ski_slope")
    change_entry(entry_id=answered.pk, version=seen, by=bob, decision=Decision("snow"))
    with pytest.raises(StaleEntries):
        pick("s/ski_slope", hashtag, ann, thesis, version=seen)
    assert entry("s/ski_slope").changed_by == bob


def test_undo_and_a_newer_answer_open_a_class_again(ann: User, bob: User) -> None:
    opinions = [start_opinion(name=user.username, by=user) for user in (ann, bob)]
    answer(opinions[0], ann, abbey="art", bar="cafe")
    answer(opinions[1], bob, abbey="church", bar="other", beach="water")
    assert keys(open_rows(opinions)) == ["a/abbey", "b/bar"]  # of the beach one says nothing
    for key in ("a/abbey", "b/bar"):
        saved = pick(key, "other", ann, opinions)
    assert keys(settled_rows(opinions)) == ["a/abbey", "b/bar"]
    answer(opinions[1], bob, abbey="street")
    assert keys(open_rows(opinions)) == ["a/abbey"]
    assert saved.change is not None
    undo_change(change_id=saved.change.pk, by=ann)
    assert keys(open_rows(opinions)) == ["a/abbey", "b/bar"]


def test_one_opinion_is_settled_against_the_mapping(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art", beach="water")
    assert keys(open_rows([opinion])) == ["a/abbey"]
    pick("a/abbey", "art", ann, [opinion])
    assert not open_rows([opinion]).exists()
    assert keys(settled_rows([opinion])) == ["a/abbey"]


def test_sense_comes_with_the_answer(ann: User, thesis: list[Opinion]) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    found = entry("i/ice_shelf", opinion)
    decision = Decision("nature", sense="shelf.n.02", synset="ledge", hypernym="ridge")
    change_entry(entry_id=found.pk, version=1, by=ann, decision=decision)
    before = entry("i/ice_shelf")
    assert pick("i/ice_shelf", "snow", ann, [*thesis, opinion]).sense == before.sense
    saved = pick("i/ice_shelf", "nature", ann, [*thesis, opinion])
    assert (saved.sense, saved.synset, saved.hypernym) == ("shelf.n.02", "ledge", "ridge")


def test_settling_touches_no_opinion_and_no_unknown_hashtag(ann: User, thesis: list[Opinion]) -> None:
    theirs = entry("b/ball_pit", thesis[0])
    with pytest.raises(MappingEntry.DoesNotExist):
        settle(entry_id=theirs.pk, version=1, by=ann, hashtag="art", opinions=thesis)
    with pytest.raises(Hashtag.DoesNotExist):
        pick("b/ball_pit", "nonsense", ann, thesis)


# --- taking over


def test_taking_over_confirms_where_all_agree(ann: User, bob: User) -> None:
    opinions = [start_opinion(name=user.username, by=user) for user in (ann, bob)]
    for opinion, by in zip(opinions, (ann, bob), strict=True):
        answer(opinion, by, abbey="art", beach="water", bar="street", bookstore="shopping")
    answer(opinions[1], bob, bookstore="other")
    bar = entry("b/bar")
    change_entry(entry_id=bar.pk, version=bar.version, by=bob, decision=Decision("cafe"))
    found = agreed(opinions)
    assert [(row.key, row.before, row.after) for row in found.rows] == [
        ("a/abbey", "church", "art"),
        ("b/beach", "water", "water"),
    ]
    assert ([row.key for row in found.moved], found.left_alone) == (["a/abbey"], 1)
    act = take_over(opinions=opinions, by=ann, seen=found.seen)
    assert act is not None
    assert [entry(key).label for key in ("a/abbey", "b/beach", "b/bar")] == ["art", "water", "cafe"]
    assert entry("b/beach").status == "confirmed"
    assert take_over(opinions=opinions, by=ann, seen=found.seen) is None  # a repeated click
    undo_change(change_id=act.pk, by=ann)
    assert (entry("a/abbey").label, entry("b/beach").status) == ("church", "imported")


def test_taking_over_what_moved_since_it_was_shown_changes_nothing(ann: User, thesis: list[Opinion]) -> None:
    seen = agreed(thesis).seen
    found = entry("b/badminton_court/indoor")
    change_entry(entry_id=found.pk, version=found.version, by=ann, decision=Decision("art"))
    with pytest.raises(AnswersMoved):
        take_over(opinions=thesis, by=ann, seen=seen)
    assert Change.objects.count() == 1


def test_it_takes_two_to_agree(thesis: list[Opinion]) -> None:
    with pytest.raises(ValueError, match="two"):
        agreed(thesis[:1])


def test_undone_group_leaves_a_change_of_an_opinion_alone(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    found = entry("a/abbey", opinion)
    act = change_many(
        by=ann,
        action=Change.Action.GROUP,
        decisions={found.pk: Decision("art")},
        versions={found.pk: 1},
    )
    assert act is not None
    assert act.opinion == opinion
    undo_change(change_id=act.pk, by=ann)
    assert entry("a/abbey", opinion).label is None
