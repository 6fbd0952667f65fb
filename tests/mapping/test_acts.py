"""Deciding about many classes as one act, and undoing acts one by one, but never another person's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mapping.acts import (
    Decision,
    NotYours,
    StaleEntries,
    change_entry,
    change_many,
    newest_change,
    undo_change,
)
from mapping.models import Change, Hashtag, MappingEntry, Opinion

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few"), pytest.mark.postgres]
UserFor = Callable[..., User]


@pytest.fixture
def ann(user_for: UserFor) -> User:
    return user_for("curator", "ann")


@pytest.fixture
def bob(user_for: UserFor) -> User:
    return user_for("curator", "bob")


def entries(number: int) -> list[MappingEntry]:
    return list(MappingEntry.objects.order_by("scene_class__key")[:number])


def give(by: User, hashtag: str, targets: list[MappingEntry]) -> Change | None:
    return change_many(
        by=by,
        action=Change.Action.GROUP,
        decisions={entry.pk: Decision(hashtag) for entry in targets},
        versions={entry.pk: entry.version for entry in targets},
    )


def labels(targets: list[MappingEntry]) -> list[str | None]:
    return [MappingEntry.objects.get(pk=entry.pk).label for entry in targets]


def test_group_is_one_act_and_keeps_senses(ann: User) -> None:
    targets = entries(5)
    act = give(ann, "art", targets)
    assert act is not None
    assert len(act.before) == 5
    for was in targets:
        entry = MappingEntry.objects.get(pk=was.pk)
        assert (entry.label, entry.status, entry.sense) == ("art", "confirmed", was.sense)
        newest = entry.history.first()
        assert (newest.history_user, newest.history_change_reason) == (ann, "confirmed as a group")


def test_one_stale_class_stops_the_whole_group(ann: User, bob: User) -> None:
    targets = entries(5)
    before = labels(targets)
    change_entry(entry_id=targets[2].pk, version=1, by=bob, decision=Decision("sport"))
    with pytest.raises(StaleEntries) as stale:
        give(ann, "art", targets)
    assert [entry.pk for entry in stale.value.current] == [targets[2].pk]
    assert labels(targets) == [*before[:2], "sport", *before[3:]]


def test_repeated_click_creates_no_second_act(ann: User) -> None:
    targets = entries(5)
    give(ann, "art", targets)
    assert give(ann, "art", targets) is None
    assert Change.objects.count() == 1


def test_unknown_hashtag_saves_nothing(ann: User) -> None:
    with pytest.raises(Hashtag.DoesNotExist):
        give(ann, "nonsense", entries(2))
    assert not Change.objects.exists()


def test_undo_reverts_many_acts_and_each_adds_to_the_history(ann: User) -> None:
    targets = entries(3)
    before = labels(targets)
    for hashtag in ("art", "sport", "other"):
        targets = entries(3)
        give(ann, hashtag, targets)
    for expected_labels in (["sport"] * 3, ["art"] * 3, before):
        act = newest_change(by=ann)
        assert act is not None
        assert len(undo_change(change_id=act.pk, by=ann).restored_entries) == 3
        assert labels(targets) == expected_labels
    assert newest_change(by=ann) is None
    entry = MappingEntry.objects.get(pk=targets[0].pk)
    assert (entry.status, entry.change) == ("imported", None)
    assert entry.history.count() == 7  # with its beginning
    assert entry.history.first().history_change_reason == "undone"


def test_repeated_undo_reverts_only_one_act(ann: User) -> None:
    targets = entries(1)
    give(ann, "art", targets)
    give(ann, "sport", entries(1))
    act = newest_change(by=ann)
    assert act is not None
    undo_change(change_id=act.pk, by=ann)
    assert undo_change(change_id=act.pk, by=ann).restored_entries == []
    assert labels(targets) == ["art"]


def test_undo_keeps_later_decisions_of_others(ann: User, bob: User) -> None:
    targets = entries(2)
    before = labels(targets)
    act = give(ann, "art", targets)
    assert act is not None
    change_entry(entry_id=targets[0].pk, version=2, by=bob, decision=Decision("sport"))
    result = undo_change(change_id=act.pk, by=ann)
    assert [entry.pk for entry in result.kept_entries] == [targets[0].pk]
    assert labels(targets) == ["sport", before[1]]


def test_nobody_can_undo_the_act_of_another(ann: User, bob: User) -> None:
    for by, other in ((ann, bob), (bob, ann)):
        act = give(by, "art" if by == ann else "sport", entries(1))
        assert act is not None
        with pytest.raises(NotYours):
            undo_change(change_id=act.pk, by=other)
    assert labels(entries(1)) == ["sport"]
    assert newest_change(by=ann) != newest_change(by=bob)


def test_entry_that_is_already_decided_does_not_stop_the_act(ann: User) -> None:
    targets = entries(3)
    give(ann, "art", targets[:1])
    act = give(ann, "art", entries(3))
    assert act is not None
    assert set(act.before) == {targets[1].pk, targets[2].pk}
    assert labels(targets) == ["art"] * 3


def test_one_act_cannot_mix_mapping_and_opinion(ann: User) -> None:
    opinion = Opinion.objects.create(name="ann's", owner=ann)
    first = entries(1)[0]
    answer = MappingEntry.everywhere.create(scene_class=first.scene_class, opinion=opinion)
    with pytest.raises(ValueError, match="All entries of an act"):
        give(ann, "art", [first, answer])
    assert answer not in MappingEntry.objects.all()
    act = give(ann, "art", [answer])
    assert newest_change(by=ann) is None
    assert newest_change(by=ann, opinion=opinion) == act


def test_queries_do_not_grow_with_the_group(ann: User) -> None:
    with CaptureQueriesContext(connection) as queries_for_two:
        give(ann, "art", entries(2))
    with CaptureQueriesContext(connection) as queries_for_seven:
        give(ann, "sport", entries(7))
    assert len(queries_for_seven) == len(queries_for_two)


def test_a_future_version_is_stale_too(ann: User) -> None:
    [entry] = entries(1)
    with pytest.raises(StaleEntries, match="1 of these classes"):
        change_entry(entry_id=entry.pk, version=2, by=ann, decision=Decision("art"))
    assert MappingEntry.objects.get(pk=entry.pk).version == 1


def test_only_what_is_decided_changes(ann: User) -> None:
    [entry] = entries(1)
    result = change_entry(
        entry_id=entry.pk, version=1, by=ann, decision=Decision("art", note="new", synset="")
    )
    assert (result.note, result.synset, result.sense) == ("new", "", entry.sense)
    assert (result.version, result.changed_by, result.changed_at is not None) == (2, ann, True)
    line = result.history.first()
    assert (line.history_type, line.history_user) == ("~", ann)
    act = result.change
    assert act
    undo_change(change_id=act.pk, by=ann)
    undone = MappingEntry.objects.get(pk=entry.pk)
    assert (undone.note, undone.synset, undone.version) == (entry.note, entry.synset, 3)
    act.refresh_from_db()
    assert (act.undone_by, act.undone_at is not None) == (ann, True)


def test_acts_larger_than_one_statement_leave_nothing_out(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapping.acts.BATCH", 2)
    targets = entries(5)
    act = give(ann, "art", targets)
    assert act
    assert set(labels(targets)) == {"art"}
    assert len(undo_change(change_id=act.pk, by=ann).restored_entries) == 5


def test_an_entry_that_does_not_exist_stops_the_act(ann: User) -> None:
    [entry] = entries(1)
    with pytest.raises(MappingEntry.DoesNotExist):
        change_many(
            by=ann,
            action=Change.Action.GROUP,
            decisions={pk: Decision("art") for pk in (entry.pk, 999_999)},
            versions={entry.pk: 1, 999_999: 1},
        )
    assert not Change.objects.exists()


def test_an_act_and_its_undo_are_saved_completely_or_not_at_all(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = entries(2)
    before = labels(targets)

    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("mapping.acts._save", fail)
    with pytest.raises(OSError, match="full"):
        give(ann, "art", targets)
    assert not Change.objects.exists()
    monkeypatch.undo()
    act = give(ann, "art", targets)
    assert act
    monkeypatch.setattr(Change, "save", fail)
    with pytest.raises(OSError, match="full"):
        undo_change(change_id=act.pk, by=ann)
    assert labels(targets) == ["art", "art"] != before


def test_an_entry_decided_again_and_undone_can_be_undone_further(ann: User) -> None:
    """After the later act is undone, the entry belongs to the earlier act again."""
    targets = entries(2)
    before = labels(targets)
    first, second = give(ann, "art", targets), give(ann, "sport", entries(1))
    assert first
    assert second
    assert undo_change(change_id=second.pk, by=ann).kept_entries == []
    assert len(undo_change(change_id=first.pk, by=ann).restored_entries) == 2
    assert labels(targets) == before
