"""Campaigns about authors' hashtags in the browser: mistakes, roles, repeated clicks, stale pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from jobs import work
from mapping.models import Hashtag
from tests.validation.conftest import picture, taken_in
from trainer.models import TrainedModel
from validation.models import AuthorHashtag, Campaign, Photo, Question

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hashtags")]
ClientFor = Callable[..., Client]
NEW = "/validation/campaigns/new/authors/"


def form(table: str = "", *seeds: int, **more: Any) -> dict[str, Any]:
    files = [SimpleUploadedFile(f"{seed}.jpg", picture(seed), "image/jpeg") for seed in seeds]
    fields = {"name": "Authors", "asks": "all", "votes_per_photo": 3, "uploads": files}
    if table:
        fields["table"] = SimpleUploadedFile("table.csv", table.encode(), "text/csv")
    return fields | more


def made(client: Client, **more: Any) -> Campaign:
    """A campaign of two photos whose job has run."""
    client.post(NEW, form("photo,author,hashtags\n1.jpg,Anna,#cafe love\n2.jpg,Ben,bar\n", 1, 2, **more))
    campaign = Campaign.objects.get(name="Authors")
    assert campaign.job
    assert work.do_here(job=campaign.job)
    return campaign


def test_a_table_dropped_with_the_photos_makes_a_campaign_without_any_model(client_for: ClientFor) -> None:
    client = client_for("admin")
    assert client.get(NEW).status_code == 200
    campaign = made(client)
    assert (campaign.kind, campaign.model) == ("authors", None)
    rows = AuthorHashtag.objects.order_by("name").values_list("photo__author", "name")
    assert list(rows) == [("Ben", "bar"), ("Anna", "cafe"), ("Anna", "love")]
    assert campaign.questions.filter(kind="author").count() == 2
    page = client.get(campaign.get_absolute_url()).content.decode()
    assert "0 of 2" in page
    assert "There are no known answers yet" in page
    assert "Authors also wrote 1 more that nobody is asked about" in page
    assert client.post(NEW, form("file,hashtags\n1.jpg,cafe\n", 1)).status_code == 422
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file,hashtags\n1.jpg,cafe\nno.jpg,bar\n", "not among the photos: “no.jpg”. Nothing was taken in."),
        ("file,mood\n1.jpg,good\n", "Unknown columns: mood"),
        ("file,hashtags\n1.jpg,cafe\n1.JPG,bar\n", "Several rows may be about"),
        ("file,hashtags\n1.jpg,\n", "No photo carries a hashtag of its author"),
    ],
)
def test_a_wrong_table_is_named_and_makes_no_campaign(client_for: ClientFor, table: str, words: str) -> None:
    names = [SimpleUploadedFile("1.JPG" if "JPG" in table else "1.jpg", picture(1), "image/jpeg")]
    if "JPG" in table:
        names = [SimpleUploadedFile("1.Jpg", picture(1), "image/jpeg")]
    page = client_for("admin").post(NEW, form(table) | {"uploads": names})
    assert page.status_code == 422
    assert words in page.content.decode()
    assert not Campaign.objects.exists()
    assert Photo.objects.exists() == (words.startswith("No photo"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"asks": "doubted"}, "Choose the model whose check doubts"),
        ({"asks": "audit", "asked_share": 0}, "With 0 % nobody would be asked"),
        ({"asks": "some"}, "Select a valid choice"),
    ],
)
def test_a_rule_that_asks_nothing_is_refused(
    client_for: ClientFor, change: dict[str, Any], words: str
) -> None:
    page = client_for("admin").post(NEW, form("file,hashtags\n1.jpg,cafe\n", 1, **change))
    assert (page.status_code, words in page.content.decode()) == (422, True)


def test_only_models_that_check_are_offered(model: TrainedModel, client_for: ClientFor) -> None:
    assert not client_for("admin").get(NEW).context["form"].fields["model"].queryset.exists()


def test_photos_taken_in_before_bring_their_hashtags_and_others_are_left_out(client_for: ClientFor) -> None:
    AuthorHashtag.objects.create(photo=taken_in(1), name="cafe")
    taken_in(2)
    page = client_for("admin").post(f"{NEW}?unused=on", form(), follow=True)
    assert "Left out, because no hashtag of their author is known: “2.jpg”" in page.content.decode()
    assert Campaign.objects.get().photos.count() == 1


def test_voters_read_that_the_author_wrote_it_and_never_a_verdict(client_for: ClientFor) -> None:
    campaign = made(client_for("admin"), gold_share=0)
    campaign.posted.update(verdict="does_not_fit", probability=0.0625)
    page = client_for("validator").get(f"/validation/vote/{campaign.pk}/").content.decode()
    assert "The author wrote" in page
    assert "Does it fit?" in page
    assert "does_not_fit" in page  # the answer's own value
    assert "0.0625" not in page
    preview = client_for("admin").get(f"{campaign.get_absolute_url()}preview/").content.decode()
    assert "The author wrote" in preview


def test_rules_are_changed_and_a_stale_page_is_refused(client_for: ClientFor) -> None:
    client = client_for("admin")
    campaign = made(client)
    url = f"{campaign.get_absolute_url()}rules/"
    rules = {"name": "Authors", "votes_per_photo": 5, "gold_share": 8, "audience": "members"}
    rules["seen"] = client.get(url).context["seen"]
    assert client.post(url, rules | {"asks": "audit"}).status_code == 302
    assert set(Question.objects.values_list("needed", flat=True)) == {5}
    campaign.refresh_from_db()
    assert campaign.asks == "all"
    assert "Somebody else changed the rules" in client.post(url, rules).content.decode()


def test_authors_are_listed_with_what_people_said(client_for: ClientFor) -> None:
    client = client_for("admin")
    campaign = made(client)
    campaign.questions.filter(hashtag__name="bar").update(does_not_fit=3, is_done=True)
    rows = client.get(f"{campaign.get_absolute_url()}authors/").context["page"]
    assert [(row.name, row.misfits, row.judged) for row in rows] == [("Ben", 1, 1), ("Anna", 0, 0)]
    text = client.get(f"{campaign.get_absolute_url()}authors.csv").getvalue().decode()
    assert text.splitlines()[1] == "Ben,1,1,1,1,0,0,0"
    assert client_for("viewer").get(f"{campaign.get_absolute_url()}authors/").status_code == 403
    assert client_for("viewer").get(campaign.get_absolute_url()).status_code == 200


def test_pages_about_a_models_suggestions_do_not_take_it(client_for: ClientFor) -> None:
    client = client_for("admin")
    campaign = made(client)
    page = client.get(f"/validation/agreement/?campaign={campaign.pk}")
    assert page["Location"] == campaign.get_absolute_url()
    for part in ("mend", "models", "thresholds"):
        assert client.get(f"/validation/agreement/{campaign.pk}/{part}/").status_code == 404
    assert client.post(f"{campaign.get_absolute_url()}publish/").status_code == 404
    assert client.get(f"{campaign.get_absolute_url()}agreement.svg").status_code == 404
    share = client.get(f"{campaign.get_absolute_url()}share/").content.decode()
    assert "votes.json" in share
    assert "Public page" not in share
    exported = client.get(f"{campaign.get_absolute_url()}votes.json").getvalue()
    assert b'"kind": "authors"' in exported


def test_nobody_else_may_make_one(client_for: ClientFor) -> None:
    for role in ("curator", "viewer", "validator"):
        assert client_for(role).post(NEW, form("file,hashtags\n1.jpg,cafe\n", 1)).status_code == 403
    assert Client().post(NEW, form())["Location"].startswith("/login/")
    assert not Photo.objects.exists()
    assert Hashtag.objects.count() == 3
