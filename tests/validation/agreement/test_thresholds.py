"""Thresholds from a campaign's votes: looked at, taken over as a new version, promoted, rolled back."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client

from formats.json_text import to_json
from mapping.hashtags import block
from mapping.models import Hashtag
from tests.trainer.conftest import _own_folders, model_for, tiny_model  # noqa: F401
from trainer.models import TrainedModel
from trainer.registry import packages, promotion, serving
from trainer.registry.promises import promise_of
from validation.agreement import takeover
from validation.agreement.thresholds import Proposal, Wish, propose
from validation.campaigns.counts import recount
from validation.models import Campaign, Participation, Photo, Prediction, Question, Vote
from validation.people import crowd

ClientFor = Callable[..., Client]
UserFor = Callable[..., User]
Answers = Sequence[tuple[str, float, str]]  # hashtag, confidence, what the one voter said


@pytest.fixture
def tags(db: None) -> dict[str, Hashtag]:
    names = ("beach", "bar")
    rows = Hashtag.objects.bulk_create([Hashtag(name=name, posts=10**8) for name in names])
    return {row.name: row for row in rows}


@pytest.fixture
def judged(tiny_model: TrainedModel, tags: dict[str, Hashtag], user_for: UserFor) -> Callable[..., Campaign]:  # noqa: F811
    """A campaign of the model of colours (#beach from 0.5 on, #bar never) whose photos one person judged."""

    def make(*parts: tuple[int, str, float, str], silent: int = 0, **rules: Any) -> Campaign:
        """Parts: how many photos, hashtag, confidence, and what was answered; the last ones are silent."""
        file = tiny_model.folder / "model.onnx"
        tiny_model.manifest["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        tiny_model.save()
        campaign = Campaign.objects.create(name="People", model=tiny_model, votes_per_photo=1, **rules)
        rows = [part[1:] for part in parts for _ in range(part[0])]
        photos = Photo.objects.bulk_create(
            Photo(sha256=f"{at:064x}", file=f"{at}.jpg", name=f"{at}.jpg", width=9, height=9)
            for at in range(len(rows))
        )
        campaign.photos.add(*photos)
        ranks = np.random.default_rng(1).permutation(len(rows)) / max(1, len(rows))
        person, last = user_for("validator", "Eve"), len(rows) - silent
        predictions, questions, votes = [], [], []
        for at, (photo, (name, confidence, answer)) in enumerate(zip(photos, rows, strict=True)):
            pair = {"photo": photo, "hashtag": tags[name]}
            said = {"hashtag": tags[name]} if at < last else {"hashtag": None, "reason": "unsure"}
            predictions.append(
                Prediction(
                    photo=photo, model=tiny_model, confidence=confidence,
                    candidates=[[name, confidence]], **said,
                )
            )  # fmt: skip
            questions.append(
                Question(
                    campaign=campaign, kind="suggestion" if at < last else "silence", confidence=confidence,
                    rank=ranks[at], needed=1, stream="audit" if answer else "", **pair,
                )
            )  # fmt: skip
            if answer:
                votes.append(Vote(person=person, campaign=campaign, answer=answer, **pair))
        Prediction.objects.bulk_create(predictions)
        Question.objects.bulk_create(questions)
        Vote.objects.bulk_create(votes)
        if votes:
            Participation.objects.create(person=person, campaign=campaign, fits=len(votes))
        recount(Vote.objects.values_list("photo_id", "hashtag_id"))
        return campaign

    return make


def of(campaign: Campaign, **wish: Any) -> Proposal:
    return propose(campaign=campaign, wish=Wish(**wish))


def taken_over(campaign: Campaign, **wish: Any) -> TrainedModel:
    return takeover.take_over(campaign=campaign, wish=Wish(**wish), seen=of(campaign, **wish).digest, by=None)


def path_of(campaign: Campaign) -> str:
    return f"/validation/agreement/{campaign.pk}/thresholds/"


def seen_on(page: str) -> str:
    match = re.search(r'name="seen" value="(\w+)"', page)
    assert match
    return match[1]


GOOD = ((100, "beach", 0.9, "fits"), (10, "beach", 0.6, "fits"), (30, "beach", 0.6, "does_not_fit"))


# --- what the votes say ---


@pytest.mark.postgres
def test_votes_raise_the_threshold_and_the_page_says_what_changes(
    judged: Callable[..., Campaign], client_for: ClientFor
) -> None:
    campaign = judged(*GOOD)
    proposal = of(campaign)
    assert proposal.thresholds == {"beach": pytest.approx(0.9, abs=1e-4), "bar": 1.01}
    assert (proposal.coverage_now, proposal.coverage_new) == (1.0, 100 / 140)
    page = client_for("viewer").get(path_of(campaign)).content.decode()
    assert (
        "At most 1 in 10 suggestions is wrong, 95\u00a0% sure, on photos like those of the campaign “People”"
        in page
    )
    assert "140 photos judged by 1 person" in page
    assert "100\u00a0% → 71\u00a0%" in page
    assert "Take over" not in page  # a viewer may not


@pytest.mark.postgres
def test_ties_skips_and_one_odd_answer_count_against_the_hashtag(
    judged: Callable[..., Campaign], user_for: UserFor, tags: dict[str, Hashtag]
) -> None:
    campaign = judged((60, "beach", 0.9, "fits"), (3, "beach", 0.9, "skip"))
    row = next(row for row in of(campaign).rows if row.hashtag == "beach")
    assert (row.judged, row.fitting) == (63, 60)
    photo = campaign.photos.order_by("pk")[0]
    other = user_for("validator", "Odd")
    Vote.objects.create(photo=photo, hashtag=tags["beach"], person=other, answer="does_not_fit")
    recount([(photo.pk, tags["beach"].pk)])
    row = next(row for row in of(campaign).rows if row.hashtag == "beach")
    assert (row.judged, row.fitting) == (63, 59)


@pytest.mark.postgres
def test_only_photos_before_the_first_unasked_one_count(judged: Callable[..., Campaign]) -> None:
    campaign = judged((80, "beach", 0.9, "fits"), (1, "beach", 0.9, ""))
    Question.objects.filter(stream="").update(rank=0.5)
    proposal = of(campaign)
    below = Question.objects.filter(rank__lt=0.5).count()
    assert (proposal.judged, proposal.left_out) == (below, 80 - below)


@pytest.mark.postgres
def test_a_question_without_a_counting_vote_says_nothing(
    judged: Callable[..., Campaign], user_for: UserFor
) -> None:
    """It was handed out, or answered by somebody whose votes are set aside."""
    campaign = judged(*GOOD)
    Question.objects.filter(confidence=0.6).update(stream="active")
    crowd.set_aside(person=user_for("validator", "Eve"), by=user_for("admin"))
    proposal = of(campaign)
    assert (proposal.judged, proposal.evidence.people) == (0, 0)
    assert proposal.refusal
    crowd.bring_back(person=user_for("validator", "Eve"), by=user_for("admin"))
    assert of(campaign).judged == 140


@pytest.mark.postgres
def test_no_votes_say_how_many_are_needed(judged: Callable[..., Campaign], client_for: ClientFor) -> None:
    campaign = judged((5, "beach", 0.9, ""))
    page = client_for("admin").get(path_of(campaign)).content.decode()
    assert "61 more photos that count are needed" in page
    assert "It cannot be taken over. Nothing can be promised yet." in page
    assert "<figure" not in page


@pytest.mark.postgres
def test_one_hashtag_of_each_falls_silent(judged: Callable[..., Campaign]) -> None:
    campaign = judged((150, "beach", 0.9, "fits"), (70, "bar", 0.9, "fits"), (50, "bar", 0.9, "does_not_fit"))
    TrainedModel.objects.update(
        manifest=campaign.predictor.manifest | {"thresholds": {"beach": 0.5, "bar": 0.5}}
    )
    proposal = of(Campaign.objects.get(), kind="each")
    assert proposal.thresholds == {"beach": 0.5, "bar": 1.01}
    assert [row.hashtag for row in proposal.falling_silent] == ["bar"]
    assert proposal.coverage_new == pytest.approx(150 / 270)


@pytest.mark.postgres
def test_a_blocked_hashtag_is_not_asked_about_and_stays_silent(
    judged: Callable[..., Campaign], user_for: UserFor, tags: dict[str, Hashtag]
) -> None:
    campaign = judged((100, "beach", 0.9, "fits"), (100, "bar", 0.9, "fits"))
    assert of(campaign).judged == 200
    block(hashtag_id=tags["beach"].pk, why="a test", by=user_for("curator"))
    proposal = of(campaign)
    assert (proposal.judged, proposal.thresholds["beach"]) == (100, 1.01)
    assert [row.hashtag for row in proposal.rows if not row.is_asked] == ["beach"]


@pytest.mark.postgres
def test_silent_photos_that_fit_lower_a_threshold(judged: Callable[..., Campaign]) -> None:
    parts = (100, "beach", 0.9, "fits"), (70, "beach", 0.45, "fits"), (20, "beach", 0.3, "does_not_fit")
    campaign = judged(*parts, silent=90)
    proposal = of(campaign)
    assert proposal.thresholds["beach"] == pytest.approx(0.45, abs=1e-4)
    assert (proposal.coverage_now, proposal.coverage_new) == (100 / 190, 170 / 190)
    assert [row.hashtag for row in proposal.lowered] == ["bar", "beach"]
    Campaign.objects.update(min_confidence=0.2)  # then what lies between was not asked about
    assert of(Campaign.objects.get()).thresholds["beach"] == 0.5


@pytest.mark.postgres
def test_a_silent_hashtag_that_was_not_the_likeliest_label_lowers_nothing(
    judged: Callable[..., Campaign],
) -> None:
    campaign = judged((100, "beach", 0.9, "fits"), (70, "beach", 0.45, "fits"), silent=70)
    Prediction.objects.filter(hashtag=None).update(candidates=[["other", 0.5], ["beach", 0.45]])
    assert of(campaign).thresholds["beach"] == 0.5


@pytest.mark.postgres
def test_the_page_takes_a_constant_number_of_queries(
    judged: Callable[..., Campaign], client_for: ClientFor, django_assert_max_num_queries: Any
) -> None:
    campaign = judged(*GOOD)
    client = client_for("admin")
    client.get(path_of(campaign))
    with django_assert_max_num_queries(30):
        client.get(path_of(campaign))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("target=101", "less than or equal to 99"),
        ("target=x", "Enter a whole number"),
        ("kind=some", "not one of the available choices"),
        ("confidence=50", "not one of the available choices"),
    ],
)
def test_a_wrong_wish_is_refused_by_name(
    judged: Callable[..., Campaign], client_for: ClientFor, query: str, words: str
) -> None:
    campaign = judged(*GOOD)
    client = client_for("admin")
    assert words in client.get(f"{path_of(campaign)}?{query}").content.decode()
    name, value = query.split("=")
    answer = client.post(f"{path_of(campaign)}take-over/", {name: value, "seen": of(campaign).digest})
    assert (answer.status_code, TrainedModel.objects.count()) == (422, 1)
    assert words in answer.content.decode()


def test_the_curve_is_a_file(judged: Callable[..., Campaign], client_for: ClientFor) -> None:
    campaign = judged(*GOOD)
    client = client_for("viewer")
    page = client.get(f"{path_of(campaign)}?curve=beach").content.decode()
    assert "Agreement by coverage, #beach" in page
    table = client.get(f"{path_of(campaign)}risk-coverage.csv?curve=beach").content.decode()
    assert "lower 95\u00a0% bound" in table.splitlines()[0]
    assert len(table.splitlines()) == 4  # 100 of 140, all, and the ends of the target's line
    assert client.get(f"{path_of(campaign)}risk-coverage.svg").content.startswith(b"<svg")
    assert client.get(f"{path_of(campaign)}risk-coverage.pdf").status_code == 404


# --- taking over ---


@pytest.mark.postgres
def test_an_admin_takes_over_promotes_and_rolls_back(
    judged: Callable[..., Campaign], client_for: ClientFor
) -> None:
    campaign = judged(*GOOD)
    promotion.promote(model=campaign.predictor, by=None)
    client = client_for("admin")
    seen = seen_on(client.get(path_of(campaign)).content.decode())
    answer = client.post(f"{path_of(campaign)}take-over/", {"seen": seen})
    model = TrainedModel.objects.exclude(pk=campaign.predictor.pk).get()
    assert answer.headers["Location"] == model.get_absolute_url()
    assert (model.derived_from, model.promise, model.target_precision) == (campaign.model, "overall", 0.9)
    assert serving.active_model() == campaign.model  # not promoted by itself
    page = client.get(model.get_absolute_url()).content.decode()
    assert "on photos like those of the campaign “People”" in page
    assert "the votes of the campaign “People”" in page
    assert "140 photos judged by 1 person until " in model.card
    assert "71\u00a0% of the campaign&#x27;s" in page or "71\u00a0% of the campaign's" in page
    promotion.promote(model=model, by=None)
    assert promotion.roll_back(by=None).model == campaign.model
    Campaign.objects.update(name="People, renamed")
    campaign.refresh_from_db()
    namesake = Campaign.objects.create(name="People", model=campaign.model)
    assert (takeover.versions(campaign), takeover.versions(namesake)) == ([model], [])
    assert model.name in client.get(path_of(campaign)).content.decode()
    del model.manifest["promise"]["base"]["campaign_id"]  # as those made before campaigns' ids were kept
    model.save()
    assert (takeover.versions(campaign), takeover.versions(namesake)) == ([], [model])


@pytest.mark.postgres
def test_a_repeated_click_gives_the_same_version(
    judged: Callable[..., Campaign], client_for: ClientFor
) -> None:
    campaign = judged(*GOOD)
    client, seen = client_for("admin"), of(campaign).digest
    answers = [client.post(f"{path_of(campaign)}take-over/", {"seen": seen}) for _ in range(2)]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert TrainedModel.objects.count() == 2
    assert taken_over(campaign, target=0.85) != taken_over(campaign)


@pytest.mark.postgres
def test_votes_that_came_or_went_make_the_page_stale(
    judged: Callable[..., Campaign], client_for: ClientFor, tags: dict[str, Hashtag]
) -> None:
    campaign = judged(*GOOD)
    client, seen = client_for("admin"), of(campaign).digest
    vote = Vote.objects.filter(photo__questions__confidence=0.9).first()
    assert vote
    Vote.objects.filter(pk=vote.pk).update(answer="does_not_fit")
    recount([(vote.photo_id, vote.hashtag_id)])
    answer = client.post(f"{path_of(campaign)}take-over/", {"seen": seen})
    page = answer.content.decode()
    assert (answer.status_code, TrainedModel.objects.count()) == (409, 1)
    assert "Votes have come or gone since this page was shown. Nothing was taken over." in page
    assert client.post(f"{path_of(campaign)}take-over/", {"seen": seen_on(page)}).status_code == 302


@pytest.mark.postgres
def test_a_withdrawn_photo_and_other_thresholds_make_it_stale(
    judged: Callable[..., Campaign], client_for: ClientFor
) -> None:
    from validation.campaigns.acts import withdraw_photo

    campaign = judged(*GOOD)
    seen = of(campaign).digest
    withdraw_photo(campaign=campaign, photo=campaign.photos.order_by("pk")[0])
    assert of(campaign).judged == 139
    changed = of(campaign).digest
    assert changed != seen
    TrainedModel.objects.update(manifest=campaign.predictor.manifest | {"thresholds": {"beach": 0.7}})
    assert of(Campaign.objects.get()).digest != changed


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", None])
def test_others_may_not_take_over(
    judged: Callable[..., Campaign], client_for: ClientFor, client: Client, role: str | None
) -> None:
    campaign = judged(*GOOD)
    seen = of(campaign).digest
    asker = client_for(role) if role else client
    answer = asker.post(f"{path_of(campaign)}take-over/", {"seen": seen})
    assert answer.status_code == (403 if role else 302)
    assert TrainedModel.objects.count() == 1


@pytest.mark.postgres
def test_nothing_to_promise_and_cascades_are_refused(
    judged: Callable[..., Campaign], client_for: ClientFor
) -> None:
    campaign = judged((5, "beach", 0.9, "fits"))
    client = client_for("admin")
    for words in ("Nothing can be promised yet", "is a cascade"):
        page = client.post(
            f"{path_of(campaign)}take-over/", {"seen": of(Campaign.objects.get()).digest}, follow=True
        )
        assert words in page.content.decode()
        TrainedModel.objects.update(manifest=campaign.predictor.manifest | {"cascade": {}})
    assert TrainedModel.objects.count() == 1


def test_a_package_carries_promise_and_base(judged: Callable[..., Campaign]) -> None:
    model = taken_over(judged(*GOOD), kind="each")
    content = b"".join(packages.stream_package(model))
    assert packages.import_model(file=io.BytesIO(content), file_name="a.zip", by=None) == model
    TrainedModel.objects.filter(pk=model.pk).update(manifest=model.manifest | {"temperature": 2.0})
    copy = packages.import_model(file=io.BytesIO(content), file_name="a.zip", by=None)
    assert copy != model
    assert promise_of(copy.manifest) == promise_of(model.manifest) != ""
    assert copy.manifest["thresholds"] == model.manifest["thresholds"]
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


@pytest.mark.parametrize(
    "base",
    [
        [],
        {"campaign": "", "photos": 1, "people": 1, "until": ""},
        {"campaign": "x", "photos": "many", "people": 1, "until": ""},
        {"campaign": "x", "photos": 1, "people": -1, "until": ""},
        {"campaign": "x", "photos": 1, "people": 1, "until": "2026-13-01"},
    ],
)
def test_a_package_with_an_impossible_base_is_refused(judged: Callable[..., Campaign], base: object) -> None:
    model = taken_over(judged(*GOOD))
    manifest = model.manifest | {"promise": model.manifest["promise"] | {"base": base}}
    with pytest.raises(packages.BadPackage, match="promise"):
        packages.read_manifest(to_json(manifest).encode())
