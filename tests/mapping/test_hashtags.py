"""The vocabulary: offering, searching, blocking and recounting hashtags; charts and synonyms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from formats.table import Unreadable
from mapping import downstream, hashtags
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
    def test_rare_and_blocked_hashtags_are_not_offered(self, settings: Any) -> None:
        Hashtag.objects.filter(name="art").update(posts=10**7 - 1)
        Hashtag.objects.filter(name="sport").update(blocked=True)
        assert [row.name for row in hashtags.offered_hashtags()] == ["beach", "church", "shopping", "street"]
        settings.HASHTAG_MIN_POSTS = 10**8
        assert not hashtags.offered_hashtags()

    @pytest.mark.parametrize(
        ("words", "names"),
        [("#S", ["shopping", "sport", "street", "beachside"]), ("art", ["art"]), ("", []), ("zzz", [])],
    )
    def test_search_lists_names_that_begin_with_the_words_first(self, words: str, names: list[str]) -> None:
        Hashtag.objects.create(name="beachside", posts=10**9, source="x", counted_on="x")
        assert [row.name for row in hashtags.search(words, 10)] == names
        assert len(hashtags.search(words, 1)) == min(1, len(names))


class TestCounts:
    def test_import_changes_counts_and_adds_hashtags(self) -> None:
        assert save(COUNTS) == 2
        art, garden = Hashtag.objects.get(name="art"), Hashtag.objects.get(name="garden")
        assert (art.posts, art.source, art.counted_on) == (460_000_000, "Instagram", "2026-01")
        assert garden.posts == 35_000_000
        assert [line.history_change_reason for line in (*art.history.all(), *garden.history.all())] == [
            "counted"
        ] * 2

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("art,1,234,567", "is this 1,234,567?"),
            ("art,1,234,567,x,2026", "it has 6 cells, the header has 4"),
            ("art,12", "it has 2 cells, the header has 4"),
            ("art,1.5,x,2026", "is not a number of posts"),
        ],
    )
    def test_nothing_is_dropped_from_a_row_in_silence(self, row: str, words: str) -> None:
        plan = plan_counts(f"hashtag,posts,source,counted_on\n{row}\n")
        assert any(words in problem.text for problem in plan.problems)
        assert plan.writes == []

    @pytest.mark.parametrize(
        "text",
        [
            'hashtag,posts\nart,"1,234,567"\n',
            "\ufeffhashtag;posts\nart;1.234.567\n",
            "sep=;\n#Hashtag;Posts\n#ART;1 234 567\n",
            "Counts of May\n\nhashtag,posts,,\nart\u200b,1234567,,\n",
        ],
    )
    def test_counts_of_other_tools_are_read(self, text: str) -> None:
        plan = plan_counts(text)
        assert plan.problems == []
        assert [(row.name, row.says["posts"]) for row in plan.changed] == [("art", 1_234_567)]

    def test_one_column_of_counts_is_enough(self) -> None:
        with pytest.raises(Unreadable, match="same meaning: posts, posts_million"):
            plan_counts("hashtag,posts,posts_million\nart,1,2\n")

    @pytest.mark.parametrize("name", ["हिन्दी", "กรุงเทพ", "İstanbul", "cafe\u0301"])
    def test_hashtags_with_marks_are_hashtags(self, name: str, client_for: ClientFor) -> None:
        client = client_for("curator")
        text = f"hashtag,posts,source,counted_on\n{name},20000000,made up,2026-01-01\n"
        address = upload(client, text)
        client.post(address, {"seen": client.get(address).context["plan"].fingerprint})
        assert [row.posts for row in hashtags.search(f"#{name}", 5)] == [20_000_000]
        assert [note.line for note in plan_counts(text).notes] == ([2] if "\u0301" in name else [])

    def test_repeated_import_changes_nothing(self) -> None:
        save(COUNTS)
        before = rows()
        assert save(COUNTS) == 0
        assert rows() == before

    def test_export_can_be_imported_again(self, client_for: ClientFor) -> None:
        text = client_for("viewer").get("/mapping/hashtags/export/csv/").content.decode()
        assert plan_counts(text).writes == []
        assert plan_counts(text).same == 6

    def test_counts_in_millions_are_understood(self) -> None:
        plan = plan_counts("hashtag;instagram_posts_million\nart;450\n")
        assert [(count.name, count.says) for count in plan.changed] == [("art", {"posts": 450_000_000})]

    @pytest.mark.parametrize(
        ("row", "field", "words"),
        [
            ("other,1,x,x", "hashtag", "no hashtag fits"),
            ("two words!,1,x,x", "hashtag", "letters, digits and _ only"),
            (f"{'x' * 51},1,x,x", "hashtag", "51 characters; at most 50"),
            ("ART,1,x,x", "hashtag", "art is already in line 2"),
            ("beach,many,x,x", "posts", "“many” is not a number of posts"),
            ("beach,-5,x,x", "posts", "“-5” is not a number of posts"),
            ("beach,99999999999999999,x,x", "posts", "is not a number of posts"),
            (f"beach,1,{'x' * 201},x", "source", "201 characters; at most 200"),
            ("new,1,,2026", "source", "a new hashtag needs this value"),
        ],
    )
    def test_one_bad_row_stops_the_import(self, row: str, field: str, words: str) -> None:
        text = f"hashtag,posts,source,counted_on\nart,5,x,x\n{row}\n"
        plan, before = plan_counts(text), rows()
        assert [(p.line, p.field) for p in plan.problems] == [(3, field)]
        assert words in plan.problems[0].text
        with pytest.raises(CountsHaveProblems):
            import_counts(text=text, seen=plan.fingerprint, by=None)
        assert rows() == before

    def test_text_without_counts_is_refused(self) -> None:
        for text in ("hashtag\nart\n", "hashtag,posts\n", '"'):
            with pytest.raises(Unreadable):
                plan_counts(text)

    def test_a_word_of_authors_is_offered_nowhere_until_it_is_counted(self) -> None:
        word = Hashtag.objects.create(name="garden", posts=0, source="authors", in_vocabulary=False)
        assert not Hashtag.objects.filter(name="garden").exists()
        assert not hashtags.search("garden", 10)
        assert save(COUNTS) == 2
        now = Hashtag.objects.get(name="garden")
        assert (now.pk, now.posts, now.source) == (word.pk, 35_000_000, "Instagram")
        assert now.history.first().in_vocabulary

    def test_change_after_the_preview_stops_the_import(self) -> None:
        fingerprint = plan_counts(COUNTS).fingerprint
        Hashtag.objects.filter(name="art").update(posts=1)
        with pytest.raises(CountsMoved):
            import_counts(text=COUNTS, seen=fingerprint, by=None)
        assert not Hashtag.objects.filter(name="garden").exists()


class TestPages:
    def test_preview_writes_nothing_and_repeated_click_saves_once(self, client_for: ClientFor) -> None:
        client, before = client_for("curator"), rows()
        address = upload(client, COUNTS)
        fingerprint = client.get(address).context["plan"].fingerprint
        assert rows() == before
        assert b"Saved: 2 hashtags." in client.post(address, {"seen": fingerprint}, follow=True).content
        assert b"already known." in client.post(address, {"seen": fingerprint}, follow=True).content
        assert Hashtag.objects.get(name="art").history.first().history_user.username == "curator"

    def test_stale_preview_is_refused(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        address = upload(client, COUNTS)
        Hashtag.objects.filter(name="art").update(posts=1)
        response = client.post(address, {"seen": "0" * 16})
        assert (response.status_code, b"while you were viewing" in response.content) == (409, True)
        assert Hashtag.objects.get(name="art").posts == 1

    def test_one_hashtag_can_be_added_by_form(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        form = {"name": "#Garden", "posts": "35000000", "source": "=Instagram", "counted_on": "2026"}
        address = client.post("/mapping/hashtags/import/", form)["Location"]
        client.post(address, {"seen": client.get(address).context["plan"].fingerprint})
        garden = Hashtag.objects.get(name="garden")
        assert (garden.posts, garden.source) == (35_000_000, "=Instagram")

    def test_page_reports_an_unreadable_file(self, client_for: ClientFor) -> None:
        response = client_for("curator").post(
            "/mapping/hashtags/import/", {"file": SimpleUploadedFile("x", b"key\na\n")}
        )
        assert (response.status_code, b"needs the columns hashtag and posts" in response.content) == (
            400,
            True,
        )

    def test_hashtag_can_be_blocked_with_a_reason_and_unblocked(self, client_for: ClientFor) -> None:
        client, art = client_for("curator"), Hashtag.objects.get(name="art")
        address = f"/mapping/hashtags/{art.pk}/block/"
        assert b"Give a reason" in client.post(address, {"why": " "}).content
        for _ in range(2):
            client.post(address, {"why": "too vague"})
        assert [row.name for row in hashtags.offered_hashtags() if row.name == "art"] == []
        assert b"too vague" in client.get("/mapping/hashtags/?state=blocked").content
        for _ in range(2):
            client.post(address, {"unblock": "1"})
        assert "art" in [row.name for row in hashtags.offered_hashtags()]
        assert [line.history_change_reason for line in art.history.all()] == ["offered again", "blocked"]
        assert client.post("/mapping/hashtags/999999/block/", {"why": "x"}).status_code == 404

    @pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
    def test_only_curators_change_the_vocabulary(self, client_for: ClientFor, role: str, status: int) -> None:
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
        records = json.loads(client_for("viewer").get("/mapping/hashtags/export/json/").content)
        church = next(row for row in records if row["name"] == "church")
        assert (church["synonyms"], church["classes"]) == (["church building"], 2)
        text = client_for("viewer").get("/mapping/hashtags/export/csv/").content.decode("utf-8-sig")
        table = {row["hashtag"]: row["synonyms"] for row in csv.DictReader(io.StringIO(text))}
        assert (table["church"], len(table)) == ("church building", 6)

    def test_page_has_charts_of_posts_and_photos(
        self, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Some(downstream.Nothing):
            def photo_counts(self) -> dict[str, int]:
                return {"a/abbey": 30, "c/chapel": 10, "a/anechoic_chamber": 100, "b/beach": 20, "gone": 5}

        monkeypatch.setattr(downstream, "_source", Some())
        charts = client_for("viewer").get("/mapping/hashtags/").context["charts"]
        assert charts["photos"] == [("other", 100, 100), ("church", 40, 100), ("beach", 20, 50)]
        assert {row.name for row, _ in charts["posts"]} == {"beach", "church", "shopping", "street"}
        page = client_for("viewer").get("/mapping/hashtags/").content.decode()
        for name in ("posts", "photos"):
            assert f'href="/mapping/hashtags/figures/{name}.svg"' in page
        csv_file = client_for("viewer").get("/mapping/hashtags/figures/photos.csv")
        table = list(csv.reader(io.StringIO(csv_file.content.decode("utf-8-sig"))))
        assert table == [["label", "photos"], ["other", "100"], ["church", "40"], ["beach", "20"]]

    def test_figure_6_is_a_drawing_of_all_hashtags_in_use(self, client_for: ClientFor) -> None:
        svg = client_for("viewer").get("/mapping/hashtags/figures/posts.svg")
        assert svg["Content-Disposition"] == 'attachment; filename="figure-6-posts.svg"'
        drawing = ElementTree.fromstring(svg.content)  # noqa: S314 (our own)
        texts = [element.text for element in drawing.iter() if element.text]
        rows = Hashtag.objects.filter(name__in=("beach", "church", "shopping", "street")).order_by("-posts")
        assert [text for text in texts if text.startswith("#")] == [f"#{row.name}" for row in rows]
        assert {f"{row.posts:,}" for row in rows} <= set(texts)

    @pytest.mark.parametrize("name", ["posts.png", "likes.svg"])
    def test_there_is_no_other_figure_or_kind(self, client_for: ClientFor, name: str) -> None:
        assert client_for("viewer").get(f"/mapping/hashtags/figures/{name}").status_code == 404
        assert client_for("validator").get("/mapping/hashtags/figures/posts.svg").status_code == 403

    def test_queries_do_not_grow_with_the_vocabulary(
        self, client_for: ClientFor, django_assert_max_num_queries: Any
    ) -> None:
        client = client_for("curator")

        def queries() -> int:
            with django_assert_max_num_queries(30) as context:
                client.get("/mapping/hashtags/")
            return len(context)

        few = queries()
        Hashtag.objects.bulk_create(
            Hashtag(name=f"tag{n}", posts=n, source="x", counted_on="x") for n in range(200)
        )
        tag = Hashtag.objects.get(name="tag1")
        MappingEntry.objects.update(hashtag=tag, status="imported")
        assert queries() == few


@pytest.mark.django_db
def test_two_imports_of_the_same_new_hashtag_conflict(
    monkeypatch: pytest.MonkeyPatch, user_for: Callable[..., Any]
) -> None:
    text = "hashtag,posts,source,counted_on\nlake,20000000,counted,2026\n"
    make_plan = hashtags.plan_counts
    fingerprint = make_plan(text).fingerprint

    def somebody_is_faster(words: str) -> Any:
        plan = make_plan(words)
        Hashtag.objects.create(name="lake", posts=1, source="theirs", counted_on="2026")
        return plan

    monkeypatch.setattr(hashtags, "plan_counts", somebody_is_faster)
    with pytest.raises(hashtags.CountsMoved):
        hashtags.import_counts(text=text, seen=fingerprint, by=user_for("curator"))


@pytest.mark.django_db
def test_page_says_that_it_shows_only_the_first_problems(
    client_for: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapping.views.hashtags.SHOWN", 2)
    rows = "".join(f"name{n},many,x,2026\n" for n in range(5))
    file = SimpleUploadedFile("counts.csv", f"hashtag,posts,source,counted_on\n{rows}".encode())
    client = client_for("curator")
    page = client.post("/mapping/hashtags/import/", {"file": file}, follow=True).content.decode()
    assert page.count("is not a number of posts") == 2
    assert "Showing the first 2 of 5." in page
