"""Writing the mapping as CSV, JSON and SSSOM and reading it again: nothing is lost."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mapping.acts import Decision, change_entry
from mapping.files.exchange import detect, export_rows, read, to_csv, to_json, to_sssom
from mapping.files.importing import apply, plan
from mapping.lexicon import wordnet
from mapping.models import Hashtag, MappingEntry, Release, SceneClass

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
WRITERS: dict[str, Callable[..., str]] = {"csv": to_csv, "json": to_json, "sssom": to_sssom}
BEACH = "scene:b/beach\tskos:broadMatch"
FIELDS = ("hashtag__name", "sense", "synset", "hypernym_sense", "hypernym", "status", "note")


def state() -> list[tuple[Any, ...]]:
    return list(MappingEntry.objects.values_list("scene_class__key", "scene_class__name", *FIELDS))


@pytest.fixture
def awkward(user_for: Callable[..., User]) -> None:
    """Entries that are hard to write: formulas, quotes, line ends, Russian, unusual words, undecided."""
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    note = '=HYPERLINK("x"); a\ttab, "quotes" | pipe = 100 %\nsecond line, да'
    decision = Decision("art", "abbey.n.01", "-abbey", "", "house, of monks", note)
    change_entry(entry_id=entry.pk, version=1, by=user_for("curator"), decision=decision)
    MappingEntry.objects.filter(scene_class__key="a/alley").update(hashtag=None, status="undecided")
    SceneClass.objects.create(key="r/rock_(music)_&_roll", name="rock & roll", name_ru="рок")
    row = SceneClass.objects.get(name_ru="рок")
    MappingEntry.objects.create(scene_class=row, status="imported", hypernym_sense="music.n.01")


@pytest.mark.parametrize("kind", WRITERS)
def test_importing_an_export_changes_nothing(kind: str, awkward: None) -> None:
    text = WRITERS[kind](export_rows())
    assert detect(text) == kind
    import_plan = plan(read(text, kind))
    assert import_plan.problems == []
    assert import_plan.writes == []


@pytest.mark.parametrize("kind", WRITERS)
def test_export_restores_a_deleted_mapping(kind: str, awkward: None, user_for: Callable[..., User]) -> None:
    text, before = WRITERS[kind](export_rows()), state()
    MappingEntry.objects.all().delete()
    SceneClass.objects.all().delete()
    class_list = read(text, kind)
    apply(class_list=class_list, seen=plan(class_list).fingerprint, by=user_for("curator"))
    assert state() == before
    assert plan(class_list).writes == []


def test_csv_has_the_columns_of_the_thesis_and_no_formula(awkward: None) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(export_rows()), newline="")))
    assert list(rows[0])[:6] == ["raw_name", "name", "name_ru", "synset", "hypernym", "hashtag"]
    abbey = rows[0]
    assert (abbey["raw_name"], abbey["hashtag"], abbey["status"]) == ("/a/abbey", "art", "confirmed")
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert abbey["note"].startswith("'=HYPERLINK")


def test_json_names_its_format() -> None:
    document = json.loads(to_json(export_rows()))
    assert (document["format"], document["version"], document["release"]) == ("scenetag-mapping", 1, None)
    assert document["classes"][3] | {"key": "b/beach", "hashtag": "beach"} == document["classes"][3]


class TestSssom:
    def lines(self, text: str) -> list[dict[str, str]]:
        table = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
        return list(csv.DictReader(io.StringIO(table, newline=""), delimiter="\t"))

    def test_hashtag_is_a_broad_match_and_other_is_no_term(self) -> None:
        rows = self.lines(to_sssom(export_rows()))
        beach = next(row for row in rows if row["subject_id"] == "scene:b/beach")
        assert (beach["predicate_id"], beach["object_id"]) == ("skos:broadMatch", "hashtag:beach")
        assert beach["mapping_justification"] == "semapv:UnspecifiedMatching"
        chamber = next(row for row in rows if row["subject_id"] == "scene:a/anechoic_chamber")
        assert chamber["object_id"] == "sssom:NoTermFound"

    def test_senses_are_nouns_of_wordnet(self) -> None:
        number = wordnet.nouns().offsets[wordnet.nouns().index("abbey.n.01") or 0]
        rows = self.lines(to_sssom(export_rows()))
        senses = [row for row in rows if row["object_id"] == f"wn30:{number:08d}-n"]
        assert [(row["subject_id"], row["predicate_id"]) for row in senses] == [
            ("scene:a/abbey", "skos:closeMatch")
        ]

    def test_foreign_prefixes_are_understood(self) -> None:
        text = (
            "# curie_map:\n#   x: 'urn:scenetag:class:'\n#  ig: https://www.instagram.com/explore/tags/\n"
            "subject_id\tpredicate_id\tobject_id\tmapping_justification\n"
            "x:b/beach\tskos:broadMatch\tig:art\tsemapv:ManualMappingCuration\n"
        )
        (row,) = read(text, detect(text)).rows
        assert (row.line, row.key, row.values) == (5, "b/beach", {"hashtag": "art", "status": "confirmed"})

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("mesh:1\tskos:exactMatch\thashtag:art", "not an id of a scene class"),
            ("scene:b/beach\tskos:exactMatch\tmesh:1", "neither a hashtag nor a noun"),
            ("scene:b/beach\tskos:exactMatch\twn30:00000000-n", "WordNet has no noun 00000000-n"),
            (f"{BEACH}\thashtag:art\n{BEACH}\thashtag:sport", "in an earlier line"),
        ],
    )
    def test_foreign_line_is_named(self, line: str, words: str) -> None:
        (problem,) = read(f"subject_id\tpredicate_id\tobject_id\n{line}\n", "sssom").problems
        assert words in problem.text

    HEAD = "subject_id\tpredicate_modifier\tpredicate_id\tobject_id\tobject_label\tmapping_justification\n"

    @pytest.mark.parametrize(
        ("line", "values"),
        [
            ("scene:a/abbey\tNot\tskos:broadMatch\thashtag:art", None),
            ("scene:a/abbey\tnot\tskos:closeMatch\twn30:02667576-n", None),
            ("scene:a/abbey\t\tskos:narrowMatch\thashtag:art", None),
            ("scene:a/abbey\t\tskos:relatedMatch\thashtag:art", None),
            ("scene:a/abbey\t\tskos:narrowMatch\twn30:02667576-n", None),
            ("scene:a/abbey\t\tskos:relatedMatch\twn30:02667576-n", None),
            ("scene:a/abbey\t\tskos:exactMatch\thashtag:art/", {"hashtag": "art", "status": "imported"}),
            ("scene:a/abbey\t\trdfs:subClassOf\thashtag:art", {"hashtag": "art", "status": "imported"}),
            (
                "scene:a/abbey\t\thttp://www.w3.org/2004/02/skos/core#exactMatch\twn30:02667576-n",
                {"sense": "abbey.n.01", "synset": ""},
            ),
            ("scene:a/abbey\t\tskos:broadMatch\twn30:02667576-n", {"hypernym_sense": "abbey.n.01"}),
        ],
    )
    def test_predicates_mean_what_the_specification_says(
        self, line: str, values: dict[str, str] | None
    ) -> None:
        class_list = read(self.HEAD + line + "\t\t\n", "sssom")
        assert class_list.problems == []
        if values is None:
            assert (class_list.rows, [note.line for note in class_list.notes]) == ([], [2])
        else:
            (row,) = class_list.rows
            assert (row.values | values, class_list.notes) == (row.values, [])

    def test_yes_and_no_at_once_is_a_problem(self) -> None:
        lines = "scene:a/abbey\tNot\tskos:broadMatch\thashtag:art\t\t\n"
        (problem,) = read(self.HEAD + lines + lines.replace("Not", ""), "sssom").problems
        assert (problem.line, problem.text) == (3, "line 2 says the opposite")

    def test_a_second_sense_is_not_dropped_in_silence(self) -> None:
        lines = (
            "scene:a/abbey\t\tskos:closeMatch\twn30:02667576-n\t\t\n"
            "scene:a/abbey\t\tskos:closeMatch\twn30:02667379-n\t\t\n"
        )
        (note,) = read(self.HEAD + lines, "sssom").notes
        assert (note.line, "was not imported" in note.text) == (3, True)

    def test_terms_missing_elsewhere_are_not_other(self) -> None:
        head = "subject_id\tpredicate_id\tobject_id\tobject_source\n"
        line = "scene:a/abbey\tskos:exactMatch\tsssom:NoTermFound\t"
        assert read(f"{head}{line}wn30:\n", "sssom").rows == []
        assert read(f"{head}{line}\n", "sssom").rows[0].values["hashtag"] == "other"

    @pytest.mark.parametrize(
        "head",
        [
            "",
            "\ufeff",
            "#mapping_set_id: x\n",
            "\n",
            '#curie_map: {s: "urn:scenetag:class:"}\n',
            "# mapping_set_title: “a: b”: c\n#curie_map:\n#  s: urn:scenetag:class:\n",
        ],
    )
    def test_columns_may_be_in_any_order_below_any_header(self, head: str) -> None:
        subject = "s:a/abbey" if " s:" in head or "{s:" in head else "scene:a/abbey"
        text = f"{head}object_id\tpredicate_id\tsubject_id\nhashtag:art\tskos:broadMatch\t{subject}\n"
        assert detect(text) == "sssom"
        (row,) = read(text, "sssom").rows
        assert (row.key, row.values["hashtag"]) == ("a/abbey", "art")


def test_release_is_exported_unchanged(user_for: Callable[..., User]) -> None:
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    change_entry(entry_id=entry.pk, version=1, by=user_for("curator"), decision=Decision("art"))
    rows = {row.key: row.values["hashtag"] for row in export_rows(Release.objects.get(number=1))}
    assert rows["a/abbey"] == "church"
    assert len(rows) == 7


@pytest.mark.parametrize("kind", WRITERS)
def test_mapping_and_releases_can_be_downloaded(kind: str, client_for: Callable[..., Client]) -> None:
    response = client_for("viewer").get(f"/mapping/export/{kind}/?release=1")
    assert "attachment" in response["Content-Disposition"]
    assert "release-1" in response["Content-Disposition"]
    assert detect(response.content.decode("utf-8-sig")) == kind
    for number in "9", "9" * 5000, "-1":
        assert client_for("viewer").get(f"/mapping/export/{kind}/?release={number}").status_code == 404
    assert client_for("viewer").get("/mapping/export/xls/").status_code == 404


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("validator", 403)])
def test_download_needs_permission(client_for: Callable[..., Client], role: str, status: int) -> None:
    assert client_for(role).get("/mapping/export/csv/").status_code == status


def test_queries_do_not_grow_with_the_mapping(django_assert_num_queries: Any) -> None:
    def queries(text: str) -> None:
        with django_assert_num_queries(3):
            plan(read(text, "csv"))
        with django_assert_num_queries(1):
            to_csv(export_rows())

    queries("key\n" + "".join(f"x/{n}\n" for n in range(10)))
    tag = Hashtag.objects.get(name="art")
    classes = SceneClass.objects.bulk_create(SceneClass(key=f"z/{n}", name=str(n)) for n in range(200))
    MappingEntry.objects.bulk_create(
        MappingEntry(scene_class=row, hashtag=tag, status="imported") for row in classes
    )
    queries("key\n" + "".join(f"z/{n}\n" for n in range(200)))
