"""Import: a preview, then all or nothing; importing again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from mapping.acts import Decision, change_entry, undo_change
from mapping.files.exchange import detect, read
from mapping.files.importing import PlanHasProblems, PlanMoved, apply, plan
from mapping.models import Change, MappingEntry, Opinion, SceneClass
from mapping.opinions.opinions import start_opinion

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]
UserFor = Callable[..., User]
TWO = "raw_name,hashtag,sense\n/a/abbey,art,\n/f/fountain,,fountain.n.01\n"


def entry(key: str) -> MappingEntry:
    return MappingEntry.objects.select_related("hashtag", "change").get(scene_class__key=key)


def snapshot() -> list[Any]:
    """Everything that an import could change."""
    return [
        list(SceneClass.objects.values_list("key", "name", "name_ru", "level1", "level2")),
        list(MappingEntry.everywhere.values_list("pk", "hashtag", "sense", "status", "version", "note")),
        MappingEntry.history.count(),
        Change.objects.count(),
    ]


def do(text: str, user: User) -> Change | None:
    class_list = read(text, detect(text))
    return apply(class_list=class_list, seen=plan(class_list).fingerprint, by=user)


def upload(client: Client, text: str | bytes) -> str:
    """The address of the preview."""
    content = text.encode() if isinstance(text, str) else text
    response = client.post("/mapping/import/", {"file": SimpleUploadedFile("a.csv", content)})
    assert response.status_code == 302, response.content
    return str(response["Location"])


@pytest.mark.postgres
class TestApplying:
    def test_import_of_new_and_changed_classes_is_one_act(self, user_for: UserFor) -> None:
        change = do(TWO, user_for("curator"))
        assert change is not None
        assert (change.action, len(change.before)) == ("import", 2)
        abbey, fountain = entry("a/abbey"), entry("f/fountain")
        assert (abbey.label, abbey.status, abbey.sense, abbey.version) == ("art", "imported", "", 2)
        assert (fountain.label, fountain.sense, fountain.synset) == (None, "fountain.n.01", "fountain")
        assert fountain.scene_class.name == "fountain"
        newest = abbey.history.first()
        assert (newest.history_user.username, newest.history_change_reason) == ("curator", "imported")
        assert fountain.history.count() == 1

    def test_folder_in_front_of_known_classes_is_removed(self) -> None:
        for text in "key\nset/a/abbey\nset/n/new\n", "set/a/abbey\nset/n/new\n":
            import_plan = plan(read(text, detect(text)))
            assert [(item.key, item.kind) for item in import_plan.items] == [
                ("a/abbey", "same"),
                ("n/new", "new"),
            ]
            assert any("“set/”" in note.text for note in import_plan.notes)
        assert [item.key for item in plan(read("key\nset/n/new\n", "csv")).items] == ["set/n/new"]

    def test_capitals_and_signs_of_other_tools_are_understood(self, user_for: UserFor) -> None:
        do("KEY,#HashTag,Status\nA/Abbey,#Art,Confirmed\n", user_for("curator"))
        assert (entry("a/abbey").label, entry("a/abbey").status) == ("art", "confirmed")

    def test_import_is_undone_as_one_act(self, user_for: UserFor) -> None:
        change = do("key,hashtag\na/abbey,art\nf/fountain,art\n", user_for("curator"))
        assert change is not None
        undo_change(change_id=change.pk, by=user_for("curator"))
        assert (entry("a/abbey").label, entry("a/abbey").sense) == ("church", "abbey.n.01")
        assert (entry("f/fountain").label, entry("f/fountain").status) == (None, "undecided")

    def test_second_import_changes_nothing(self, user_for: UserFor) -> None:
        do(TWO, user_for("curator"))
        before = snapshot()
        assert do(TWO, user_for("curator")) is None
        assert snapshot() == before

    def test_problem_in_row_300_stops_the_import(self, user_for: UserFor) -> None:
        rows = [f"n/new_{number},art" for number in range(400)]
        rows[298] = "n/new_298,nonsense"
        before = snapshot()
        class_list = read("key,hashtag\n" + "\n".join(rows), "csv")
        import_plan = plan(class_list)
        assert [(p.line, p.field) for p in import_plan.problems] == [(300, "hashtag")]
        with pytest.raises(PlanHasProblems):
            apply(class_list=class_list, seen=import_plan.fingerprint, by=user_for("curator"))
        assert snapshot() == before

    def test_failure_in_the_middle_saves_nothing(
        self, user_for: UserFor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise OSError

        before = snapshot()
        monkeypatch.setattr("mapping.files.importing.write_entries", fail)
        with pytest.raises(OSError):  # noqa: PT011
            do(TWO, user_for("curator"))
        assert snapshot() == before

    def test_change_after_the_plan_stops_the_import(self, user_for: UserFor) -> None:
        class_list = read(TWO, "csv")
        fingerprint = plan(class_list).fingerprint
        change_entry(
            entry_id=entry("a/abbey").pk, version=1, by=user_for("curator", "ann"), decision=Decision("sport")
        )
        with pytest.raises(PlanMoved):
            apply(class_list=class_list, seen=fingerprint, by=user_for("curator"))
        assert entry("a/abbey").label == "sport"
        assert not SceneClass.objects.filter(key="f/fountain").exists()

    def test_import_of_names_creates_no_act(self, user_for: UserFor) -> None:
        do("key,name_ru\na/abbey,аббатство\n", user_for("curator"))
        assert entry("a/abbey").scene_class.name_ru == "аббатство"
        assert (entry("a/abbey").version, Change.objects.count()) == (1, 0)

    def test_import_adds_new_classes_to_opinions(self, user_for: UserFor) -> None:
        opinion = start_opinion(name="mine", by=user_for("curator"))
        do("/f/fountain\n/g/garage\n", user_for("curator"))
        assert MappingEntry.everywhere.filter(opinion=opinion).count() == 9
        assert Opinion.objects.count() == 1


class TestRules:
    @pytest.fixture(autouse=True)
    def _confirmed(self, few: None, user_for: UserFor) -> None:
        change_entry(
            entry_id=entry("b/beach").pk,
            version=1,
            by=user_for("curator"),
            decision=Decision("beach", sense="beach.n.01", note="sand"),
        )

    @pytest.mark.parametrize(
        ("text", "after"),
        [
            ("key,hashtag\nb/beach,beach\n", ("beach", "confirmed", "sand")),
            ("key,hashtag,status\nb/beach,beach,imported\n", ("beach", "confirmed", "sand")),
            ("key,hashtag,status\nb/beach,,undecided\n", ("beach", "confirmed", "sand")),
            ("key,hashtag\nb/beach,\n", ("beach", "confirmed", "sand")),
            ("/b/beach\n", ("beach", "confirmed", "sand")),
            ("key,hashtag\nb/beach,#art\n", ("art", "imported", "sand")),
            ("key,hashtag,status\nb/beach,other,confirmed\n", ("other", "confirmed", "sand")),
            ("key,hashtag,note\nb/beach,beach,\n", ("beach", "imported", "")),
            ("key,note\nb/beach,stones\n", ("beach", "confirmed", "stones")),
        ],
    )
    def test_import_removes_no_answer(
        self, text: str, after: tuple[str, str, str], user_for: UserFor
    ) -> None:
        do(text, user_for("curator"))
        beach = entry("b/beach")
        assert (beach.label, beach.status, beach.note) == after
        assert do(text, user_for("curator")) is None

    def test_imagenet_ids_give_senses(self, user_for: UserFor) -> None:
        do("n01440764 tench, Tinca tinca\nn04081281\n", user_for("curator"))
        assert (entry("n01440764").sense, entry("n01440764").scene_class.name) == ("tench.n.01", "tench")
        assert (entry("n04081281").sense, entry("n04081281").scene_class.name) == (
            "restaurant.n.01",
            "restaurant",
        )

    def test_a_class_spelled_with_hyphens_is_the_one_we_have(self) -> None:
        [item] = plan(read("key,hashtag\nS/Shoe-Shop,art\n", "csv")).items
        assert (item.key, item.kind) == ("s/shoe_shop", "changed")

    @pytest.mark.parametrize(
        ("row", "field", "words"),
        [
            (",art,,,", "key", "it is empty"),
            (f"{'x' * 101},art,,,", "key", "101 characters; at most 100"),
            ("../../etc/passwd,art,,,", "key", "points outside its folder"),
            ("a/b\x07,art,,,", "key", "control character"),
            ("f/fountain,nonsense,,,", "hashtag", "“nonsense” is not a known hashtag"),
            ("f/fountain,art,done,,", "status", "“done” is not one of"),
            ("f/fountain,,confirmed,,", "status", "does not match"),
            ("f/fountain,art,undecided,,", "status", "does not match"),
            ("f/fountain,art,,fountain.n.99,", "sense", "no noun sense “fountain.n.99”"),
            (f"f/fountain,art,,,{'n' * 501}", "note", "501 characters; at most 500"),
            ("A\\Abbey,art,,,", "key", "a/abbey is already in line 2"),
        ],
    )
    def test_problem_names_row_and_field(self, row: str, field: str, words: str) -> None:
        text = f"key,hashtag,status,sense,note\na/abbey,art,,,\n{row}\n"
        (problem,) = plan(read(text, "csv")).problems
        assert (problem.line, problem.field) == (3, field)
        assert words in problem.text


class TestPages:
    def test_preview_shows_the_plan_and_writes_nothing(self, client_for: ClientFor) -> None:
        before = snapshot()
        client = client_for("curator")
        response = client.get(upload(client, TWO))
        assert response.context["counts"] == {"new": 1, "changed": 1, "same": 0, "kept": 0}
        assert b"Import 2 classes" in response.content
        assert snapshot() == before

    def test_repeated_click_imports_once(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        address = upload(client, TWO)
        form = {"kind": "csv", "seen": client.get(address).context["plan"].fingerprint}
        assert b"Imported: answers of 2 classes" in client.post(address, form, follow=True).content
        again = client.post(address, form, follow=True)
        assert b"Nothing was changed" in again.content
        assert (entry("a/abbey").label, Change.objects.count()) == ("art", 1)

    def test_stale_preview_is_replaced_by_a_new_one(self, client_for: ClientFor, user_for: UserFor) -> None:
        client = client_for("curator", "bob")
        address = upload(client, TWO)
        fingerprint = client.get(address).context["plan"].fingerprint
        change_entry(
            entry_id=entry("a/abbey").pk, version=1, by=user_for("curator", "ann"), decision=Decision("sport")
        )
        response = client.post(address, {"kind": "csv", "seen": fingerprint})
        assert (response.status_code, entry("a/abbey").label) == (409, "sport")
        assert b"changed while you were reading" in response.content
        form = {"kind": "csv", "seen": response.context["plan"].fingerprint}
        assert client.post(address, form).status_code == 302
        assert entry("a/abbey").label == "art"

    def test_pasted_text_can_be_read_as_another_kind(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        address = client.post("/mapping/import/", {"text": "/f/fountain 1\n/g/garage 2\n"})["Location"]
        assert client.get(address).context["kind"] == "places365"
        assert "is not an id like" in client.get(f"{address}?kind=imagenet").content.decode()
        assert client.get(f"{address}?kind=nonsense").status_code == 404

    def test_preview_with_problems_has_no_button(self, client_for: ClientFor) -> None:
        client = client_for("curator")
        address = upload(client, "key,hashtag\n<script>alert(1)</script>,nonsense\n")
        page = client.get(address).content.decode()
        assert "“nonsense” is not a known hashtag" in page
        assert "<script>alert" not in page
        assert '<button class="button is-primary">Import' not in page
        assert client.post(address, {"kind": "csv", "seen": ""}).status_code == 400
        assert not SceneClass.objects.filter(key__contains="script").exists()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "contains no class"),
            ("key,name_ru\na,б\n".encode("cp1251"), "not UTF-8"),
            (b"\x89PNG\0\0", "not UTF-8"),
        ],
    )
    def test_file_without_readable_text_is_refused(
        self, client_for: ClientFor, content: bytes, words: str
    ) -> None:
        client = client_for("curator")
        response = client.post(
            "/mapping/import/", {"file": SimpleUploadedFile("x", content or b" ")}, follow=True
        )
        assert words in response.content.decode()

    def test_missing_and_too_large_files_are_refused(
        self, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = client_for("curator")
        assert b"Choose a file" in client.post("/mapping/import/", {}).content
        monkeypatch.setattr("mapping.views.exchange.MAX_BYTES", 2**20)
        response = client.post("/mapping/import/", {"file": SimpleUploadedFile("x", b"a" * (2**20 + 1))})
        assert (response.status_code, b"larger than 1 MB" in response.content) == (400, True)

    def test_upload_is_visible_only_to_its_owner(self, client_for: ClientFor) -> None:
        address = upload(client_for("curator", "ann"), TWO)
        response = client_for("curator", "bob").get(address, follow=True)
        assert b"has expired" in response.content

    @pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
    def test_only_curators_import(self, client_for: ClientFor, role: str, status: int) -> None:
        client = client_for(role)
        assert client.post("/mapping/import/", {"text": "/f/fountain"}).status_code == status
        assert client.get("/mapping/import/abc/").status_code == status
        assert client.post("/mapping/import/abc/", {"kind": "csv", "seen": ""}).status_code == status
        assert not Change.objects.exists()

    def test_viewer_can_export_but_not_import(self, client_for: ClientFor) -> None:
        page = client_for("viewer").get("/mapping/exchange/").content
        assert b"Export SSSOM" in page
        assert b"id_file" not in page


class TestCommand:
    def test_command_imports_the_folders_of_photos(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a/abbey/1.jpg", "f/fountain/2.JPG", "f/fountain/3.jpg", "f/notes/read.me"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        call_command("import_mapping", str(tmp_path), dry_run=True)
        assert not SceneClass.objects.filter(key="f/fountain").exists()
        call_command("import_mapping", str(tmp_path))
        assert "Imported: 1 new, 0 changed, 1 same, 0 kept." in capsys.readouterr().out
        assert SceneClass.objects.count() == 8

    def test_two_spellings_are_one_class_and_what_is_none_is_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        photos = tmp_path / "photos"
        for name in (
            "photos/a/abbey/1.jpg",
            "photos/A/Abbey/2.jpg",
            "photos/_other/pets/3.jpg",
            "real/4.jpg",
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (photos / "f").mkdir()
        (photos / "f/fountain").symlink_to(tmp_path / "real")
        call_command("import_mapping", str(photos))
        out = capsys.readouterr().out
        assert "f/fountain: link to a folder: links are not followed" in out
        assert "Imported: 0 new, 0 changed, 1 same, 0 kept." in out
        with pytest.raises(CommandError, match=r"no folders with photos\. fountain: link to a folder"):
            call_command("import_mapping", str(photos / "f"))

    def test_problems_are_listed_and_nothing_is_imported(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "a.csv"
        file.write_text("key,hashtag\na/abbey,art\nb/beach,nonsense\n")
        with pytest.raises(CommandError, match="1 problems"):
            call_command("import_mapping", str(file))
        assert "row 3, hashtag: “nonsense” is not a known hashtag" in capsys.readouterr().err
        assert entry("a/abbey").label == "church"

    def test_unknown_file_or_user_is_an_error(self, tmp_path: Path) -> None:
        for arguments in ([str(tmp_path / "none")], [str(tmp_path)], [str(tmp_path), "--by", "nobody"]):
            with pytest.raises(CommandError):
                call_command("import_mapping", *arguments)
