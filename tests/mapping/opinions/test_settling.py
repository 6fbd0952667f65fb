"""Where opinions differ a curator settles it in the mapping; where they agree it is taken over at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.acts import Decision, StaleEntries, change_entry, change_many, undo_change
from mapping.models import Change, Hashtag, MappingEntry, Opinion, SceneClass
from mapping.opinions.opinions import start_opinion
from mapping.opinions.settling import AnswersMoved, agreed, open_rows, settle, settled_rows, take_over
from tests.mapping.opinions.test_opinions import CLOSED, LIST, SETTLE, THE_EIGHT, answer, entry, keys

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two_tables"), pytest.mark.postgres]
UserFor = Callable[..., User]
ClientFor = Callable[..., Client]


@pytest.fixture
def ann(user_for: UserFor) -> User:
    return user_for("curator", "ann")


@pytest.fixture
def bob(user_for: UserFor) -> User:
    return user_for("curator", "bob")


@pytest.fixture
def thesis() -> list[Opinion]:
    return list(Opinion.objects.order_by("pk"))


def pick(
    key: str, hashtag: str, by: User, opinions: list[Opinion], version: int | None = None
) -> MappingEntry:
    found = entry(key)
    version = version or found.version
    return settle(entry_id=found.pk, version=version, by=by, hashtag=hashtag, opinions=opinions)


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


def test_very_many_are_taken_over_in_several_acts(
    ann: User, thesis: list[Opinion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapping.opinions.settling.AT_ONCE", 20)
    confirmed = []
    for _ in range(3):
        act = take_over(opinions=thesis, by=ann, seen=agreed(thesis).seen)
        confirmed.append(len(act.before) if act else 0)
    assert confirmed == [20, 3, 0]


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


def post_pick(
    client: Client, key: str, hashtag: str, version: int | None = None, **more: str
) -> HttpResponse:
    found = entry(key)
    data = {"hashtag": hashtag, "version": str(version or found.version)} | more
    return client.post(f"{SETTLE}{found.pk}/", data)  # type: ignore[return-value]


def test_settle_page_opens_with_the_two_tables_and_eight_classes(client_for: ClientFor) -> None:
    response = client_for("curator").get(SETTLE)
    html = response.content.decode()
    assert "<b>0</b> of 8 settled, 8 left" in html
    assert [row.entry.scene_class.key for row in response.context["rows"]] == [key for key, *_ in THE_EIGHT]
    assert html.count('name="hashtag" value="sport"') == 7
    assert "imported" in html


def test_one_click_settles_and_moves_to_the_settled(client_for: ClientFor) -> None:
    client = client_for("curator")
    assert post_pick(client, "i/ice_shelf", "nature").status_code == 302
    post_pick(client, "i/ice_shelf", "nature")  # a repeated click
    assert Change.objects.count() == 1
    html = client.get(SETTLE).content.decode()
    assert "<b>1</b> of 8 settled, 7 left" in html
    assert "i/ice_shelf" not in html
    settled = client.get(SETTLE, {"show": "settled"})
    assert [row.entry.label for row in settled.context["rows"]] == ["nature"]
    assert "the mapping now, confirmed by curator" in settled.content.decode()


def test_stale_settle_page_shows_both_versions(client_for: ClientFor, bob: User) -> None:
    seen = entry("s/ski_slope").version
    change_entry(entry_id=entry("s/ski_slope").pk, version=seen, by=bob, decision=Decision("art"))
    response = post_pick(client_for("curator"), "s/ski_slope", "sport", version=seen)
    html = response.content.decode()
    assert response.status_code == 409
    said = html.split("Nothing was overwritten")[1].split("</section>")[0]
    assert said.index("by bob") < said.index("#art") < said.index("Your answer") < said.index("#sport")
    assert html.count("<code>s/ski_slope</code>") == 1
    assert entry("s/ski_slope").label == "art"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"find": "#nonsense"}, "“nonsense” is not a known hashtag"),
        ({"find": ""}, "Choose a hashtag"),
        ({"hashtag": "art", "version": "x"}, "Choose a hashtag"),
    ],
)
def test_settle_says_what_was_wrong(client_for: ClientFor, data: dict[str, str], words: str) -> None:
    found = entry("b/ball_pit")
    response = client_for("curator").post(f"{SETTLE}{found.pk}/", {"version": found.version} | data)
    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Change.objects.exists()


def test_another_hashtag_with_a_note(client_for: ClientFor) -> None:
    found = entry("b/ball_pit")
    data = {"version": found.version, "find": "#art", "note": "colours"}
    assert client_for("curator").post(f"{SETTLE}{found.pk}/", data).status_code == 302
    saved = entry("b/ball_pit")
    assert (saved.label, saved.note) == ("art", "colours")


@pytest.mark.parametrize(("role", "status"), CLOSED)
@pytest.mark.parametrize("address", ["settle/{entry}/", "settle/agreed/", "opinions/start/"])
def test_who_may_not_write(
    client_for: ClientFor, thesis: list[Opinion], role: str, status: int, address: str
) -> None:
    found = entry("b/ball_pit")
    data = {"hashtag": "art", "version": found.version, "seen": agreed(thesis).seen, "name": "mine"}
    assert client_for(role).post("/mapping/" + address.format(entry=found.pk), data).status_code == status
    assert not Change.objects.exists()
    assert Opinion.objects.count() == 2


def test_viewer_sees_differences_without_a_button_to_press(client_for: ClientFor) -> None:
    html = client_for("viewer").get(SETTLE).content.decode()
    assert "8 left" in html
    assert html.count('name="hashtag"') == html.count(" disabled>")
    assert "take over" not in html.lower()


def test_take_over_page_counts_first_then_confirms_as_one_act(
    client_for: ClientFor, thesis: list[Opinion]
) -> None:
    client = client_for("curator")
    address = f"{SETTLE}agreed/?opinion={thesis[0].pk}&opinion={thesis[1].pk}"
    html = client.get(address).content.decode()
    assert "<b>23</b> <span>classes will be confirmed</span>" in html
    assert "<b>0</b> <span>of them get a different label</span>" in html
    seen = agreed(thesis).seen
    assert client.post(address, {"seen": "stale"}).status_code == 409
    assert not Change.objects.exists()
    for _ in range(2):
        assert client.post(address, {"seen": seen}).status_code == 302
    assert [len(change.before) for change in Change.objects.all()] == [23]
    assert MappingEntry.objects.filter(status="confirmed").count() == 23
    assert "There is nothing to accept" in client.get(address).content.decode()


@pytest.mark.parametrize("opinion", ["x", "0", "99999"])
def test_unknown_opinion_is_not_found(client_for: ClientFor, opinion: str) -> None:
    assert client_for("curator").get(SETTLE, {"opinion": opinion}).status_code == 404


def test_pages_of_differences_and_constant_queries(client_for: ClientFor, ann: User) -> None:
    more = SceneClass.objects.bulk_create(SceneClass(key=f"z/{n:03}", name="z") for n in range(200))
    art = Hashtag.objects.get(name="art")
    MappingEntry.objects.bulk_create(
        MappingEntry(scene_class=one, status="imported", hashtag=art) for one in more
    )
    opinion = start_opinion(name="ann's", by=ann)
    client = client_for("curator")
    counted = []
    for number in (10, 200):
        answers = MappingEntry.everywhere.filter(opinion=opinion, scene_class__in=more)
        chosen = answers.values_list("pk", flat=True)[:number]
        MappingEntry.everywhere.filter(pk__in=list(chosen)).update(status="confirmed")
        for address in (LIST, f"{LIST}{opinion.pk}/", f"{SETTLE}?opinion={opinion.pk}"):
            with CaptureQueriesContext(connection) as queries:
                page = client.get(address)
            assert page.status_code == 200
            counted.append(len(queries))
    assert counted[:3] == counted[3:]
    first = [row.entry.scene_class.key for row in page.context["rows"]]
    behind = page.context["page"].next
    following = client.get(SETTLE, {"opinion": opinion.pk, "behind": behind})
    second = [row.entry.scene_class.key for row in following.context["rows"]]
    assert len(first) == len(second) == 20
    assert first[-1] == behind < second[0]
    back = client.get(SETTLE, {"opinion": opinion.pk, "before": following.context["page"].previous})
    assert [row.entry.scene_class.key for row in back.context["rows"]] == first


def test_one_kind_of_mistake_opens_its_classes(client_for: ClientFor) -> None:
    client = client_for("curator")

    def shown(first: str, second: str) -> list[str]:
        rows = client.get(SETTLE, {"first": first, "second": second}).context["rows"]
        return [row.entry.scene_class.key for row in rows]

    assert shown("snow", "sport") == ["s/ski_lodge", "s/ski_resort", "s/ski_slope"]
    assert shown("other", "sport") == ["s/swimming_pool/outdoor"]
    assert shown("sport", "snow") == shown("nonsense", "other") == []
