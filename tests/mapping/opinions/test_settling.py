"""A curator settles differences between opinions one by one, and takes over all classes where they agree."""

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
from mapping.opinions.settling import AnswersMoved, open_rows, plan_take_over, settle, settled_rows, take_over
from tests.mapping.opinions.test_opinions import CLOSED, LIST, SETTLE, THE_FOURTEEN, answer, entry, keys

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
    row = entry(key)
    version = version or row.version
    return settle(entry_id=row.pk, version=version, by=by, hashtag=hashtag, opinions=opinions)


def test_settling_decides_in_the_mapping_and_lists_the_class_as_settled(
    ann: User, thesis: list[Opinion]
) -> None:
    settled_entry = pick("i/ice_shelf", "nature", ann, thesis)
    assert (settled_entry.label, settled_entry.status, settled_entry.sense) == (
        "nature",
        "confirmed",
        "shelf_ice.n.01",
    )
    assert settled_entry.change is not None
    assert settled_entry.change.action == "settle"
    assert keys(settled_rows(thesis)) == ["i/ice_shelf"]
    assert "i/ice_shelf" not in keys(open_rows(thesis))
    assert entry("i/ice_shelf", thesis[0]).label == "snow"  # opinions do not change


def test_settling_can_keep_a_confirmed_answer(ann: User, bob: User, thesis: list[Opinion]) -> None:
    before = entry("s/ski_slope")
    change_entry(entry_id=before.pk, version=before.version, by=bob, decision=Decision("snow"))
    assert "s/ski_slope" in keys(open_rows(thesis))  # a decision elsewhere settles nothing
    settled_entry = pick("s/ski_slope", "snow", ann, thesis)
    assert keys(settled_rows(thesis)) == ["s/ski_slope"]
    assert settled_entry.changed_by == ann
    pick("s/ski_slope", "snow", ann, thesis)  # a repeated click
    assert Change.objects.filter(action="settle").count() == 1
    assert settled_entry.change is not None
    undo_change(change_id=settled_entry.change.pk, by=ann)
    assert "s/ski_slope" in keys(open_rows(thesis))
    assert entry("s/ski_slope").status == "confirmed"


@pytest.mark.parametrize("hashtag", ["sport", "snow"])
def test_stale_page_settles_nothing(ann: User, bob: User, thesis: list[Opinion], hashtag: str) -> None:
    version = entry("s/ski_slope").version
    ski_slope = entry("s/ski_slope")
    change_entry(entry_id=ski_slope.pk, version=version, by=bob, decision=Decision("snow"))
    with pytest.raises(StaleEntries):
        pick("s/ski_slope", hashtag, ann, thesis, version=version)
    assert entry("s/ski_slope").changed_by == bob


def test_undo_or_a_newer_answer_reopens_a_class(ann: User, bob: User) -> None:
    opinions = [start_opinion(name=user.username, by=user) for user in (ann, bob)]
    answer(opinions[0], ann, abbey="art", bar="cafe")
    answer(opinions[1], bob, abbey="church", bar="other", beach="water")
    assert keys(open_rows(opinions)) == ["a/abbey", "b/bar"]  # one of them has not answered the beach
    for key in ("a/abbey", "b/bar"):
        settled_entry = pick(key, "other", ann, opinions)
    assert keys(settled_rows(opinions)) == ["a/abbey", "b/bar"]
    answer(opinions[1], bob, abbey="street")
    assert keys(open_rows(opinions)) == ["a/abbey"]
    assert settled_entry.change is not None
    undo_change(change_id=settled_entry.change.pk, by=ann)
    assert keys(open_rows(opinions)) == ["a/abbey", "b/bar"]


def test_single_opinion_is_settled_against_the_mapping(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art", beach="water")
    assert keys(open_rows([opinion])) == ["a/abbey"]
    pick("a/abbey", "art", ann, [opinion])
    assert not open_rows([opinion]).exists()
    assert keys(settled_rows([opinion])) == ["a/abbey"]


def test_settling_takes_the_sense_of_the_chosen_answer(ann: User, thesis: list[Opinion]) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    own_answer = entry("i/ice_shelf", opinion)
    decision = Decision("nature", sense="shelf.n.02", synset="ledge", hypernym="ridge")
    change_entry(entry_id=own_answer.pk, version=1, by=ann, decision=decision)
    before = entry("i/ice_shelf")
    assert pick("i/ice_shelf", "snow", ann, [*thesis, opinion]).sense == before.sense
    settled_entry = pick("i/ice_shelf", "nature", ann, [*thesis, opinion])
    assert (settled_entry.sense, settled_entry.synset, settled_entry.hypernym) == (
        "shelf.n.02",
        "ledge",
        "ridge",
    )


def test_settling_refuses_entries_of_opinions_and_unknown_hashtags(ann: User, thesis: list[Opinion]) -> None:
    theirs = entry("b/ball_pit", thesis[0])
    with pytest.raises(MappingEntry.DoesNotExist):
        settle(entry_id=theirs.pk, version=1, by=ann, hashtag="art", opinions=thesis)
    with pytest.raises(Hashtag.DoesNotExist):
        pick("b/ball_pit", "nonsense", ann, thesis)


def test_take_over_confirms_classes_where_all_agree(ann: User, bob: User) -> None:
    opinions = [start_opinion(name=user.username, by=user) for user in (ann, bob)]
    for opinion, by in zip(opinions, (ann, bob), strict=True):
        answer(opinion, by, abbey="art", beach="water", bar="street", bookstore="shopping")
    answer(opinions[1], bob, bookstore="other")
    bar = entry("b/bar")
    change_entry(entry_id=bar.pk, version=bar.version, by=bob, decision=Decision("cafe"))
    take_over_plan = plan_take_over(opinions)
    assert [(row.key, row.before, row.after) for row in take_over_plan.rows] == [
        ("a/abbey", "church", "art"),
        ("b/beach", "water", "water"),
    ]
    assert ([row.key for row in take_over_plan.moved], take_over_plan.left_alone) == (["a/abbey"], 1)
    act = take_over(opinions=opinions, by=ann, seen=take_over_plan.seen)
    assert act is not None
    assert [entry(key).label for key in ("a/abbey", "b/beach", "b/bar")] == ["art", "water", "cafe"]
    assert entry("b/beach").status == "confirmed"
    assert take_over(opinions=opinions, by=ann, seen=take_over_plan.seen) is None  # a repeated click
    undo_change(change_id=act.pk, by=ann)
    assert (entry("a/abbey").label, entry("b/beach").status) == ("church", "imported")


def test_take_over_is_refused_after_a_change(ann: User, thesis: list[Opinion]) -> None:
    fingerprint = plan_take_over(thesis).seen
    court = entry("b/badminton_court/indoor")
    change_entry(entry_id=court.pk, version=court.version, by=ann, decision=Decision("art"))
    with pytest.raises(AnswersMoved):
        take_over(opinions=thesis, by=ann, seen=fingerprint)
    assert Change.objects.count() == 1


def test_many_classes_are_taken_over_in_several_acts(
    ann: User, thesis: list[Opinion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapping.opinions.settling.AT_ONCE", 20)
    counts = []
    for _ in range(3):
        act = take_over(opinions=thesis, by=ann, seen=plan_take_over(thesis).seen)
        counts.append(len(act.before) if act else 0)
    assert counts == [20, 3, 0]


def test_take_over_needs_two_opinions(thesis: list[Opinion]) -> None:
    with pytest.raises(ValueError, match="two"):
        plan_take_over(thesis[:1])


def test_act_on_an_opinion_can_be_undone(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    abbey = entry("a/abbey", opinion)
    act = change_many(
        by=ann,
        action=Change.Action.GROUP,
        decisions={abbey.pk: Decision("art")},
        versions={abbey.pk: 1},
    )
    assert act is not None
    assert act.opinion == opinion
    undo_change(change_id=act.pk, by=ann)
    assert entry("a/abbey", opinion).label is None


def post_pick(
    client: Client, key: str, hashtag: str, version: int | None = None, **more: str
) -> HttpResponse:
    row = entry(key)
    data = {"hashtag": hashtag, "version": str(version or row.version)} | more
    return client.post(f"{SETTLE}{row.pk}/", data)  # type: ignore[return-value]


def test_settle_page_shows_the_two_tables_by_default(client_for: ClientFor) -> None:
    response = client_for("curator").get(SETTLE)
    html = response.content.decode()
    assert "<b>0</b> of 14 settled, 14 left" in html
    keys_shown = [row.entry.scene_class.key for row in response.context["rows"]]
    assert keys_shown == [key for key, *_ in THE_FOURTEEN]
    assert html.count('name="hashtag" value="sport"') == 13
    assert "imported" in html


def test_one_click_settles_a_class(client_for: ClientFor) -> None:
    client = client_for("curator")
    assert post_pick(client, "i/ice_shelf", "nature").status_code == 302
    post_pick(client, "i/ice_shelf", "nature")  # a repeated click
    assert Change.objects.count() == 1
    html = client.get(SETTLE).content.decode()
    assert "<b>1</b> of 14 settled, 13 left" in html
    assert "i/ice_shelf" not in html
    settled_page = client.get(SETTLE, {"show": "settled"})
    assert [row.entry.label for row in settled_page.context["rows"]] == ["nature"]
    assert "the mapping now, confirmed by curator" in settled_page.content.decode()


def test_stale_settle_page_shows_both_versions(client_for: ClientFor, bob: User) -> None:
    version = entry("s/ski_slope").version
    change_entry(entry_id=entry("s/ski_slope").pk, version=version, by=bob, decision=Decision("art"))
    response = post_pick(client_for("curator"), "s/ski_slope", "sport", version=version)
    html = response.content.decode()
    assert response.status_code == 409
    notice = html.split("Nothing was overwritten")[1].split("</section>")[0]
    assert notice.index("by bob") < notice.index("#art") < notice.index("Your") < notice.index("#sport")
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
def test_settle_explains_bad_input(client_for: ClientFor, data: dict[str, str], words: str) -> None:
    ball_pit = entry("b/ball_pit")
    response = client_for("curator").post(f"{SETTLE}{ball_pit.pk}/", {"version": ball_pit.version} | data)
    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Change.objects.exists()


def test_class_can_be_settled_with_another_hashtag_and_a_note(client_for: ClientFor) -> None:
    before = entry("b/ball_pit")
    data = {"version": before.version, "find": "#art", "note": "colours"}
    assert client_for("curator").post(f"{SETTLE}{before.pk}/", data).status_code == 302
    after = entry("b/ball_pit")
    assert (after.label, after.note) == ("art", "colours")


@pytest.mark.parametrize(("role", "status"), CLOSED)
@pytest.mark.parametrize("address", ["settle/{entry}/", "settle/agreed/", "opinions/start/"])
def test_writing_needs_permission(
    client_for: ClientFor, thesis: list[Opinion], role: str, status: int, address: str
) -> None:
    ball_pit = entry("b/ball_pit")
    data = {
        "hashtag": "art",
        "version": ball_pit.version,
        "seen": plan_take_over(thesis).seen,
        "name": "mine",
    }
    assert client_for(role).post("/mapping/" + address.format(entry=ball_pit.pk), data).status_code == status
    assert not Change.objects.exists()
    assert Opinion.objects.count() == 2


def test_viewer_sees_differences_without_active_buttons(client_for: ClientFor) -> None:
    html = client_for("viewer").get(SETTLE).content.decode()
    assert "14 left" in html
    assert html.count('name="hashtag"') == html.count(" disabled>")
    assert "take over" not in html.lower()


def test_take_over_page_previews_then_confirms_in_one_act(
    client_for: ClientFor, thesis: list[Opinion]
) -> None:
    client = client_for("curator")
    address = f"{SETTLE}agreed/?opinion={thesis[0].pk}&opinion={thesis[1].pk}"
    html = client.get(address).content.decode()
    assert "<b>23</b> <span>classes will be confirmed</span>" in html
    assert "<b>0</b> <span>of them get a different label</span>" in html
    fingerprint = plan_take_over(thesis).seen
    assert client.post(address, {"seen": "stale"}).status_code == 409
    assert not Change.objects.exists()
    for _ in range(2):
        assert client.post(address, {"seen": fingerprint}).status_code == 302
    assert [len(change.before) for change in Change.objects.all()] == [23]
    assert MappingEntry.objects.filter(status="confirmed").count() == 23
    assert "There is nothing to accept" in client.get(address).content.decode()


@pytest.mark.parametrize("opinion", ["x", "0", "99999"])
def test_unknown_opinion_is_not_found(client_for: ClientFor, opinion: str) -> None:
    assert client_for("curator").get(SETTLE, {"opinion": opinion}).status_code == 404


def test_differences_are_paged_and_queries_are_constant(client_for: ClientFor, ann: User) -> None:
    classes = SceneClass.objects.bulk_create(SceneClass(key=f"z/{n:03}", name="z") for n in range(200))
    art = Hashtag.objects.get(name="art")
    MappingEntry.objects.bulk_create(
        MappingEntry(scene_class=one, status="imported", hashtag=art) for one in classes
    )
    opinion = start_opinion(name="ann's", by=ann)
    client = client_for("curator")
    query_counts = []
    for number in (10, 200):
        answers = MappingEntry.everywhere.filter(opinion=opinion, scene_class__in=classes)
        entry_ids = answers.values_list("pk", flat=True)[:number]
        MappingEntry.everywhere.filter(pk__in=list(entry_ids)).update(status="confirmed")
        for address in (LIST, f"{LIST}{opinion.pk}/", f"{SETTLE}?opinion={opinion.pk}"):
            with CaptureQueriesContext(connection) as queries:
                page = client.get(address)
            assert page.status_code == 200
            query_counts.append(len(queries))
    assert query_counts[:3] == query_counts[3:]
    first = [row.entry.scene_class.key for row in page.context["rows"]]
    behind = page.context["page"].next
    following = client.get(SETTLE, {"opinion": opinion.pk, "behind": behind})
    second = [row.entry.scene_class.key for row in following.context["rows"]]
    assert len(first) == len(second) == 20
    assert first[-1] == behind < second[0]
    back = client.get(SETTLE, {"opinion": opinion.pk, "before": following.context["page"].previous})
    assert [row.entry.scene_class.key for row in back.context["rows"]] == first


def test_differences_can_be_narrowed_to_one_pair_of_labels(client_for: ClientFor) -> None:
    client = client_for("curator")

    def keys_of_step(first: str, second: str) -> list[str]:
        rows = client.get(SETTLE, {"first": first, "second": second}).context["rows"]
        return [row.entry.scene_class.key for row in rows]

    assert keys_of_step("snow", "sport") == ["s/ski_lodge", "s/ski_resort", "s/ski_slope"]
    assert keys_of_step("other", "sport") == ["s/swimming_pool/outdoor"]
    assert keys_of_step("sport", "snow") == keys_of_step("nonsense", "other") == []
