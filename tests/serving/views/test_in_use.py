"""The page In use: acceptance with its interval, beside the crowd's agreement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mapping.models import Hashtag
from serving import acceptance
from serving.answer_ids import make_id
from serving.feedback import keep, read_event
from tests.validation.conftest import taken_in
from trainer.models import TrainedModel
from validation.agreement.results import crowd_by_model
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Prediction
from validation.voting.votes import record_vote

URL = "/in-use/"
pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
Report = Callable[..., None]


@pytest.fixture
def report(user_for: Callable[..., User], tiny_model: TrainedModel) -> Report:
    """Feedback as a network sends it: report("beach", accepted=3, shown=1, days=2)."""
    account = user_for("network")

    def send(
        hashtag: str | None,
        *,
        days: int = 0,
        model: TrainedModel = tiny_model,
        used: str = "bar",
        **counts: int,
    ) -> None:
        at = timezone.now() - timedelta(days=days)
        kinds = [kind for kind, count in counts.items() for _ in range(count)]
        events = [
            read_event(
                answer=make_id(model=model.pk, account=account.pk, hashtag=hashtag, confidence=0.9, at=at),
                event=kind,
                at=at,
                hashtag=used if kind == "replaced" else "",
                account=account.pk,
            )
            for kind in kinds
        ]
        keep(events=events, account=account)

    return send


def page_of(client: Client, query: str = "") -> str:
    response = client.get(URL + query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_without_feedback_it_says_how_to_send_some(client_for: Callable[..., Client]) -> None:
    page = page_of(client_for("viewer"))
    assert "No feedback yet." in page
    assert "POST /api/v1/feedback" in page


def test_acceptance_is_accepted_of_shown_with_its_interval(
    report: Report, client_for: Callable[..., Client]
) -> None:
    report("beach", accepted=40, dismissed=20, shown=30, replaced=10)
    page = page_of(client_for("viewer"))
    assert "40\N{NO-BREAK SPACE}%" in page
    # Wilson's interval of 40 in 100
    assert "31\N{NO-BREAK SPACE}% to 50\N{NO-BREAK SPACE}%" in page
    assert "<td>#beach</td><td>#bar</td>" in page


def test_by_hashtag_model_and_day(
    report: Report, tiny_model: TrainedModel, model_for: Callable[..., TrainedModel]
) -> None:
    other = model_for("Other")
    report("beach", accepted=2, shown=2, days=1)
    report("bar", accepted=1, days=3)
    report("bar", dismissed=4, model=other)
    seen = acceptance.read_acceptance(days=30, model=None, crowds={})
    assert seen.overall
    assert (seen.overall.shown, seen.overall.accepted, seen.overall.unanswered) == (9, 3, 2)
    assert {row.name: (row.accepted, row.shown) for row in seen.hashtags} == {"beach": (2, 4), "bar": (1, 5)}
    assert {row.name: row.rate.value for row in seen.models} == {"Other": 0.0, "Colours": 0.6}
    assert [step.rate.n for step in seen.steps] == [1, 4, 4]
    of_other = acceptance.read_acceptance(days=30, model=other, crowds={})
    assert [(row.name, row.shown) for row in of_other.hashtags] == [("bar", 4)]


def test_a_period_leaves_out_what_was_answered_before(
    report: Report, client_for: Callable[..., Client]
) -> None:
    report("beach", accepted=1, days=10)
    assert "No feedback in this period." in page_of(client_for("viewer"), "?days=7")
    assert "No feedback in this period." not in page_of(client_for("viewer"), "?days=30")


def test_a_long_period_is_drawn_by_weeks(report: Report) -> None:
    for days in (0, 7, 14):
        report("beach", accepted=1, days=days)
    seen = acceptance.read_acceptance(days=90, model=None, crowds={})
    assert seen.is_weekly
    assert [step.day.weekday() for step in seen.steps] == [0, 0, 0]


def test_silence_is_no_suggestion(report: Report, client_for: Callable[..., Client]) -> None:
    report("beach", accepted=1)
    report(None, replaced=3, used="cats")
    seen = acceptance.read_acceptance(days=30, model=None, crowds={})
    assert seen.overall
    assert seen.overall.shown == 1
    assert [(row.used, row.count) for row in seen.after_silence] == [("cats", 3)]
    assert seen.replacements == []


def test_agreement_of_the_same_model_stands_beside(
    report: Report,
    tiny_model: TrainedModel,
    model_for: Callable[..., TrainedModel],
    user_for: Callable[..., User],
    client_for: Callable[..., Client],
) -> None:
    hashtag = Hashtag.objects.create(name="beach", posts=10**8, source="test", counted_on="2019")
    campaign = Campaign.objects.create(name="Beaches", model=tiny_model, votes_per_photo=1)
    photos = [taken_in(seed) for seed in range(4)]
    campaign.photos.add(*photos)
    Prediction.objects.bulk_create(
        Prediction(photo=photo, model=tiny_model, hashtag=hashtag, confidence=0.9) for photo in photos
    )
    make_questions(campaign=campaign)
    _vote(campaign, user_for("validator"), hashtag, ["fits", "fits", "fits", "does_not_fit"])
    report("beach", accepted=1, shown=9)
    report("beach", accepted=1, model=model_for("Other"))
    crowds = crowd_by_model()
    seen = acceptance.read_acceptance(days=30, model=tiny_model, crowds=crowds)
    assert seen.hashtags[0].crowd
    assert (seen.hashtags[0].rate.value, seen.hashtags[0].crowd.value) == (0.1, 0.75)
    rows = acceptance.read_acceptance(days=30, model=None, crowds=crowds).models
    assert {row.name: row.crowd and row.crowd.n for row in rows} == {"Colours": 4, "Other": None}
    assert "75\N{NO-BREAK SPACE}%" in page_of(client_for("viewer"), f"?model={tiny_model.pk}")


def _vote(campaign: Campaign, person: User, hashtag: Hashtag, answers: Iterable[str]) -> None:
    for photo, answer in zip(campaign.photos.order_by("pk"), answers, strict=True):
        record_vote(
            campaign=campaign, photo=photo, hashtag=hashtag, person=person, answer=answer, request_id=uuid4()
        )


def test_csv(report: Report, client_for: Callable[..., Client], tiny_model: TrainedModel) -> None:
    report("beach", accepted=2, shown=1)
    lines = client_for("viewer").get(f"{URL}acceptance.csv").content.decode().splitlines()
    day = timezone.localdate().isoformat()
    assert lines[0] == "day,model,model_name,trial,hashtag,shown,accepted,dismissed,replaced"
    assert lines[1:] == [f"{day},{tiny_model.pk},Colours,0,beach,3,2,0,0"]


def test_charts_are_files(report: Report, client_for: Callable[..., Client]) -> None:
    report("beach", accepted=2, shown=2)
    report("bar", accepted=1, days=2)
    client, query = client_for("viewer"), "?days=30"
    page = page_of(client, query)
    tables = []
    for name in ("hashtags", "acceptance-with-its-95-interval"):
        path = f"{URL}figures/{name}"
        assert all(f'{link}{query}"' in page for link in (f'href="{path}.csv', f'data-png="{path}.svg'))
        assert "var(" not in client.get(f"{path}.svg{query}").content.decode()
        tables.append(client.get(f"{path}.csv{query}").content.decode("utf-8-sig").splitlines())
    bars, over_time = tables
    assert {row[:10] for row in bars[1:]} == {"#beach,0.5", "#bar,1.0,0"}
    assert over_time[0].split(",")[1:] == ["accepted", "up to", "from"]
    assert [row.split(",")[:2] for row in over_time[1:]] == [["1", "1.0"], ["3", "0.5"]]
    assert client.get(f"{URL}figures/other.svg{query}").status_code == 404


def test_queries_do_not_grow(
    report: Report, client_for: Callable[..., Client], django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = client_for("viewer")
    for days in range(20):
        report("beach", accepted=1, days=days)
    with django_assert_max_num_queries(25):  # type: ignore[attr-defined]
        page_of(client)
