"""What the dashboard says, where its bars lead, and that votes outlive models."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.validation.conftest import MakeCampaign, MakeVote
from trainer.models import TrainedModel
from validation.agreement import results
from validation.models import Question, Vote
from validation.statistics.headline import Headline

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]


def test_empty_states_say_what_to_do_next(make_campaign: MakeCampaign, client_for: ClientFor) -> None:
    viewer, admin = client_for("viewer"), client_for("admin")
    assert b"No campaigns yet" in viewer.get("/validation/agreement/").content
    assert b"Create a campaign" in admin.get("/validation/agreement/").content
    assert b"No campaigns yet" in viewer.get("/validation/campaigns/").content
    make_campaign("cafe")
    assert b"Nobody has answered yet" in viewer.get("/validation/agreement/").content
    assert results.headline() is None


def test_headlines_counts_and_links(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "cafe", "cafe", "bar", None)
    for name in ("a", "b", "c"):
        vote_as(campaign, 0, "fits", name)
    vote_as(campaign, 1, "fits", "a")
    vote_as(campaign, 2, "skip", "a")
    vote_as(campaign, 3, "does_not_fit", "d")
    response = client_for("viewer").get("/validation/agreement/")
    summary = response.context["summary"]
    # Three cafes, of the two judged both fit, and a bar that does not: 3/4, though of the judged 2/3 fit.
    assert (summary.overall.value, summary.overall.n) == (0.75, 3)
    assert (round(summary.raw.value, 3), summary.raw.n) == (0.667, 3)
    assert summary.class_weighted.value == 0.5
    assert (summary.votes, summary.skips, summary.people, summary.coverage) == (6, 1, 4, 0.8)
    assert [(row.hashtag, row.suggestions, row.needed) for row in summary.hashtags] == [
        ("cafe", 3, 1),
        ("bar", 1, 0),
    ]
    content = response.content.decode()
    assert "75\u00a0%" in content
    assert "0.86" in content
    assert "?hashtag=cafe" in content
    assert 'class="is-few"' in content
    assert results.headline() == Headline(summary.overall, summary.unjudged)
    assert (summary.done, summary.bins[0].rate.n, summary.days[0].rate.n) == (1, 3, 3)
    assert round(summary.reliability.percent, 3) == 1.0


def test_charts_are_files(make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor) -> None:
    campaign = make_campaign("cafe", "cafe", "bar")
    vote_as(campaign, 0, "fits")
    vote_as(campaign, 1, "fits", "a")
    vote_as(campaign, 2, "does_not_fit")
    first = Question.objects.filter(photo=Vote.objects.earliest("pk").photo)
    first.update(answered_at=timezone.now() - timedelta(days=2))
    client, query = client_for("viewer"), f"?campaign={campaign.pk}"
    page = client.get(f"/validation/agreement/{query}").content.decode()
    rows = {}
    for name in ("hashtags", "confidence", "agreement-over-time"):
        path = f"/validation/agreement/figures/{name}"
        assert all(f'{link}{query}"' in page for link in (f'href="{path}.csv', f'data-png="{path}.svg'))
        svg = client.get(f"{path}.svg{query}").content.decode()
        assert campaign.name in svg
        assert "var(" not in svg
        rows[name] = client.get(f"{path}.csv{query}").content.decode("utf-8-sig").splitlines()
    assert rows["hashtags"][0] == "label,agreement,from,to,n"
    assert [row.split(",")[0::4] for row in rows["hashtags"][1:]] == [["#cafe", "2"], ["#bar", "1"]]
    assert rows["confidence"][0].endswith(",n,expected")
    assert rows["agreement-over-time"][0] == "day of voting,so far,that day"
    for wrong in ("other.svg", "hashtags.png"):
        assert client.get(f"/validation/agreement/figures/{wrong}{query}").status_code == 404


def test_bar_leads_to_its_photos_and_votes(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar", "sport")
    vote_as(campaign, 0, "fits")
    vote_as(campaign, 1, "does_not_fit")
    vote_as(campaign, 2, "fits", "a")
    vote_as(campaign, 2, "does_not_fit", "b")
    client = client_for("viewer")

    def shown(query: str) -> int:
        return client.get(f"/validation/agreement/photos/?{query}").content.count(b"<figure>")

    assert [shown(""), shown("hashtag=cafe"), shown("said=fits"), shown("said=tie")] == [4, 2, 1, 1]
    assert [shown("said=open"), shown("hashtag=cafe&said=does_not_fit")] == [1, 1]
    assert [shown(f"campaign={campaign.pk}"), shown("campaign=9999"), shown("said=nonsense")] == [4, 4, 4]
    assert b"No photos match" in client.get("/validation/agreement/photos/?hashtag=nothing").content


def test_a_photo_opens_its_votes_and_admins_alone_see_who_gave_them(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe")
    vote_as(campaign, 0, "fits", "ann", seconds=2.5)
    vote = vote_as(campaign, 0, "does_not_fit", "bob")
    Vote.objects.filter(pk=vote.pk).update(reason="too_general", set_aside=True)
    path = f"/validation/photos/{campaign.photos.get().pk}/"
    behind = client_for("viewer").get("/validation/agreement/photos/").content.decode()
    assert f'href="{path}"' in behind
    viewer_page = client_for("viewer").get(path).content.decode()
    for words in ("2.5", "too general", "set aside", "does not fit"):
        assert words in viewer_page
    for word in ("bob", "withdraw/", "correct/"):
        assert word not in viewer_page
        assert word in client_for("admin").get(path).content.decode()
    assert client_for("validator").get(path).status_code == 403


def test_votes_outlive_models(make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor) -> None:
    """A second model is scored at once against the votes already given, and asks only what is new."""
    first = make_campaign("cafe", "bar", "sport", name="First", votes_per_photo=1)
    for number, answer in enumerate(["fits", "does_not_fit", "fits"]):
        vote_as(first, number, answer)
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    # The newer model agrees on the first photo, disagrees on the second, keeps silent on the third.
    second = make_campaign(
        "cafe", "sport", None, name="Second", by_model=newer, votes_per_photo=1, only_unseen=False
    )
    assert Vote.objects.count() == 3

    client = client_for("viewer")
    old = client.get(f"/validation/agreement/?campaign={first.pk}").context["summary"]
    new = client.get(f"/validation/agreement/?campaign={second.pk}").context["summary"]
    assert (round(old.overall.value, 3), old.overall.n) == (0.667, 3)
    assert (new.overall.value, new.overall.n, new.votes) == (1.0, 1, 1)
    assert [(row.hashtag, row.rate is not None) for row in new.hashtags] == [("cafe", True), ("sport", False)]

    ballot = client_for("validator").get(f"/validation/vote/{second.pk}/").context["assignment"]
    assert (ballot.question.hashtag.name, ballot.total) == ("sport", 1)

    first.predictor.campaigns.all().delete()
    first.predictor.delete()
    assert Vote.objects.count() == 3
    headline = results.headline()
    assert headline is not None
    assert (headline.rate.n, headline.unjudged) == (1, 0.5)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1, "100\u00a0%"),
        (0.999, "> 99\u00a0%"),
        (0, "0\u00a0%"),
        (0.001, "< 1\u00a0%"),
        (0.857, "86\u00a0%"),
        (None, "–"),
    ],
)
def test_share_below_one_is_never_shown_as_100_percent(share: float | None, words: str) -> None:
    from validation.templatetags.agreement_words import percent

    assert percent(share) == words.replace(" %", "\u00a0%")
