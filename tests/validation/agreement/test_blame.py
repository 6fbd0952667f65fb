"""Who is blamed for disagreements, the rows of the mapping behind them, and models compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.test import Client

from mapping.models import Hashtag, MappingEntry, Release, ReleaseLabel, SceneClass
from tests.validation.conftest import MakeCampaign, MakeVote
from trainer.models import TrainedModel
from validation.agreement.blame import PARTIES, Blame, blame, scenes
from validation.agreement.rivals import Duel, _add_holm, duels, questions_won, releases
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Prediction, Question
from validation.voting import votes

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]


def disagree(campaign: Campaign, vote_as: MakeVote, number: int, *reasons: str) -> None:
    for name, reason in zip("abc", reasons, strict=False):
        vote = vote_as(campaign, number, "does_not_fit", name)
        if reason:
            votes.say_more(campaign=campaign, person=vote.person, request_id=vote.request_id, reason=reason)


@pytest.fixture
def pub(campaign: Campaign, hashtags: dict[str, Hashtag]) -> MappingEntry:
    """The scene class that the model saw in the first two photos."""
    scene = SceneClass.objects.create(key="pub/indoor", name="pub")
    for photo in campaign.photos.order_by("pk")[:2]:
        Prediction.objects.filter(photo=photo).update(scene_class=scene)
    return MappingEntry.objects.create(scene_class=scene, hashtag=hashtags["bar"], status="confirmed")


def test_reasons_of_voters_blame_the_network_or_the_mapping(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    disagree(campaign, vote_as, 0, "wrong_scene", "too_general", "wrong_scene")
    disagree(campaign, vote_as, 1, "too_specific", "", "wrong_scene")
    disagree(campaign, vote_as, 2, "", "", "")
    assert blame(campaign) == Blame(Counter(network=1, divided=1, untold=1))
    behind = f"/validation/agreement/photos/?campaign={campaign.pk}&said=does_not_fit&owed="
    client = client_for("viewer")
    page = client.get(f"/validation/agreement/{campaign.pk}/mend/").content.decode()
    assert behind.replace("&", "&amp;") + "network" in page
    figures = {party: client.get(behind + party).content.count(b"<figure>") for party in PARTIES}
    assert figures == {"network": 1, "mapping": 0, "photo": 0, "divided": 1, "untold": 1}
    assert b"No photos match" in client.get(behind + "mapping").content


def test_nobody_is_blamed_for_what_most_people_find_fitting(campaign: Campaign, vote_as: MakeVote) -> None:
    disagree(campaign, vote_as, 0, "wrong_scene")
    for name in "bc":
        vote_as(campaign, 0, "fits", name)
    assert blame(campaign).total == 0


def test_rows_of_the_mapping_are_listed_with_their_disagreements(
    campaign: Campaign, vote_as: MakeVote, pub: MappingEntry, client_for: ClientFor
) -> None:
    disagree(campaign, vote_as, 0, "too_general", "too_general", "wrong_scene")
    vote_as(campaign, 1, "fits", "a")
    disagree(campaign, vote_as, 2, "wrong_scene")
    (row,) = scenes(campaign)
    assert (row.scene, row.entry, row.label, row.rate.n, row.not_fitting) == (
        "pub/indoor",
        pub.pk,
        "bar",
        2,
        1,
    )
    assert (row.network, row.mapping) == (1, 2)
    page = client_for("curator").get(f"/validation/agreement/{campaign.pk}/mend/").content.decode()
    assert f'href="/mapping/{pub.pk}/"> Edit the row' in page
    behind = f"/validation/agreement/photos/?campaign={campaign.pk}&scene=pub/indoor"
    assert client_for("viewer").get(behind).content.count(b"<figure>") == 2
    assert client_for("validator").get(f"/validation/agreement/{campaign.pk}/mend/").status_code == 403


def test_doubted_rows_are_in_the_curators_queue_until_a_curator_looks(
    campaign: Campaign, vote_as: MakeVote, pub: MappingEntry, client_for: ClientFor
) -> None:
    curator = client_for("curator")
    queue = "/mapping/queue/?status=doubted"
    disagree(campaign, vote_as, 0, "too_general", "wrong_scene")
    assert curator.get(queue).context["entry"] is None
    disagree(campaign, vote_as, 1, "too_specific")
    assert curator.get(queue).context["entry"] is None  # the same person again
    disagree(campaign, vote_as, 1, "", "", "too_specific")
    page = curator.get(queue)
    assert (page.context["entry"], page.context["doubt"].people) == (pub, 2)
    assert b"2 people found its hashtag too general or too specific" in page.content
    behind = page.context["doubt"].url
    assert client_for("viewer").get(behind).content.count(b"<figure>") == 2
    pub.refresh_from_db()
    pub.save()  # somebody has looked at the row since
    assert curator.get(queue).context["entry"] is None


def test_a_rival_is_scored_on_the_votes_already_given(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag], client_for: ClientFor
) -> None:
    """Same hashtag, right where ours is wrong, not judged, silent: in this order."""
    campaign = make_campaign("cafe", "bar", "sport", "cafe", votes_per_photo=1)
    rival = TrainedModel.objects.create(name="Rival", manifest={"sha256": "1"})
    photos = list(campaign.photos.order_by("pk"))
    for photo, tag in zip(photos, ("cafe", "sport", "bar", None), strict=True):
        Prediction.objects.create(
            photo=photo, model=rival, hashtag=hashtags[tag] if tag else None, reason="" if tag else "unsure"
        )
    for number, answer in enumerate(("fits", "does_not_fit", "fits", "fits")):
        vote_as(campaign, number, answer)
    other = Campaign.objects.create(name="Other", model=rival, gold_share=0, control_share=0)
    other.photos.add(photos[1])
    make_questions(campaign=other)
    vote_as(other, 0, "fits")
    campaign.rivals.add(rival)
    (duel,) = duels(campaign)
    assert (duel.suggestions, duel.photos, duel.same, duel.only_ours, duel.only_theirs) == (3, 2, 1, 0, 1)
    assert duel.ours is not None
    assert duel.theirs is not None
    assert (duel.ours.value, duel.theirs.value, duel.p, duel.verdict) == (0.5, 1.0, 1.0, "")
    client = client_for("viewer")
    page = client.get(f"/validation/agreement/{campaign.pk}/models/").content.decode()
    assert "no difference shown" in page
    cell = f"/validation/agreement/photos/?campaign={campaign.pk}&won=theirs&against=model-{rival.pk}"
    assert cell.replace("&", "&amp;") in page
    duel_page = client.get(cell).content.decode()
    assert (duel_page.count("<figure>"), "only the other&#x27;s hashtag fits" in duel_page) == (1, True)
    for nothing in (cell.replace("theirs", "ours"), cell + "9", cell.replace("model-", "release-")):
        assert client.get(nothing).content.count(b"<figure>") == 0
    assert Question.objects.filter(campaign=campaign).count() == 4  # nobody is asked anew


def test_rivals_shown_together_are_corrected_together() -> None:
    one = Duel(
        "A",
        "",
        "",
        suggestions=9,
        photos=9,
        same=3,
        ours=None,
        theirs=None,
        only_ours=0,
        only_theirs=6,
        p=0.03,
    )
    assert _add_holm([one])[0].verdict == "better"
    together = _add_holm([one, replace(one, p=0.04)])
    assert [duel.holm for duel in together] == pytest.approx([0.06, 0.06])
    assert {duel.verdict for duel in together} == {""}


def test_a_release_is_scored_by_the_scenes_the_model_saw(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag]
) -> None:
    """The new release calls the pub a cafe: right for the first photo, where people found #bar unfitting."""
    campaign = make_campaign("bar", "bar", votes_per_photo=1)
    other = make_campaign(
        "cafe", name="Other", by_model=TrainedModel.objects.create(name="B", manifest={"sha256": "1"}),
        votes_per_photo=1,
    )  # fmt: skip
    scene = SceneClass.objects.create(key="p/pub", name="pub")
    Prediction.objects.filter(model=campaign.model).update(scene_class=scene)
    for number, label in ((1, "bar"), (2, "cafe")):
        release = Release.objects.create(number=number, note="x")
        ReleaseLabel.objects.create(release=release, scene_key="p/pub", label=label)
    vote_as(campaign, 0, "does_not_fit")
    vote_as(campaign, 1, "fits")
    vote_as(other, 0, "fits")
    second, first = releases(campaign)
    assert (first.name, first.same, first.only_theirs) == ("release 1", 2, 0)
    assert (second.photos, second.same, second.only_ours, second.only_theirs) == (1, 0, 0, 1)
    questions = Question.objects.filter(campaign=campaign).order_by("photo")
    assert questions_won(campaign, "theirs", second.key) == [questions[0].pk]
