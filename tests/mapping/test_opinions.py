"""Opinions: started, compared, settled in the mapping, taken over where they agree; blind for their owner."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.agreement import agreement
from mapping.catalogue import DATA, load_catalogue
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
ClientFor = Callable[..., Client]
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


@pytest.fixture(scope="module")
def few_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classes that both tables name, and four more: quick to load."""
    with (DATA / "sun397.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    file = tmp_path_factory.mktemp("catalogue") / "few.csv"
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        named = ("/a/abbey", "/b/bar", "/b/beach", "/b/bookstore")
        writer.writerows(row for row in rows if row["printed_hashtag"] or row["raw_name"] in named)
    return file


@pytest.fixture
def catalogue(db: None, few_classes: Path) -> None:
    load_catalogue(classes_file=few_classes)


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
    assert [(row.answered, row.classes) for row in standings()] == [(35, 35), (31, 35)]
    names = dict(Hashtag.objects.values_list("pk", "name")) | {0: "other"}
    found = [
        (row.scene_class.key, names[row.answer_0], names[row.answer_1])  # type: ignore[attr-defined]
        for row in open_rows(thesis)
    ]
    assert found == THE_EIGHT
    assert not settled_rows(thesis).exists()


def test_what_ships_is_the_whole_of_both_tables() -> None:
    load_catalogue()
    first, second = standings()
    assert (first.answered, second.answered, second.classes) == (397, 31, 397)
    assert len(open_rows([first.opinion, second.opinion])) == 8


def test_agreement_of_the_two_tables(thesis: list[Opinion]) -> None:
    found = agreement(patterns(thesis))
    assert (found.classes, found.same) == (31, 23)
    assert found.alpha == pytest.approx(0.45, abs=0.05)
    assert agreement(patterns([thesis[0], None])).alpha == 1  # the mapping begins as the final table


def test_loading_again_changes_no_answer(thesis: list[Opinion], few_classes: Path) -> None:
    MappingEntry.everywhere.filter(opinion=thesis[1], scene_class__key="b/ball_pit").update(
        hashtag=Hashtag.objects.get(name="art")
    )
    before = MappingEntry.everywhere.count()
    load_catalogue(classes_file=few_classes)
    assert (Opinion.objects.count(), MappingEntry.everywhere.count()) == (2, before)
    assert entry("b/ball_pit", thesis[1]).label == "art"


# --- starting, filling, deleting


def test_opinion_starts_undecided_and_a_repeated_click_finds_it(ann: User) -> None:
    opinion = start_opinion(name=" Ann's ", by=ann, note="second look")
    again = start_opinion(name="Ann's", by=ann)
    assert (again.pk, again.note, opinion.name) == (opinion.pk, "second look", "Ann's")
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    assert entries.count() == 35
    assert not entries.exclude(status="undecided", hashtag=None).exists()
    assert MappingEntry.objects.count() == 35


def test_class_added_later_gets_a_row(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    SceneClass.objects.create(key="z/zoo", name="zoo")
    assert fill_opinion(opinion) == 1
    assert fill_opinion(opinion) == 0
    assert entry("z/zoo", opinion).label is None


def test_loading_classes_gives_every_opinion_their_rows(ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    load_catalogue()
    assert MappingEntry.everywhere.filter(opinion=opinion).count() == 397


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
    assert MappingEntry.everywhere.count() == 35 + 35 + 31


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


def test_very_many_are_taken_over_in_several_acts(
    ann: User, thesis: list[Opinion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapping.settling.AT_ONCE", 20)
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


# --- pages

SETTLE = "/mapping/settle/"
LIST = "/mapping/opinions/"
CLOSED = [("stranger", 302), ("validator", 403), ("viewer", 403)]


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
    assert said.index("by bob") < said.index("#art") < said.index("Yours") < said.index("#sport")
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
    assert "<b>23</b><span>classes will be confirmed</span>" in html
    assert "<b>0</b><span>of them get another label</span>" in html
    seen = agreed(thesis).seen
    assert client.post(address, {"seen": "stale"}).status_code == 409
    assert not Change.objects.exists()
    for _ in range(2):
        assert client.post(address, {"seen": seen}).status_code == 302
    assert [len(change.before) for change in Change.objects.all()] == [23]
    assert MappingEntry.objects.filter(status="confirmed").count() == 23
    assert "Nothing to take over" in client.get(address).content.decode()


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
    assert [(pair.agreement.same, pair.agreement.classes) for pair in pairs] == [(23, 31), (1, 2), (0, 0)]


def test_blind_owner_sees_no_label_of_others(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    answer(opinion, ann, abbey="art")
    client = client_for("curator", "ann")
    page = client.get(f"{LIST}{opinion.pk}/", {"against": "1"})
    assert page.status_code == 200
    assert "church" not in page.content.decode()
    assert "agreement" not in page.context
    refused = client.get(SETTLE, {"opinion": opinion.pk})
    assert refused.status_code == 403
    assert "Finish yours first" in refused.content.decode()
    entries = MappingEntry.everywhere.filter(opinion=opinion)
    entries.filter(status="undecided").update(status="confirmed")
    assert "church" in client.get(f"{LIST}{opinion.pk}/").content.decode()
    assert client.get(SETTLE, {"opinion": opinion.pk}).status_code == 200


def test_opinion_page_says_which_labels_are_mistaken(client_for: ClientFor, thesis: list[Opinion]) -> None:
    page = client_for("viewer").get(f"{LIST}{thesis[0].pk}/", {"against": thesis[1].pk})
    found = [(row.first, row.second, row.classes) for row, _ in page.context["mistaken"]]
    assert found == [
        ("entertainment", "sport", 3),
        ("snow", "sport", 3),
        ("other", "sport", 1),
        ("snow", "nature", 1),
    ]
    assert client_for("viewer").get(f"{LIST}9999/").status_code == 404


def test_start_and_repeat_by_click(client_for: ClientFor) -> None:
    client = client_for("curator")
    for _ in range(2):
        response = client.post(f"{LIST}start/", {"name": "second look", "note": ""})
        assert response["Location"] == Opinion.objects.get(name="second look").get_absolute_url()
    taken = client_for("curator", "bob").post(f"{LIST}start/", {"name": "second look"})
    assert taken.status_code == 400
    assert "somebody else" in taken.content.decode()
    assert client.post(f"{LIST}start/", {"name": " "}).status_code == 400
    assert Opinion.objects.count() == 3


def test_delete_by_its_owner_only_and_after_asking(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    address = f"{LIST}{opinion.pk}/delete/"
    for role, status in [*CLOSED, ("curator", 403)]:
        assert client_for(role).get(address).status_code == status
        assert client_for(role).post(address).status_code == status
    owner = client_for("curator", "ann")
    assert "It has no answer yet" in owner.get(address).content.decode()
    assert Opinion.objects.filter(pk=opinion.pk).exists()
    for _ in range(2):
        assert owner.post(address)["Location"] == LIST
    assert not Opinion.objects.filter(pk=opinion.pk).exists()


def test_classes_added_later_are_added_by_a_click(client_for: ClientFor, ann: User) -> None:
    opinion = start_opinion(name="ann's", by=ann)
    SceneClass.objects.create(key="z/zoo", name="zoo")
    client = client_for("curator", "ann")
    assert "1 class was added since" in client.get(f"{LIST}{opinion.pk}/").content.decode()
    assert client_for("curator", "bob").post(f"{LIST}{opinion.pk}/fill/").status_code == 403
    assert client.post(f"{LIST}{opinion.pk}/fill/").status_code == 302
    assert entry("z/zoo", opinion).label is None


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
