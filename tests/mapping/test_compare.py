"""Any two releases side by side, and what publishing would do: classes, photos, runs, hashtags."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.acts import Decision, change_entry
from mapping.impact import Step, impact_between, impact_of_publishing
from mapping.models import Hashtag, MappingEntry, Release, SceneClass
from mapping.releases import FrozenClass, Move, compare, publish_release
from mapping.views import releases
from tests.mapping.test_downstream import create_run, photo_set

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]
URL = "/mapping/releases/compare/"


@pytest.fixture
def decide(user_for: Callable[..., User]) -> Callable[..., None]:
    """Give classes a hashtag, by the last part of their key: decide(toyshop="art")."""

    def make(sense: str | None = None, **labels: str) -> None:
        for key, label in labels.items():
            entry = MappingEntry.objects.get(scene_class__key=f"{key[0]}/{key}")
            decision = Decision(hashtag=label, sense=sense)
            change_entry(entry_id=entry.pk, version=entry.version, by=user_for("curator"), decision=decision)

    return make


@pytest.fixture
def three(decide: Callable[..., None]) -> list[Release]:
    """Release 2 makes toys art; release 3 also abbeys, another sense of a chamber, and no alley."""
    decide(toyshop="art")
    second = publish_release(by=None, note="Toys are art")
    decide(abbey="art")
    decide(anechoic_chamber="other", sense="chamber.n.03")
    MappingEntry.objects.filter(scene_class__key="a/alley").delete()
    return [Release.objects.get(number=1), second, publish_release(by=None, note="Abbeys are art")]


def test_states_are_compared_by_label_and_senses() -> None:
    shop = FrozenClass("shopping", "shop.n.01", "shop", "building.n.01", "building")
    other = shop._replace(hypernym_sense="store.n.01", hypernym="store")
    differences = compare({"a": shop, "b": shop, "c": shop}, {"a": shop, "b": other, "d": shop})
    assert differences == [
        Move("b", "shopping", "shopping", "hypernym building.n.01 → store.n.01"),
        Move("c", "shopping", None),
        Move("d", None, "shopping"),
    ]
    assert [move.kind for move in differences] == ["reworded", "left out", "added"]


def test_releases_that_are_not_neighbours_can_be_compared(three: list[Release]) -> None:
    photo_set("SUN", {"t/toyshop": 5, "a/abbey": 2, "b/beach": 9})
    impact = impact_between(three[0], three[2])
    assert impact.kinds == [("moved", 2), ("left out", 1), ("reworded", 1)]
    assert Step("shopping", "art", 1, 5, ("t/toyshop",)) in impact.steps
    assert Step("church", "art", 1, 2, ("a/abbey",)) in impact.steps
    assert len(impact.steps) == 3
    assert impact.photos_relabelled == 7
    assert (impact.emptied, impact.first) == (["church", "shopping"], ["art"])


def test_steps_are_ordered_by_number_of_classes(decide: Callable[..., None]) -> None:
    decide(abbey="art", toyshop="sport", shoe_shop="sport")
    steps = impact_of_publishing(Release.objects.first()).steps
    assert [(s.before, s.after, s.classes) for s in steps] == [
        ("shopping", "sport", 2),
        ("church", "art", 1),
    ]


def test_without_photos_each_class_counts_as_one_photo(decide: Callable[..., None]) -> None:
    Hashtag.objects.create(name="toys", posts=10**7, source="x", counted_on="2026")
    decide(toyshop="toys")
    impact = impact_of_publishing(Release.objects.first())
    assert (impact.emptied, impact.first, impact.photos_relabelled) == ([], ["toys"], 0)


def test_page_shows_moves_photos_and_stale_runs(three: list[Release], client_for: ClientFor) -> None:
    run = create_run(photo_set("SUN", {"t/toyshop": 5}), release=1)
    html = client_for("viewer").get(URL, {"before": 1, "after": 3}).content.decode()
    assert "Release 1 → release 3" in html
    assert "<b>2</b> <span>classes moved</span>" in html
    assert "<b>5</b> <span>photos relabelled</span>" in html
    assert "<b>1</b> <span>run became stale</span>" in html
    assert f'href="{run.get_absolute_url()}"' in html
    assert "synset" in html
    assert "chamber.n.03" in html


def test_page_shows_the_newest_two_releases_by_default(three: list[Release], client_for: ClientFor) -> None:
    html = client_for("viewer").get(URL).content.decode()
    assert "Release 2 → release 3" in html
    assert "a/abbey" in html
    assert "t/toyshop" not in html


def test_order_can_be_swapped(three: list[Release], client_for: ClientFor) -> None:
    html = client_for("viewer").get(URL, {"before": 3, "after": 2}).content.decode()
    assert "Release 3 → release 2" in html
    assert "<b>1</b> <span>class added</span>" in html


def test_release_does_not_differ_from_itself(three: list[Release], client_for: ClientFor) -> None:
    assert b"two releases do not differ" in client_for("viewer").get(URL, {"before": 1, "after": 1}).content


def test_single_release_cannot_be_compared(client_for: ClientFor) -> None:
    assert b"There is 1 release so far" in client_for("viewer").get(URL).content


def test_unknown_release_is_reported(client_for: ClientFor) -> None:
    client = client_for("viewer")
    for number in ("7", "x", "-1", "1.5", "<b>"):
        response = client.get(URL, {"before": "1", "after": number})
        assert response.status_code == 404
        alert = response.content.decode().split('role="alert"')[1].split("</p>")[0]
        assert "There is no release" in alert
        assert "<b>" not in alert


def test_list_can_be_narrowed_to_one_step_or_kind(three: list[Release], client_for: ClientFor) -> None:
    client = client_for("viewer")

    def keys(**narrow: str) -> list[str]:
        query: dict[str, str] = {"before": "1", "after": "3"} | narrow
        rows = client.get(URL, query).context["rows"]
        return [row.move.scene_key for row in rows]

    assert keys() == ["a/abbey", "a/alley", "a/anechoic_chamber", "t/toyshop"]
    assert keys(**{"from": "shopping", "to": "art"}) == ["t/toyshop"]
    assert keys(to="-") == ["a/alley"]
    assert keys(kind="reworded") == ["a/anechoic_chamber"]
    assert keys(kind="nonsense") == []


def test_csv_has_every_class_that_differs(three: list[Release], client_for: ClientFor) -> None:
    photo_set("SUN", {"t/toyshop": 5})
    response = client_for("viewer").get(f"{URL}?before=1&after=3&format=csv")
    assert "scenetag-releases-1-3.csv" in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [(r["scene_key"], r["change"], r["before"], r["after"], r["photos"]) for r in rows] == [
        ("a/abbey", "moved", "church", "art", "0"),
        ("a/alley", "left out", "street", "", "0"),
        ("a/anechoic_chamber", "reworded", "other", "other", "0"),
        ("t/toyshop", "moved", "shopping", "art", "5"),
    ]


def test_csv_disarms_spreadsheet_formulas(client_for: ClientFor) -> None:
    formula = SceneClass.objects.create(key="=cmd()", name="formula")
    MappingEntry.objects.create(scene_class=formula, status="imported")
    publish_release(by=None, note="A formula")
    for address in (f"{URL}?format=csv", "/mapping/releases/2/?format=csv"):
        lines = client_for("viewer").get(address).content.decode().splitlines()
        assert [line.split(",")[0] for line in lines if "cmd" in line] == ["'=cmd()"]


def test_list_of_releases_links_to_their_comparison(three: list[Release], client_for: ClientFor) -> None:
    html = client_for("viewer").get("/mapping/releases/").content.decode()
    assert f"{URL}?before=2&amp;after=3" in html
    assert f'href="{URL}"' in html


def test_release_shows_what_it_changed_and_is_paged(
    three: list[Release], client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "PER_PAGE", 4)
    html = client_for("viewer").get("/mapping/releases/3/").content.decode()
    assert "3 classes differ." in html
    assert "Page 1 of 2" in html
    assert "chamber.n.03" in html


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("validator", 403), ("viewer", 200)])
def test_comparison_needs_permission_to_view(client_for: ClientFor, role: str, status: int) -> None:
    assert client_for(role).get(URL).status_code == status


def test_publish_page_shows_the_impact(decide: Callable[..., None], client_for: ClientFor) -> None:
    run = create_run(photo_set("SUN", {"t/toyshop": 5, "a/abbey": 1}), release=1)
    decide(toyshop="art")
    html = client_for("curator").get("/mapping/releases/publish/").content.decode()
    assert "<b>5</b> <span>photos relabelled</span>" in html
    assert "<b>1</b> <span>run will become stale</span>" in html
    assert f'href="{run.get_absolute_url()}"' in html
    assert "will lose their last photo" in html
    assert "will get their first photo" in html
    rows = client_for("curator").get("/mapping/releases/publish/?format=csv").content.decode().splitlines()
    assert rows[1:] == ["t/toyshop,moved,shopping,art,,5"]


def test_queries_do_not_grow_with_the_number_of_differences(
    client_for: ClientFor, decide: Callable[..., None]
) -> None:
    client = client_for("curator")
    photos = photo_set(
        "SUN", dict.fromkeys(MappingEntry.objects.values_list("scene_class__key", flat=True), 1)
    )
    create_run(photos, release=1)
    decide(toyshop="art")
    publish_release(by=None, note="one")
    addresses = (URL, "/mapping/releases/2/", "/mapping/releases/publish/")
    decide(abbey="art")
    before = [count_queries(client, address) for address in addresses]
    MappingEntry.objects.update(hashtag=Hashtag.objects.get(name="sport"), status="confirmed")
    publish_release(by=None, note="all")
    create_run(photos, release=1)
    MappingEntry.objects.update(hashtag=None)
    after = [count_queries(client, address) for address in (URL, "/mapping/releases/3/", addresses[2])]
    assert after == before


def count_queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)
