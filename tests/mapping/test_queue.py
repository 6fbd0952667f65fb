"""The queue: one class, one key, then the next class; nothing is overwritten or shown twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.acts import Decision, change_entry
from mapping.models import Change, MappingEntry, Opinion, SceneClass
from mapping.suggester.learner import Choice, Offer
from mapping.suggester.reasons import GUESS
from trainer.models import PhotoSet

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]
HTMX = {"HX-Request": "true"}


def entry_of(key: str) -> MappingEntry:
    return MappingEntry.objects.get(scene_class__key=key)


def decide(client: Client, key: str, hashtag: str, query: str = "", **more: Any) -> Any:
    entry = entry_of(key)
    data = {"version": entry.version, "hashtag": hashtag} | more
    return client.post(f"/mapping/queue/{entry.pk}/decide/{query}", data, headers=HTMX)


def test_first_class_to_do_is_shown_with_its_senses(client_for: ClientFor) -> None:
    context = client_for("curator").get("/mapping/queue/").context
    assert context["entry"].scene_class.key == "a/abbey"
    assert context["chosen_sense"] == "abbey.n.01"
    assert context["progress"].left == 7


def test_photos_stand_beside_those_of_the_class_that_looks_alike(
    client_for: ClientFor, see: Callable[..., PhotoSet]
) -> None:
    photos = see({"b/beach": [1, 0], "s/shoe_shop": [1, 0.1], "a/abbey": [0, 1]}).photos
    client = client_for("curator")
    decide(client, "s/shoe_shop", "sport")
    html = client.get("/mapping/queue/?at=b/beach").content.decode()
    assert "looks like shoe shop" in html
    assert {
        f"/trainer/photos/{photo.pk}/small/" in html for photo in photos.exclude(path__startswith="a/")
    } == {True}
    assert f"/trainer/photos/{photos.filter(path__startswith='a/')[0].pk}/small/" not in html


def test_one_key_confirms_a_class_and_shows_the_next(client_for: ClientFor) -> None:
    response = decide(client_for("curator"), "a/abbey", "art")
    entry = entry_of("a/abbey")
    assert (entry.label, entry.status, entry.sense) == ("art", "confirmed", "abbey.n.01")
    assert response.context["entry"].scene_class.key == "a/alley"
    assert response["HX-Push-Url"] == "/mapping/queue/?at=a/alley"
    assert b"<html" not in response.content


def test_further_hashtags_follow_the_suggestions_each_with_a_key_and_none_twice(
    client_for: ClientFor,
) -> None:
    client = client_for("curator")
    decide(client, "s/shoe_shop", "shopping")
    page = client.get("/mapping/queue/?at=t/toyshop")
    offer = page.context["suggestions"]
    names = [choice.hashtag for choice in offer.hashtags] + list(offer.further)
    assert (len(offer.hashtags), len(names), len(set(names))) == (3, 6, 6)
    buttons = re.findall(r'value="(\w+)"\s+data-keys="([4-9])"', page.content.decode())
    assert buttons == [(name, str(key)) for key, name in enumerate(offer.further, 4)]


def test_queue_works_as_a_plain_form_without_script(client_for: ClientFor) -> None:
    entry = entry_of("a/abbey")
    data = {"version": 1, "hashtag": "other"}
    response = client_for("curator").post(f"/mapping/queue/{entry.pk}/decide/", data)
    assert (response.status_code, response["Location"]) == (302, "/mapping/queue/?at=a/alley")


def test_confirming_the_present_answer_is_a_decision(client_for: ClientFor) -> None:
    decide(client_for("curator"), "a/abbey", "church")
    assert entry_of("a/abbey").status == "confirmed"
    assert entry_of("a/abbey").hypernym_sense == "church.n.02"  # the hypernym with the name of the hashtag


def test_hypernym_follows_from_the_hashtag(client_for: ClientFor) -> None:
    decide(client_for("curator"), "t/toyshop", "shopping", sense="toyshop.n.01", hypernym_sense="follows")
    assert entry_of("t/toyshop").hypernym == "shop"


def test_decided_class_leaves_the_queue(client_for: ClientFor) -> None:
    client = client_for("curator")
    decide(client, "a/abbey", "art")
    assert client.get("/mapping/queue/").context["entry"].scene_class.key == "a/alley"


def test_after_the_last_class_the_queue_starts_over(client_for: ClientFor) -> None:
    response = decide(client_for("curator"), "t/toyshop", "other")
    assert response.context["entry"].scene_class.key == "a/abbey"


def test_filters_apply_to_the_next_class(client_for: ClientFor) -> None:
    response = decide(client_for("curator"), "s/shoe_shop", "shopping", "?q=shop&at=s/shoe_shop")
    assert response["HX-Push-Url"] == "/mapping/queue/?q=shop&at=t/toyshop"


def test_queue_says_when_all_classes_are_done(client_for: ClientFor) -> None:
    MappingEntry.objects.exclude(scene_class__key="a/abbey").update(status="confirmed")
    response = decide(client_for("curator"), "a/abbey", "art")
    assert b"All 7 classes are confirmed" in response.content


def test_stale_page_gets_both_versions_and_overwrites_nothing(
    client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    entry = entry_of("a/abbey")
    change_entry(entry_id=entry.pk, version=1, by=user_for("curator", "ann"), decision=Decision("art"))
    response = client_for("curator", "bob").post(
        f"/mapping/queue/{entry.pk}/decide/", {"version": 1, "hashtag": "sport"}, headers=HTMX
    )
    assert response.status_code == 409
    assert b"Now, by ann" in response.content
    assert b"#sport" in response.content
    assert entry_of("a/abbey").label == "art"


def test_repeated_click_saves_once(client_for: ClientFor) -> None:
    client = client_for("curator")
    entry = entry_of("a/abbey")
    for _ in range(2):
        response = client.post(
            f"/mapping/queue/{entry.pk}/decide/", {"version": 1, "hashtag": "art"}, headers=HTMX
        )
        assert response.status_code == 200
    assert Change.objects.count() == 1


def test_undo_goes_back_to_the_class(client_for: ClientFor) -> None:
    client = client_for("curator")
    response = decide(client, "a/abbey", "art")
    change = response.context["newest"].pk
    for _ in range(2):  # a repeated click undoes nothing more
        response = client.post("/mapping/queue/undo/", {"change": change}, headers=HTMX)
        assert response.status_code == 200
    assert (entry_of("a/abbey").label, entry_of("a/abbey").status) == ("church", "imported")


def test_undo_of_another_persons_act_is_refused(client_for: ClientFor) -> None:
    change = decide(client_for("curator", "ann"), "a/abbey", "art").context["newest"].pk
    assert client_for("curator", "bob").post("/mapping/queue/undo/", {"change": change}).status_code == 403
    assert entry_of("a/abbey").label == "art"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"hashtag": "nonsense"}, b"nonsense"),
        ({"hashtag": ""}, b"Choose a hashtag"),
        ({"hashtag": "art", "sense": "shop.n.99"}, b"WordNet has no noun sense"),
        ({"hashtag": "art", "note": "x" * 501}, b"500"),
    ],
)
def test_bad_input_is_named_and_nothing_saved(
    client_for: ClientFor, data: dict[str, str], words: bytes
) -> None:
    entry = entry_of("a/abbey")
    response = client_for("curator").post(
        f"/mapping/queue/{entry.pk}/decide/", {"version": 1} | data, headers=HTMX
    )
    assert response.status_code == 400
    assert words in response.content
    assert entry_of("a/abbey").version == 1


def test_search_finds_hashtags_or_says_there_is_none(client_for: ClientFor) -> None:
    client = client_for("curator")
    assert b'value="church"' in client.get("/mapping/queue/hashtags/?find=%23chur").content
    assert b"No offered hashtag" in client.get("/mapping/queue/hashtags/?find=xyzzy").content


def test_path_of_another_sense_is_shown(client_for: ClientFor) -> None:
    assert b"shop.n.01" in client_for("curator").get("/mapping/queue/path/?sense=toyshop.n.01").content


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("viewer", 403), ("validator", 403), ("admin", 403)]
)
def test_only_curators_have_access(client_for: ClientFor, role: str, status: int) -> None:
    client = client_for(role)
    assert client.get("/mapping/queue/").status_code == status
    assert decide(client, "a/abbey", "art").status_code == status
    assert client.post("/mapping/queue/undo/", {"change": 1}).status_code == status
    assert not Change.objects.exists()


def test_only_the_owner_can_work_on_an_opinion(client_for: ClientFor, user_for: Callable[..., User]) -> None:
    opinion = Opinion.objects.create(name="ann's", owner=user_for("curator", "ann"))
    answer = MappingEntry.everywhere.create(
        scene_class=entry_of("a/abbey").scene_class, opinion=opinion, status="undecided"
    )
    url = f"/mapping/queue/{answer.pk}/decide/"
    query, data = f"?opinion={opinion.pk}", {"version": 1, "hashtag": "art"}
    assert client_for("curator", "bob").post(url + query, data).status_code in (403, 404)
    # It is not an entry of the mapping.
    assert client_for("curator", "ann").post(url, data).status_code == 404
    ann = client_for("curator", "ann")
    page = ann.get("/mapping/queue/" + query)
    assert page.context["entry"] == answer
    assert b"Nobody has decided yet." in page.content  # the mapping's answer must stay hidden
    assert b"is-keep" not in page.content
    assert ann.post(url + query, data).status_code == 302
    answer.refresh_from_db()
    assert answer.label == "art"
    assert entry_of("a/abbey").label == "church"


def test_number_of_queries_is_constant(client_for: ClientFor) -> None:
    client = client_for("curator")
    client.get("/mapping/queue/")  # reads permissions and suggestions
    with CaptureQueriesContext(connection) as all_rows:
        client.get("/mapping/queue/")
    MappingEntry.objects.exclude(scene_class__key__lt="a/an").delete()
    client.get("/mapping/queue/")
    with CaptureQueriesContext(connection) as few_rows:
        client.get("/mapping/queue/")
    assert len(all_rows) == len(few_rows) <= 22


def test_likeliest_answer_is_first_and_guesses_are_last() -> None:
    guess, backed = Choice("bar", GUESS, 0.4), Choice("cafe", "similar to bistro", 0.1)
    assert Offer((guess, backed), other=0.3).answers == [("o", None), ("1", backed), ("2", guess)]
    close = Choice("bar", "its description is close to bar", 0.4)
    assert Offer((close, backed), other=0.3).answers == [("o", None), ("1", backed), ("2", close)]
    assert not Choice("bar", f"{close.reason}; looks like pub", 0.4).is_guess
    assert Offer((guess, backed), other=0.05).answers == [("1", backed), ("o", None), ("2", guess)]


def test_classes_of_the_same_name_say_where_they_are() -> None:
    assert SceneClass(key="b/balcony/exterior", name="balcony").title == "balcony, exterior"
    assert SceneClass(key="a/abbey", name="abbey").title == "abbey"
    assert SceneClass(key="f/field/wild", name="field wild").title == "field wild"
    seats = SceneClass(key="t/theater/indoor_seats", name="theater seats")
    assert seats.title == "theater seats, indoor"
