"""The vocabulary: what is offered and found, blocked and unblocked, counted anew; charts and synonyms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mapping import downstream, hashtags
from mapping.files.classlists import Unreadable
from mapping.hashtags import CountsHaveProblems, CountsMoved, import_counts, plan_counts
from mapping.models import Hashtag, MappingEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]
COUNTS = (
    "hashtag,posts,source,counted_on\n#Art,460000000,Instagram,2026-01\ngarden,35 000 000,Instagram,2026-01\n"
)


def rows() -> list[Any]:
    return [list(Hashtag.objects.values_list()), Hashtag.history.count()]


def save(text: str) -> int:
    return import_counts(text=text, seen=plan_counts(text).fingerprint, by=None)


def upload(client: Client, text: str) -> str:
    file = SimpleUploadedFile("counts.csv", text.encode())
    return str(client.post("/mapping/hashtags/import/", {"file": file})["Location"])


class TestOffered:
    def test_neither_rare_nor_blocked(self, settings: Any) -> None:
        Hashtag.objects.filter(name="art").update(posts=10**7 - 1)
        Hashtag.objects.filter(name="sport").update(blocked=True)
        assert [row.name for row in hashtags.offered()] == ["beach", "church", "shopping", "street"]
        settings.HASHTAG_MIN_POSTS = 10**8
        assert not hashtags.offered()

    @pytest.mark.parametrize(
        ("words", "names"),
        [("#S", ["shopping", "sport", "street", "beachside"]), ("art", ["art"]), ("", []), ("zzz", [])],
    )
    def test_found_by_what_was_typed_its_beginning_first(self, words: str, names: list[str]) -> None:
        Hashtag.objects.create(name="beachside", posts=10**9, source="x", counted_on="x")
        assert [row.name for row in hashtags.search(words, 10)] == names
        assert len(hashtags.search(words, 1)) == min(1, len(names))


class TestCounts:
    def test_counts_change_and_new_hashtags_come(self) -> None:
        assert save(COUNTS) == 2
        art, garden = Hashtag.objects.get(name="art"), Hashtag.objects.get(name="garden")
        assert (art.posts, art.source, art.counted_on) == (460_000_000, "Instagram", "2026-01")
        assert garden.posts == 35_000_000
        assert [line.history_change_reason for line in (*art.history.all(), *garden.history.all())] == [
            "counted"
        ] * 2

    def test_again_there_is_nothing_to_do(self) -> None:
        save(COUNTS)
        before = rows()
        assert save(COUNTS) == 0
        assert rows() == before

    def test_the_export_is_a_table_of_counts(self, client_for: ClientFor) -> None:
        text = client_for("viewer").get("/mapping/hashtags/export/csv/").content.decode()
        assert plan_counts(text).writes == []
        assert plan_counts(text).same == 6

    def test_old_catalogue_in_millions(self) -> None:
        made = plan_counts("hashtag;instagram_posts_million\nart;450\n")
        assert [(count.name, count.says) for count in made.changed] == [("art", {"posts": 450_000_000})]

    @pytest.mark.parametrize(
        ("row", "field", "words"),
        [
            ("other,1,x,x", "hashtag", "no hashtag fits"),
            ("two words!,1,x,x", "hashtag", "letters, digits and _ only"),
            (f"{'x' * 51},1,x,x", "hashtag", "51 characters; 50 fit"),
            ("ART,1,x,x", "hashtag", "art stands in line 2 already"),
            ("beach,many,x,x", "posts", "“many” is not a number of posts"),
            ("beach,-5,x,x", "posts", "“-5” is not a number of posts"),
            ("beach,99999999999999999,x,x", "posts", "is not a number of posts"),
            (f"beach,1,{'x' * 201},x", "source", "201 characters; 200 fit"),
            ("new,1,,2026", "source", "a new hashtag needs it"),
        ],
    )
    def test_one_wrong_row_and_nothing_is_kept(self, row: str, field: str, words: str) -> None:
        text = f"hashtag,posts,source,counted_on\nart,5,x,x\n{row}\n"
        made, before = plan_counts(text), rows()
        assert [(p.line, p.field) for p in made.problems] == [(3, field)]
        assert words in made.problems[0].text
        with pytest.raises(CountsHaveProblems):
            import_counts(text=text, seen=made.fingerprint, by=None)
        assert rows() == before

    def test_what_is_no_table_of_counts(self) -> None:
        for text in ("hashtag\nart\n", "hashtag,posts\n", '"'):
            with pytest.raises(Unreadable):
                plan_counts(text)

    def test_counted_meanwhile(self) -> None:
        seen = plan_counts(COUNTS).fingerprint
        Hashtag.objects.filter(name="art").update(posts=1)
        with pytest.raises(CountsMoved):
            import_counts(text=COUNTS, seen=seen, by=None)
        assert not Hashtag.objects.filter(name="garden").exists()


class TestPages:
    def test_preview_then_save_then_repeated_click(self, client_for: ClientFor) -> None:
        client, before = client_for("curator"), rows()
        address = upload(client, COUNTS)
        seen = client.get(address).context["plan"].fingerprint
        assert rows() == before
        assert b"Saved: 2 hashtags." in client.post(address, {"seen": seen}, follow=True).content
        assert b"Known already." in client.post(address, {"seen": seen}, follow=True).content
        assert Hashtag.objects.get(name="art").history.first().history_user.username == "curator"

    def test_stale_preview(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        address = upload(client, COUNTS)
        Hashtag.objects.filter(name="art").update(posts=1)
        response = client.post(address, {"seen": "0" * 16})
        assert (response.status_code, b"while you were viewing" in response.content) == (409, True)
        assert Hashtag.objects.get(name="art").posts == 1

    def test_one_hashtag_is_added_by_hand(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        form = {"name": "#Garden", "posts": "35000000", "source": "=Instagram", "counted_on": "2026"}
        address = client.post("/mapping/hashtags/import/", form)["Location"]
        client.post(address, {"seen": client.get(address).context["plan"].fingerprint})
        garden = Hashtag.objects.get(name="garden")
        assert (garden.posts, garden.source) == (35_000_000, "=Instagram")

    def test_wrong_file_is_said_on_the_page(self, client_for: ClientFor) -> None:
        response = client_for("curator").post(
            "/mapping/hashtags/import/", {"file": SimpleUploadedFile("x", b"key\na\n")}
        )
        assert (response.status_code, b"needs the columns hashtag and posts" in response.content) == (
            400,
            True,
        )

    def test_block_with_a_reason_repeat_and_unblock(self, client_for: ClientFor) -> None:
        client, art = client_for("curator"), Hashtag.objects.get(name="art")
        address = f"/mapping/hashtags/{art.pk}/block/"
        assert b"Say why" in client.post(address, {"why": " "}).content
        for _ in range(2):
            client.post(address, {"why": "too vague"})
        assert [row.name for row in hashtags.offered() if row.name == "art"] == []
        assert b"too vague" in client.get("/mapping/hashtags/?state=blocked").content
        for _ in range(2):
            client.post(address, {"unblock": "1"})
        assert "art" in [row.name for row in hashtags.offered()]
        assert [line.history_change_reason for line in art.history.all()] == ["offered again", "blocked"]
        assert client.post("/mapping/hashtags/999999/block/", {"why": "x"}).status_code == 404

    @pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
    def test_only_curators_change_it(self, client_for: ClientFor, role: str, status: int) -> None:
        client, before = client_for(role), rows()
        pk = Hashtag.objects.get(name="art").pk
        assert client.post(f"/mapping/hashtags/{pk}/block/", {"why": "x"}).status_code == status
        assert client.post("/mapping/hashtags/import/", {"name": "x"}).status_code == status
        assert client.get("/mapping/hashtags/import/abc/").status_code == status
        assert client.post("/mapping/hashtags/import/abc/").status_code == status
        assert rows() == before

    def test_synonyms_are_shown_and_exported(self, client_for: ClientFor) -> None:
        assert hashtags.synonyms(["church", "qqq"]) == {"church": ("church building",), "qqq": ()}
        assert b"church building" in client_for("viewer").get("/mapping/hashtags/").content
        found = json.loads(client_for("viewer").get("/mapping/hashtags/export/json/").content)
        church = next(row for row in found if row["name"] == "church")
        assert (church["synonyms"], church["classes"]) == (["church building"], 2)
        text = client_for("viewer").get("/mapping/hashtags/export/csv/").content.decode("utf-8-sig")
        table = {row["hashtag"]: row["synonyms"] for row in csv.DictReader(io.StringIO(text))}
        assert (table["church"], len(table)) == ("church building", 6)

    def test_charts_of_posts_and_of_photos(
        self, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Some(downstream.Nothing):
            def photo_counts(self) -> dict[str, int]:
                return {"a/abbey": 30, "c/chapel": 10, "a/anechoic_chamber": 100, "b/beach": 20, "gone": 5}

        monkeypatch.setattr(downstream, "_registered", Some())
        charts = client_for("viewer").get("/mapping/hashtags/").context["charts"]
        assert charts["photos"] == [("other", 100, 100), ("church", 40, 100), ("beach", 20, 50)]
        assert {row.name for row, _ in charts["posts"]} == {"beach", "church", "shopping", "street"}

    def test_queries_do_not_grow_with_the_vocabulary(
        self, client_for: ClientFor, django_assert_max_num_queries: Any
    ) -> None:
        client = client_for("curator")

        def queries() -> int:
            with django_assert_max_num_queries(30) as found:
                client.get("/mapping/hashtags/")
            return len(found)

        few = queries()
        Hashtag.objects.bulk_create(
            Hashtag(name=f"tag{n}", posts=n, source="x", counted_on="x") for n in range(200)
        )
        tag = Hashtag.objects.get(name="tag1")
        MappingEntry.objects.update(hashtag=tag, status="imported")
        assert queries() == few


@pytest.mark.django_db
def test_same_new_hashtag_by_two_at_once_is_a_moved_plan(
    monkeypatch: pytest.MonkeyPatch, user_for: Callable[..., Any]
) -> None:
    text = "hashtag,posts,source,counted_on\nlake,20000000,counted,2026\n"
    plan = hashtags.plan_counts
    seen = plan(text).fingerprint

    def somebody_is_faster(words: str) -> Any:
        made = plan(words)
        Hashtag.objects.create(name="lake", posts=1, source="theirs", counted_on="2026")
        return made

    monkeypatch.setattr(hashtags, "plan_counts", somebody_is_faster)
    with pytest.raises(hashtags.CountsMoved):
        hashtags.import_counts(text=text, seen=seen, by=user_for("curator"))
