"""Making, showing, opening and closing campaigns; predicting their photos; the sample campaign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from hashtags_site import outages
from jobs.models import Job
from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote, picture
from trainer.engine.budget import DECODING
from trainer.models import Promotion, TrainedModel
from validation.campaigns import acts
from validation.models import Campaign, Photo, Prediction, Question, QuestionLease, Vote

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]
NEW = "/validation/campaigns/new/"


def upload(*seeds: int) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(f"{seed}.jpg", picture(seed), "image/jpeg") for seed in seeds]


def fields(model: TrainedModel, **more: Any) -> dict[str, Any]:
    return {"name": "Summer", "model": model.pk, "votes_per_photo": 3} | more


def test_admin_makes_a_campaign_from_uploads(model: TrainedModel, client_for: ClientFor) -> None:
    form = fields(model, uploads=upload(1, 2, 2), licence="CC0", source_url="https://example.org/album")
    response = client_for("admin").post(NEW, form)
    campaign = Campaign.objects.get()
    assert response["Location"] == f"/validation/campaigns/{campaign.pk}/"
    assert campaign.photos.count() == 2
    assert {photo.licence for photo in campaign.photos.all()} == {"CC0"}
    assert campaign.job is not None
    assert campaign.job.state == Job.State.QUEUED
    assert campaign.is_open


def test_active_model_is_proposed(model: TrainedModel, client_for: ClientFor) -> None:
    other = TrainedModel.objects.create(name="Newer, not promoted", manifest={"sha256": "1"})
    Promotion.objects.create(model=model)
    form = client_for("admin").get(NEW).context["form"]
    assert (form["model"].initial, other in form.fields["model"].queryset) == (model, True)


def test_one_bad_file_does_not_stop_the_rest(model: TrainedModel, client_for: ClientFor) -> None:
    files = [*upload(1), SimpleUploadedFile("<evil>.jpg", b"\x7fELF", "image/jpeg")]
    page = client_for("admin").post(NEW, fields(model, uploads=files), follow=True)
    assert Campaign.objects.get().photos.count() == 1
    assert b"Not taken in: &lt;evil&gt;.jpg: not a JPEG, PNG, WebP or HEIC photo" in page.content


def test_campaign_with_only_bad_files_is_not_created(model: TrainedModel, client_for: ClientFor) -> None:
    files = [SimpleUploadedFile("a.jpg", b"<svg/>", "image/jpeg")]
    page = client_for("admin").post(NEW, fields(model, uploads=files))
    assert page.status_code == 422
    assert b"a.jpg: not a JPEG, PNG, WebP or HEIC photo" in page.content
    assert not Campaign.objects.exists()
    assert not Photo.objects.exists()


def test_no_campaign_is_made_while_photos_cannot_be_opened(
    model: TrainedModel, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "PATIENCE", 0)
    client = client_for("admin")
    with DECODING.share(DECODING.size):
        page = client.post(NEW, fields(model, uploads=upload(1)))
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert "Too many photos are being opened" in page.content.decode()
    assert not Campaign.objects.exists()
    assert client.post(NEW, fields(model, uploads=upload(1))).status_code == 302


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, b"Choose photos to upload"),
        ({"name": ""}, b"This field is required"),
        ({"votes_per_photo": 0}, b"greater than or equal to 1"),
        ({"source_url": "javascript:alert(1)"}, b"Enter a valid URL"),
    ],
)
def test_errors_say_what_is_wrong(
    model: TrainedModel, client_for: ClientFor, change: dict[str, Any], words: bytes
) -> None:
    page = client_for("admin").post(NEW, fields(model, **change))
    assert (page.status_code, words in page.content) == (422, True)


def test_more_than_a_hundred_files_are_refused(model: TrainedModel, client_for: ClientFor) -> None:
    files = [SimpleUploadedFile(f"{n}.jpg", b"x", "image/jpeg") for n in range(101)]
    page = client_for("admin").post(NEW, fields(model, uploads=files))
    assert (page.status_code, b"more than 100 files" in page.content) == (422, True)


def test_repeated_click_makes_one_campaign(model: TrainedModel, client_for: ClientFor) -> None:
    client = client_for("admin")
    client.post(NEW, fields(model, uploads=upload(1)))
    again = client.post(NEW, fields(model, uploads=upload(1)))
    assert b"already exists" in again.content
    assert (Campaign.objects.count(), Job.objects.count(), Photo.objects.count()) == (1, 1, 1)


def test_campaign_can_use_the_photos_of_another(campaign: Campaign, client_for: ClientFor) -> None:
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    client_for("admin").post(NEW, fields(newer, photos_of=campaign.pk, uploads=upload(99)))
    assert Campaign.objects.get(name="Summer").photos.count() == 5


def test_without_a_model_the_page_says_what_to_do(client_for: ClientFor) -> None:
    assert b"No models yet" in client_for("admin").get(NEW).content


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("viewer", 403), ("curator", 403), ("validator", 403)]
)
def test_only_admins_change_campaigns(
    campaign: Campaign, client_for: ClientFor, role: str, status: int
) -> None:
    client, base = client_for(role), f"/validation/campaigns/{campaign.pk}"
    photo = campaign.photos.all()[0]
    assert client.get(NEW).status_code == status
    assert client.post(NEW, {"name": "x"}).status_code == status
    for path in (f"{base}/close/", f"{base}/open/", f"{base}/photos/{photo.pk}/withdraw/"):
        assert client.post(path).status_code == status
        assert client_for("admin").get(path).status_code == 405
    campaign.refresh_from_db()
    assert (campaign.is_open, campaign.photos.count()) == (True, 4)


def test_campaign_is_closed_and_opened_also_from_a_stale_page(
    campaign: Campaign, client_for: ClientFor
) -> None:
    client, base = client_for("admin"), f"/validation/campaigns/{campaign.pk}"
    assert b"is closed now" in client.post(f"{base}/close/", follow=True).content
    assert b"was closed already" in client.post(f"{base}/close/", follow=True).content
    assert b"is open now" in client.post(f"{base}/open/", follow=True).content


def test_withdraw_a_photo_keeps_its_votes(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    vote = vote_as(campaign, 0, "fits")
    client = client_for("admin")
    path = f"/validation/campaigns/{campaign.pk}/photos/{vote.photo_id}/withdraw/"
    assert b"is withdrawn" in client.post(path, follow=True).content
    assert b"was withdrawn already" in client.post(path, follow=True).content
    assert campaign.photos.count() == 3
    vote.refresh_from_db()


def test_campaign_page_shows_suggestions_silence_and_attribution(
    make_campaign: MakeCampaign, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar", None, None)
    content = client_for("viewer").get(f"/validation/campaigns/{campaign.pk}/").content.decode()
    assert content.count("#cafe</span>") == 2
    assert "CC BY 2.0" in content
    assert ("60\u00a0%" in content, "<span>unsure</span>" in content) == (True, True)
    assert "Withdraw" not in content
    silent = client_for("viewer").get(f"/validation/campaigns/{campaign.pk}/?show=silent").content.decode()
    assert silent.count("<figure>") == 2


def test_pages_ask_a_constant_number_of_queries(
    make_campaign: MakeCampaign,
    vote_as: MakeVote,
    client_for: ClientFor,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(path: str, role: str) -> int:
        client = client_for(role)
        client.get(path)
        with CaptureQueriesContext(
            connection,
        ) as queries_run:
            assert client.get(path).status_code == 200
        return len(queries_run)

    make_campaign("cafe", name="Shares a photo with the others")
    small = make_campaign(*["cafe"] * 6, name="A")
    vote_as(small, 0, "fits", "someone")
    paths = [
        ("/validation/campaigns/", "viewer"),
        (f"/validation/campaigns/{small.pk}/", "admin"),
        ("/validation/agreement/", "viewer"),
        (f"/validation/agreement/?campaign={small.pk}", "viewer"),
        ("/validation/agreement/photos/", "viewer"),
        ("/validation/vote/", "validator"),
        (f"/validation/vote/{small.pk}/", "validator"),
    ]
    before = [queries(*path) for path in paths]
    for name in "BCD":
        large = make_campaign(*["cafe", "bar", "sport"] * 5, None, name=name)
        for number in range(1, 12):
            vote_as(large, number, "fits", f"{name}{number % 3}") if name == "B" else None
    small.photos.add(*large.photos.all())
    assert [queries(*path) for path in paths] == before
    assert max(before) <= 33


@pytest.mark.parametrize("path", ["campaigns/", "agreement/", "agreement/photos/"])
def test_pages_closed_to_strangers_open_to_viewers(
    campaign: Campaign, client_for: ClientFor, path: str
) -> None:
    assert client_for("stranger").get(f"/validation/{path}").status_code == 302
    assert client_for("viewer").get(f"/validation/{path}").status_code == 200


def test_photo_files_are_private_and_kept_by_the_browser(campaign: Campaign, client_for: ClientFor) -> None:
    path = f"/validation/photos/{campaign.photos.all()[0].pk}.jpg"
    response = client_for("validator").get(path)
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert {"private", "max-age=86400"} == set(response["Cache-Control"].split(", "))
    assert b"".join(response.streaming_content)[:2] == b"\xff\xd8"  # type: ignore[attr-defined]
    assert client_for("stranger").get(path).status_code == 302
    assert client_for("nobody").get(path).status_code == 403
    assert client_for("validator").get("/validation/photos/987654.jpg").status_code == 404


def test_missing_export_fails_with_a_hint(
    hashtags: dict[str, Hashtag], campaign: Campaign, run_jobs: Callable[[], list[Job]]
) -> None:
    bare = TrainedModel.objects.create(name="Not exported")
    acts.create_campaign(name="Early", model=bare, photos=campaign.photos.all(), by=None)
    (job,) = run_jobs()
    assert job.state == Job.State.FAILED
    assert "has not been exported" in job.error
    assert job.hint


def test_a_campaign_needs_photos(model: TrainedModel) -> None:
    with pytest.raises(ValueError, match="at least one photo"):
        acts.create_campaign(name="Empty", model=model, photos=[], by=None)
    assert not Job.objects.exists()


def test_predicted_photos_are_not_predicted_again(
    campaign: Campaign, run_jobs: Callable[[], list[Job]]
) -> None:
    """Its model row has no network, so any prediction would fail: all predictions exist already."""
    acts.create_campaign(name="Again", model=campaign.predictor, photos=campaign.photos.all(), by=None)
    (job,) = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    assert Prediction.objects.count() == 4


# --- archive, delete, preview -----------------------------------------------------------------


def test_campaign_is_archived_closed_and_comes_back(campaign: Campaign, client_for: ClientFor) -> None:
    admin, path = client_for("admin"), f"/validation/campaigns/{campaign.pk}"
    for _ in range(2):
        assert b"nothing was deleted" in admin.post(f"{path}/archive/", follow=True).content
    campaign.refresh_from_db()
    assert (campaign.is_archived, campaign.takes_votes) == (True, False)
    assert b"Test" not in admin.get("/validation/campaigns/").content
    assert b"Test" in admin.get("/validation/campaigns/?archived=on").content
    admin.post(f"{path}/open/")
    campaign.refresh_from_db()
    assert (campaign.is_archived, campaign.takes_votes) == (False, True)


def test_deleting_a_campaign_lists_what_goes_and_keeps_votes(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    vote_as(campaign, 0, "fits")
    admin, path = client_for("admin"), f"/validation/campaigns/{campaign.pk}/delete/"
    page = admin.get(path)
    assert b"<b>3</b> questions" in page.content
    assert b"<b>1 vote</b> and all photos are kept" in page.content
    seen = page.context["belongings"].digest
    vote_as(campaign, 1, "fits")
    stale = admin.post(path, {"seen": seen})
    assert (stale.status_code, b"look at the list again" in stale.content) == (409, True)
    assert client_for("viewer").post(path, {"seen": seen}).status_code == 403
    seen = stale.context["belongings"].digest
    assert b"is deleted. Its votes" in admin.post(path, {"seen": seen}, follow=True).content
    assert b"deleted already" in admin.post(path, {"seen": seen}, follow=True).content
    assert (Vote.objects.count(), Photo.objects.count(), Question.objects.count()) == (2, 4, 0)


def test_preview_shows_a_question_and_takes_no_answer(campaign: Campaign, client_for: ClientFor) -> None:
    page = client_for("viewer").get(f"/validation/campaigns/{campaign.pk}/preview/")
    assert b"fit this photo?" in page.content
    assert b'<fieldset class="ballot-form" disabled>' in page.content
    assert not QuestionLease.objects.exists()


def test_campaign_page_says_when_it_is_finished(
    make_campaign: MakeCampaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    campaign = make_campaign("cafe", "bar", votes_per_photo=1, audience="link")
    admin, path = client_for("admin"), "/validation/campaigns/"
    vote_as(campaign, 0, "fits")
    page = admin.get(f"{path}{campaign.pk}/").content
    assert b"1 of 2 suggestions have enough votes" in page
    assert b'href="#invite">Invite people' in page
    vote_as(campaign, 1, "fits")
    page = admin.get(f"{path}{campaign.pk}/").content
    assert b"All 2 suggestions have enough votes" in page
    assert page.count(b"is-primary") == 1
    assert b"Read the result" in page


def test_form_of_a_campaign_shows_its_defaults(model: TrainedModel, client_for: ClientFor) -> None:
    form = client_for("admin").get("/validation/campaigns/new/").context["form"]
    shares = ("min_confidence", "audit_share", "gold_share", "control_share", "silence_share")
    assert [form[name].value() for name in (*shares, "would_post_share")] == ["0", "50", "8", "5", "5", "10"]
