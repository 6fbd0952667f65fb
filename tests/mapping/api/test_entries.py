"""The API of the mapping: reading, saving, permissions; and all answers match the schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.acts import Decision, change_entry
from mapping.api import examples
from mapping.api.base import WriteThrottle
from mapping.api.releases import ImpactSerializer, MoveSerializer, StaleRunSerializer, StepSerializer
from mapping.api.serializers import EntrySerializer
from mapping.lexicon import wordnet
from mapping.models import Change, Hashtag, MappingEntry, Opinion, Release
from mapping.suggester import learner
from tests.conftest import api_key
from tests.mapping.conftest import FEW
from tests.mapping.test_downstream import create_run, photo_set

API = "/api/v1/mapping/"
ClientFor = Callable[..., Client]
UserFor = Callable[..., User]
Answer = tuple[int, Any]


@pytest.fixture
def curator(client_for: ClientFor) -> Client:
    return client_for("curator")


def get(client: Client, address: str) -> Any:
    response = client.get(API + address)
    assert response.status_code == 200, response.content
    return response.json()


def send(client: Client, method: str, address: str, body: Any) -> Answer:
    response = getattr(client, method)(API + address, json.dumps(body), content_type="application/json")
    return response.status_code, response.json()


def entry(key: str) -> MappingEntry:
    return MappingEntry.objects.get(scene_class__key=key)


def decide(client: Client, key: str, **body: Any) -> Answer:
    body.setdefault("version", entry(key).version)
    return send(client, "put", f"entries/{entry(key).pk}", body)


def bulk(client: Client, keys: list[str], hashtag: str) -> Answer:
    rows = [{"entry": entry(key).pk, "version": entry(key).version, "hashtag": hashtag} for key in keys]
    return send(client, "post", "decisions", {"decisions": rows})


@pytest.mark.django_db
@pytest.mark.usefixtures("few")
class TestReading:
    def test_every_class_comes_once_page_by_page(self, client_for: ClientFor) -> None:
        client, address, keys = client_for("viewer"), "entries?limit=3", []
        while address:
            page = get(client, address)
            keys += [row["key"] for row in page["results"]]
            address = page["next"].partition(API)[2] if page["next"] else ""
        assert keys == list(FEW)

    def test_filters_equal_those_of_the_page(self, curator: Client) -> None:
        decide(curator, "t/toyshop", hashtag="art")
        assert [row["key"] for row in get(curator, "entries?status=confirmed")["results"]] == ["t/toyshop"]
        assert [row["key"] for row in get(curator, "entries?differs=release-1")["results"]] == ["t/toyshop"]
        results = get(curator, "entries?hashtag=church&q=abbey")["results"]
        assert [(row["key"], row["label"], row["status"]) for row in results] == [
            ("a/abbey", "church", "imported")
        ]

    def test_wrong_parameter_is_named(self, client_for: ClientFor) -> None:
        client = client_for("viewer")
        for query in ("limit=0", "limit=x", "limit=501", "limit=", "status=nonsense", "differs=x", "q=%00"):
            response = client.get(f"{API}entries?{query}")
            assert (response.status_code, list(response.json())) == (400, [query.partition("=")[0]])

    def test_one_class_comes_with_senses_path_and_history(self, curator: Client) -> None:
        decide(curator, "a/abbey", hashtag="art", note="Ruins")
        detail = get(curator, f"entries/{entry('a/abbey').pk}")
        assert (detail["label"], detail["note"], detail["changed_by"]) == ("art", "Ruins", "curator")
        assert [(row["label"], row["by"]) for row in detail["history"]] == [
            ("art", "curator"),
            ("church", None),
        ]
        assert detail["wordnet"] is True
        assert detail["sense"] in [sense["key"] for sense in detail["senses"]]
        assert detail["path"][-1]["key"] == "entity.n.01"

    def test_class_can_be_read_and_decided_without_wordnet(
        self, curator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def raise_missing(*_: Any) -> Any:
            raise wordnet.WordNetMissing

        monkeypatch.setattr(wordnet, "nouns", raise_missing)
        detail = get(curator, f"entries/{entry('a/abbey').pk}")
        assert (detail["wordnet"], detail["senses"], detail["label"]) == (False, [], "church")
        assert decide(curator, "a/abbey", hashtag="church", sense="anything.n.01")[0] == 200

    def test_entries_of_opinions_are_not_reachable(self, curator: Client, user_for: UserFor) -> None:
        opinion = Opinion.objects.create(name="blind", owner=user_for("curator"))
        answer = MappingEntry.everywhere.create(scene_class=entry("a/abbey").scene_class, opinion=opinion)
        assert curator.get(f"{API}entries/{answer.pk}").status_code == 404
        assert send(curator, "put", f"entries/{answer.pk}", {"version": 1, "hashtag": "art"})[0] == 404
        row = {"entry": answer.pk, "version": 1, "hashtag": "art"}
        assert send(curator, "post", "decisions", {"decisions": [row]})[0] == 400

    def test_hashtags_come_with_posts_and_classes(self, client_for: ClientFor) -> None:
        results = get(client_for("viewer"), "hashtags?q=church")["results"]
        assert [(row["name"], row["classes"], row["blocked"]) for row in results] == [("church", 2, False)]
        assert results[0]["offered"]
        assert results[0]["synonyms"] == ["church building"]
        Hashtag.objects.filter(name="church").update(posts=10**6)
        assert not get(client_for("viewer"), "hashtags?q=church")["results"][0]["offered"]
        first = get(client_for("viewer"), "hashtags?limit=3")
        second = get(client_for("viewer"), first["next"].partition(API)[2])
        names = [row["name"] for row in first["results"] + second["results"]]
        assert names == ["art", "beach", "church", "shopping", "sport", "street"]

    def test_release_and_its_labels_can_be_read(self, client_for: ClientFor) -> None:
        client = client_for("viewer")
        (first,) = get(client, "releases")["results"]
        assert (first["number"], first["classes"], first["published_by"]) == (1, 7, None)
        labels = get(client, "releases/1/labels?label=church&limit=1")
        rest = get(client, labels["next"].partition(API)[2])
        rows = labels["results"] + rest["results"]
        assert [(row["scene_key"], row["label"]) for row in rows] == [
            ("a/abbey", "church"),
            ("c/chapel", "church"),
        ]
        assert client.get(f"{API}releases/2/labels").status_code == 404

    def test_comparison_lists_moves_steps_and_stale_runs(self, curator: Client) -> None:
        run = create_run(photo_set("SUN", {"t/toyshop": 5}), release=1)
        bulk(curator, ["t/toyshop", "a/abbey"], "art")
        publish(curator)
        comparison = get(curator, "compare?before=1&after=2&limit=1")
        assert comparison["kinds"] == [{"kind": "moved", "classes": 2}]
        assert (comparison["photos_relabelled"], comparison["stale"][0]["url"]) == (5, run.get_absolute_url())
        assert [move["scene_key"] for move in comparison["moves"]] == ["a/abbey"]
        rest = get(curator, comparison["next"].partition(API)[2])
        assert [(move["scene_key"], move["photos"]) for move in rest["moves"]] == [("t/toyshop", 5)]
        assert rest["next"] is None
        assert curator.get(f"{API}compare?before=1&after=7").status_code == 404
        assert curator.get(f"{API}compare?before=1").status_code == 400

    def test_unknown_address_answers_in_json(self, client_for: ClientFor) -> None:
        for address in ("nothing", "entries/-1", f"entries/{10**30}", "entries/x"):
            response = client_for("viewer").get(API + address)
            assert (response.status_code, list(response.json())) == (404, ["detail"])

    def test_queries_do_not_grow_with_the_page(self, client_for: ClientFor) -> None:
        client = client_for("viewer")
        get(client, "entries")
        for address in ("entries", "hashtags", "releases/1/labels"):
            query_counts = []
            for limit in (1, 6):
                with CaptureQueriesContext(connection) as queries:
                    assert len(get(client, f"{address}?limit={limit}")["results"]) == limit
                query_counts.append(len(queries))
            assert query_counts[0] == query_counts[1]

    def test_unsupported_method_is_refused(self, curator: Client) -> None:
        assert curator.get(f"{API}decisions").status_code == 405
        assert send(curator, "post", "entries", {})[0] == 405

    def test_suggestions_equal_those_of_the_queue(
        self, curator: Client, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offer = learner.Offer((learner.Choice("shopping", "2 shops are #shopping", 0.5),), other=0.25)
        monkeypatch.setattr(learner, "suggest", lambda entry, opinion: offer)
        address = f"entries/{entry('t/toyshop').pk}/suggestions"
        assert get(curator, address) == {
            "hashtags": [{"hashtag": "shopping", "reason": "2 shops are #shopping"}],
            "other": 0.25,
            "abstains": False,
            "words": "",
        }
        assert client_for("viewer").get(API + address).status_code == 403


@pytest.mark.django_db
@pytest.mark.usefixtures("few")
class TestDeciding:
    def test_decision_is_saved_with_the_words_of_its_senses(self, curator: Client) -> None:
        code, answer = decide(
            curator, "t/toyshop", hashtag="art", sense="shop.n.01", hypernym_sense="building.n.01"
        )
        assert code == 200
        assert (answer["label"], answer["synset"], answer["hypernym"]) == ("art", "shop", "building")
        assert (answer["version"], answer["status"]) == (2, "confirmed")
        assert decide(curator, "t/toyshop", hashtag="other", sense="")[1]["synset"] == ""
        assert entry("t/toyshop").hypernym == "building"

    def test_repeated_request_creates_no_second_act(self, curator: Client) -> None:
        first = decide(curator, "t/toyshop", hashtag="art")
        assert decide(curator, "t/toyshop", hashtag="art", version=1) == first
        assert Change.objects.count() == 1

    def test_stale_decision_gets_the_present_entry(self, curator: Client, user_for: UserFor) -> None:
        bob, toyshop = user_for("curator", "bob"), entry("t/toyshop")
        change_entry(entry_id=toyshop.pk, version=1, by=bob, decision=Decision("sport"))
        code, answer = decide(curator, "t/toyshop", hashtag="art", version=1)
        assert code == 409
        assert [(row["label"], row["version"], row["changed_by"]) for row in answer["current"]] == [
            ("sport", 2, "bob")
        ]
        assert entry("t/toyshop").label == "sport"

    def test_bad_field_is_named_and_nothing_saved(self, curator: Client) -> None:
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("hashtag", {"hashtag": "nonsense"}),
            ("hashtag", {"hashtag": 7}),
            ("hashtag", {}),
            ("sense", {"hashtag": "art", "sense": "no_such.n.01"}),
            ("note", {"hashtag": "art", "note": "x" * 501}),
            ("note", {"hashtag": "art", "note": "a\0b"}),
            ("version", {"hashtag": "art", "version": "1"}),
        ]
        for field, body in wrong:
            code, answer = decide(curator, "t/toyshop", **body)
            assert (code, list(answer)) == (400, [field])
        assert not Change.objects.exists()

    def test_many_decisions_are_one_act(self, curator: Client) -> None:
        code, answer = bulk(curator, ["t/toyshop", "a/abbey"], "art")
        assert code == 200
        assert [row["label"] for row in answer["results"]] == ["art", "art"]
        assert answer["change"] == Change.objects.get().pk
        assert bulk(curator, ["t/toyshop", "a/abbey"], "art")[1]["change"] is None

    def test_one_stale_class_stops_all_decisions_and_is_listed(
        self, curator: Client, user_for: UserFor
    ) -> None:
        toyshop, abbey = entry("t/toyshop"), entry("a/abbey")
        rows = [{"entry": row.pk, "version": 1, "hashtag": "art"} for row in (toyshop, abbey)]
        change_entry(entry_id=toyshop.pk, version=1, by=user_for("curator"), decision=Decision("sport"))
        code, answer = send(curator, "post", "decisions", {"decisions": rows})
        assert (code, [row["key"] for row in answer["current"]]) == (409, ["t/toyshop"])
        assert (entry("t/toyshop").label, entry("a/abbey").label) == ("sport", "church")

    def test_unknown_and_duplicate_entries_are_refused(self, curator: Client) -> None:
        row = {"entry": entry("a/abbey").pk, "version": 1, "hashtag": "art"}
        for rows in ([row, row], [row, row | {"entry": 10**9}], [row | {"hashtag": "nonsense"}], []):
            code, answer = send(curator, "post", "decisions", {"decisions": rows})
            assert (code, list(answer)) == (400, ["decisions"])
        assert entry("a/abbey").label == "church"

    def test_repeated_undo_does_nothing(self, curator: Client) -> None:
        change = bulk(curator, ["t/toyshop", "a/abbey"], "art")[1]["change"]
        code, answer = send(curator, "post", "undo", {"change": change})
        assert (code, len(answer["restored"]), answer["kept"]) == (200, 2, [])
        assert entry("a/abbey").label == "church"
        assert send(curator, "post", "undo", {"change": change})[1]["restored"] == []

    def test_undo_of_another_persons_or_unknown_act_is_refused(
        self, curator: Client, client_for: ClientFor
    ) -> None:
        change = bulk(client_for("curator", "bob"), ["a/abbey"], "art")[1]["change"]
        assert send(curator, "post", "undo", {"change": change})[0] == 403
        assert send(curator, "post", "undo", {"change": 10**9})[0] == 404
        assert entry("a/abbey").label == "art"

    def test_queries_do_not_grow_with_the_act(self, curator: Client) -> None:
        query_counts = []
        for hashtag, number in (("art", 1), ("sport", 7)):
            entries = MappingEntry.objects.values_list("pk", "version")[:number]
            rows = [{"entry": pk, "version": version, "hashtag": hashtag} for pk, version in entries]
            with CaptureQueriesContext(connection) as queries:
                assert send(curator, "post", "decisions", {"decisions": rows})[0] == 200
            query_counts.append(len(queries))
        assert query_counts[0] == query_counts[1]

    def test_writing_is_throttled_but_reading_is_not(
        self, curator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(WriteThrottle, "rate", "2/minute")
        assert [decide(curator, "t/toyshop", hashtag="art")[0] for _ in range(3)] == [200, 200, 429]
        assert curator.get(f"{API}entries").status_code == 200


def publish(client: Client, note: str = "Toys are art") -> Answer:
    fingerprint = get(client, "unpublished")["seen"]
    return send(client, "post", "releases", {"note": note, "seen": fingerprint})


@pytest.mark.django_db
@pytest.mark.usefixtures("few")
class TestPublishing:
    def test_seen_changes_are_published_once(self, curator: Client) -> None:
        decide(curator, "t/toyshop", hashtag="art")
        changes = get(curator, "unpublished")
        assert [move["after"] for move in changes["moves"]] == ["art"]
        body = {"note": "Toys are art", "seen": changes["seen"]}
        code, release = send(curator, "post", "releases", body)
        assert (code, release["number"], release["published_by"]) == (201, 2, "curator")
        assert send(curator, "post", "releases", body)[0] == 409
        assert Release.objects.count() == 2

    def test_unseen_change_stops_publishing(self, curator: Client) -> None:
        decide(curator, "t/toyshop", hashtag="art")
        fingerprint = get(curator, "unpublished")["seen"]
        decide(curator, "a/abbey", hashtag="art")
        code, answer = send(curator, "post", "releases", {"note": "Toys", "seen": fingerprint})
        assert (code, answer["seen"]) == (409, get(curator, "unpublished")["seen"])
        assert Release.objects.count() == 1

    def test_note_is_required(self, curator: Client) -> None:
        for body in ({"seen": "x"}, {"note": "  ", "seen": "x"}):
            code, answer = send(curator, "post", "releases", body)
            assert (code, list(answer)) == (400, ["note"])


WRITES = [
    ("put", "entries/{}"),
    ("post", "decisions"),
    ("post", "undo"),
    ("post", "releases"),
    ("post", "import"),
]


@pytest.mark.django_db
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("role", "code"), [("stranger", 401), ("viewer", 403), ("network", 403)])
def test_writing_needs_permission(client_for: ClientFor, role: str, code: int) -> None:
    client = client_for(role)
    for method, address in WRITES:
        assert send(client, method, address.format(entry("a/abbey").pk), {})[0] == code


@pytest.mark.django_db
@pytest.mark.usefixtures("few")
def test_token_can_write_and_a_session_needs_its_csrf_token(user_for: UserFor) -> None:
    address, body = f"{API}entries/{entry('a/abbey').pk}", json.dumps({"version": 1, "hashtag": "art"})
    session = Client(enforce_csrf_checks=True)
    session.force_login(user_for("curator"))
    assert session.put(address, body, content_type="application/json").status_code == 403
    token = api_key(user_for("curator"))
    program = Client(enforce_csrf_checks=True, headers={"authorization": f"Token {token}"})
    assert program.put(address, body, content_type="application/json").status_code == 200


def test_examples_have_the_fields_of_the_serializers() -> None:
    assert list(examples.ENTRY) == list(EntrySerializer().fields)
    assert list(examples.MOVES) == list(ImpactSerializer().fields)
    assert list(examples.MOVES["moves"][0]) == list(MoveSerializer().fields)
    assert list(examples.MOVES["steps"][0]) == list(StepSerializer().fields)
    assert list(examples.MOVES["stale"][0]) == list(StaleRunSerializer().fields)
