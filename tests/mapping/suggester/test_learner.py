"""The learner of this process: up to date after every act of any user; blind in an opinion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from mapping.acts import Decision, change_entry, newest_change, undo_change
from mapping.models import Hashtag, MappingEntry, Opinion, SceneClass
from mapping.suggester import learner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
UserFor = Callable[..., User]


def entry_of(key: str, opinion: Opinion | None = None) -> MappingEntry:
    return MappingEntry.everywhere.get(scene_class__key=key, opinion=opinion)


def decide(by: User, key: str, hashtag: str, opinion: Opinion | None = None) -> None:
    entry = entry_of(key, opinion)
    change_entry(entry_id=entry.pk, version=entry.version, by=by, decision=Decision(hashtag))


def first(key: str, opinion: Opinion | None = None) -> learner.Choice:
    return learner.suggest(entry_of(key, opinion), opinion).hashtags[0]


def confirmed_labels(opinion: Opinion | None = None) -> list[str]:
    current = learner.current_learner(opinion)
    assert current is not None
    return list(current._confirmed.values())


def test_imported_answers_are_not_learned(user_for: UserFor) -> None:
    assert confirmed_labels() == []


def test_confirmations_are_learned_and_undone_ones_forgotten(user_for: UserFor) -> None:
    curator = user_for("curator")
    offer = learner.suggest(entry_of("t/toyshop"), None)
    decide(curator, "s/shoe_shop", "sport")
    assert confirmed_labels() == ["sport"]
    assert learner.suggest(entry_of("t/toyshop"), None) != offer
    act = newest_change(by=curator)
    assert act is not None
    undo_change(change_id=act.pk, by=curator)
    assert confirmed_labels() == []
    assert learner.suggest(entry_of("t/toyshop"), None) == offer


def test_opinion_learns_from_its_own_rows_only(user_for: UserFor) -> None:
    curator = user_for("curator")
    opinion = Opinion.objects.create(name="mine", owner=curator)
    for scene in SceneClass.objects.all():
        MappingEntry.everywhere.create(scene_class=scene, opinion=opinion)
    decide(curator, "s/shoe_shop", "sport")
    assert confirmed_labels(opinion) == []
    decide(curator, "s/shoe_shop", "art", opinion)
    assert confirmed_labels(opinion) == ["art"]
    assert confirmed_labels() == ["sport"]


def test_blocked_and_rare_hashtags_are_not_offered(user_for: UserFor) -> None:
    def offered_names() -> set[str]:
        offer = learner.suggest(entry_of("a/abbey"), None)
        return {*(choice.hashtag for choice in offer.hashtags), *offer.further}

    assert {"church", "street"} <= offered_names()
    church = Hashtag.objects.get(name="church")
    church.blocked = True
    church.save()
    assert "church" not in offered_names()
    street = Hashtag.objects.get(name="street")
    street.posts = 9_999_999
    street.save()
    assert "street" not in offered_names()


def test_blocked_hashtag_of_a_confirmed_class_is_still_learned(user_for: UserFor) -> None:
    decide(user_for("curator"), "a/abbey", "church")
    church = Hashtag.objects.get(name="church")
    church.blocked = True
    church.save()
    current = learner.current_learner(None)
    assert current is not None
    assert (
        current._suggester.suggest(current._place[entry_of("c/chapel").scene_class_id]).hashtags[0].hashtag
        == "church"
    )
    offer = learner.suggest(entry_of("c/chapel"), None)
    assert "church" not in {*(choice.hashtag for choice in offer.hashtags), *offer.further}


def test_blocked_answer_is_given_to_no_group_and_its_probability_to_nobody(
    user_for: UserFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a learner of thousands of classes still has the answers of a moment ago."""
    chapel = entry_of("c/chapel").scene_class_id
    decide(user_for("curator"), "a/abbey", "church")
    current = learner.current_learner(None)
    assert current is not None
    before = current.answers()
    assert before is not None
    assert before[chapel][0] == "church"
    Hashtag.objects.filter(name="church").update(blocked=True)
    after = current.answers()
    assert after is not None
    assert after[chapel][0] != "church"
    assert after[chapel][1] <= 1 - before[chapel][1]
    current._answers = before
    monkeypatch.setattr(learner, "AT_ONCE", 3)
    stale = current.answers()
    assert stale is not None
    assert stale[chapel] == ("church", 0.0)
    Hashtag.objects.filter(name="church").update(blocked=False)
    assert current.answers() == before


def test_new_classes_and_new_senses_are_learned(user_for: UserFor) -> None:
    first("t/toyshop")
    scene = SceneClass.objects.create(key="b/bookstore", name="bookstore")
    MappingEntry.objects.create(scene_class=scene)
    assert learner.suggest(entry_of("b/bookstore"), None).hashtags
    entry = entry_of("t/toyshop")
    decision = Decision("shopping", sense="cathedral.n.01")
    change_entry(entry_id=entry.pk, version=entry.version, by=user_for("curator"), decision=decision)
    current = learner.current_learner(None)
    assert current is not None
    assert "cathedral.n.01" in {facts.sense for facts in current._facts}


@pytest.mark.django_db(transaction=True)
def test_thousands_are_learned_in_the_background(
    user_for: UserFor, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.LEARN_BESIDE = True
    monkeypatch.setattr(learner, "AT_ONCE", 3)
    monkeypatch.setattr(learner, "REST", 0)
    offer = learner.suggest(entry_of("t/toyshop"), None)
    assert "in a moment" in offer.words
    current = learner._learners[None]
    assert current.thread is not None
    current.thread.join()
    assert learner.suggest(entry_of("t/toyshop"), None).hashtags
    assert current.answers() is None  # no group page was viewed yet
    decide(user_for("curator"), "s/shoe_shop", "sport")
    first("t/toyshop")
    current.thread.join()
    assert len(current.answers() or ()) == 7


def test_new_looks_are_learned_and_name_confirmed_classes_that_look_alike(
    user_for: UserFor, see: Callable[..., None]
) -> None:
    decide(user_for("curator"), "s/shoe_shop", "sport")
    assert learner.suggest(entry_of("b/beach"), None).lookalikes == ()
    see({"b/beach": [1, 0], "s/shoe_shop": [1, 0.1], "a/abbey": [0, 1]})
    offer = learner.suggest(entry_of("b/beach"), None)
    assert offer.lookalikes == (learner.Lookalike("s/shoe_shop", "shoe shop", "sport"),)
    assert "looks like shoe shop" in {choice.hashtag: choice.reason for choice in offer.hashtags}["sport"]


def test_lookalike_that_another_thread_takes_back_is_left_out(
    user_for: UserFor, see: Callable[..., None]
) -> None:
    decide(user_for("curator"), "s/shoe_shop", "sport")
    see({"b/beach": [1, 0], "s/shoe_shop": [1, 0.1], "a/abbey": [0, 1]})
    beach = entry_of("b/beach")
    assert learner.suggest(beach, None).lookalikes
    current = learner.current_learner(None)
    assert current is not None
    current._confirmed.clear()  # as at the start of learning changes
    assert current.suggest(beach.scene_class_id).lookalikes == ()


def test_opinion_sees_only_its_own_lookalikes(user_for: UserFor, see: Callable[..., None]) -> None:
    curator = user_for("curator")
    see({"b/beach": [1, 0], "s/shoe_shop": [1, 0.1], "a/abbey": [0, 1]})
    opinion = Opinion.objects.create(name="mine", owner=curator)
    for scene in SceneClass.objects.all():
        MappingEntry.everywhere.create(scene_class=scene, opinion=opinion)
    decide(curator, "s/shoe_shop", "sport")
    assert learner.suggest(entry_of("b/beach", opinion), opinion).lookalikes == ()


def test_hypernym_has_the_name_of_the_hashtag_or_is_the_nearest() -> None:
    assert learner.hypernym("abbey.n.01", "church") == "church.n.02"
    assert learner.hypernym("toyshop.n.01", "art") == "shop.n.01"
    assert learner.hypernym("toyshop.n.01", "other") == ""
