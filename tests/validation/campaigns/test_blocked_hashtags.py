"""A blocked hashtag is nowhere from the next answer on; votes given stay; unblocking brings all back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Job
from mapping.hashtags import block, unblock
from mapping.models import Hashtag, SceneClass
from tests.trainer.conftest import _own_folders, model_for, tiny_model  # noqa: F401
from tests.validation.conftest import MakeCampaign, MakeVote, taken_in
from trainer.models import TrainedModel
from validation.agreement import lists, results
from validation.agreement.blame import blame, scenes
from validation.agreement.exports import public_token
from validation.agreement.figure import figure_svg
from validation.agreement.silence import silence, silent_by_reason
from validation.campaigns import acts
from validation.campaigns.questions import make_questions
from validation.for_mapping import Voters
from validation.forms.campaign import RulesForm
from validation.models import Campaign, Correction, GoldAnswer, Prediction, Question
from validation.people import gold
from validation.photos import corrections
from validation.voting import assignment, votes
from validation.voting.teaching import worth_asking

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]
UserFor = Callable[..., User]
RunJobs = Callable[[], list[Job]]
RED_THEN_GREEN, RED_THEN_BLUE = 843, 6  # numbers of photos; red is #beach, green #bar, blue other


@pytest.fixture
def admin(user_for: UserFor) -> User:
    return user_for("admin")


@pytest.fixture
def colours(tiny_model: TrainedModel, hashtags: dict[str, Hashtag]) -> TrainedModel:  # noqa: F811
    """The network that knows colours, less sure of itself: its second choice is likely, too."""
    pixels = tiny_model.manifest["input"] | {"mean": [127.5] * 3, "std": [127.5] * 3}
    thresholds = {"beach": 0.4, "bar": 0.2}
    tiny_model.manifest |= {"temperature": 30.0, "thresholds": thresholds, "input": pixels}
    tiny_model.manifest["sha256"] = "1" * 64  # another network, for the process that keeps one
    tiny_model.save()
    (tiny_model.folder / "manifest.json").write_text(json.dumps(tiny_model.manifest))
    hashtags["beach"] = Hashtag.objects.create(name="beach", posts=9, source="test", counted_on="2019")
    return tiny_model


def asked(campaign: Campaign, person: User) -> set[str]:
    """The hashtags that a new person is asked about."""
    return {one.hashtag.name for one in assignment.next_questions(campaign=campaign, person=person, most=9)}


@pytest.mark.parametrize("is_blocked_before", [True, False])
def test_campaign_takes_the_next_likeliest_only_if_it_passes_its_threshold(
    colours: TrainedModel,
    hashtags: dict[str, Hashtag],
    admin: User,
    user_for: UserFor,
    run_jobs: RunJobs,
    is_blocked_before: bool,
) -> None:
    """As well for rivals, which are predicted in the same job."""
    photos = [taken_in(RED_THEN_GREEN), taken_in(RED_THEN_BLUE)]
    beach = hashtags["beach"].pk
    if is_blocked_before:
        block(hashtag_id=beach, why="too vague", by=admin)
    plain = {"gold_share": 0.0, "control_share": 0.0, "silence_share": 0.0}
    campaign = acts.create_campaign(name="New", model=colours, photos=photos, by=admin, **plain)
    run_jobs()
    if not is_blocked_before:
        assert asked(campaign, user_for("validator")) == {"beach"}
        block(hashtag_id=beach, why="too vague", by=admin)
        run_jobs()
    first, second = Prediction.objects.order_by("pk")
    assert (str(first.suggestion), second.suggestion) == ("#bar", None)
    assert first.confidence == dict(first.candidates)["bar"] < dict(first.candidates)["beach"]
    assert silent_by_reason(campaign=campaign) == [("blocked", 1)]
    assert asked(campaign, user_for("validator", "ann")) == {"bar"}
    unblock(hashtag_id=beach, by=admin)
    run_jobs()
    assert {str(one.suggestion) for one in Prediction.objects.all()} == {"#beach"}
    assert Prediction.objects.filter(reason="").count() == 2
    assert asked(campaign, user_for("validator", "bob")) == {"beach"}


def test_open_question_is_not_asked_and_votes_given_stay(
    make_campaign: MakeCampaign,
    hashtags: dict[str, Hashtag],
    admin: User,
    user_for: UserFor,
    vote_as: MakeVote,
    run_jobs: RunJobs,
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar")
    vote_as(campaign, 0, "fits", "ann")
    ann, bob = user_for("validator", "ann"), user_for("validator", "bob")
    assert asked(campaign, bob) == {"cafe", "bar"}  # leased, too
    cafe = hashtags["cafe"].pk
    block(hashtag_id=cafe, why="too vague", by=admin)
    for person in (ann, bob, user_for("validator")):
        assert asked(campaign, person) == {"bar"}
        assert assignment.progress(campaign=campaign, person=person).left == 1
    (job,) = run_jobs()  # started by blocking; it deletes nothing that may come back
    assert job.state == Job.State.SUCCEEDED
    question = Question.objects.get(hashtag=cafe, photo=campaign.photos.order_by("pk")[0])
    assert (question.fits, ann.votes.count()) == (1, 1)
    unblock(hashtag_id=cafe, by=admin)  # at once: no job has run
    assert asked(campaign, bob) == {"cafe", "bar"}


def test_ballot_and_pages_show_no_blocked_hashtag(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag], admin: User, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "bar")
    client, voter = client_for("admin"), client_for("validator")
    paths = [
        f"/validation/campaigns/{campaign.pk}/",
        f"/validation/campaigns/{campaign.pk}/known/?show=unanswered",
    ]
    ballots = [f"/validation/vote/{campaign.pk}/", f"/validation/vote/{campaign.pk}/next/"]
    assert all("cafe" in client.get(path).content.decode() for path in paths)
    assert all("cafe" in voter.get(path).content.decode() for path in ballots)
    block(hashtag_id=hashtags["cafe"].pk, why="too vague", by=admin)
    assert not any("cafe" in client.get(path).content.decode() for path in paths)
    assert not any("cafe" in voter.get(path).content.decode() for path in ballots)
    silent = client.get(paths[0] + "?show=silent").content.decode()
    assert ("blocked: the likeliest" in silent, silent.count("<figure>")) == (True, 1)
    assert silence(campaign).photos == 1
    assert client.get(paths[0]).context["summary"].suggestions == 1


def test_nothing_mixed_in_is_about_a_blocked_hashtag(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag], admin: User, user_for: UserFor
) -> None:
    """Wrong hashtags on purpose, silent suggestions and known answers, made before or to come."""
    for name in ("cafe", "sport"):
        GoldAnswer.objects.create(photo=taken_in(50), hashtag=hashtags[name], fits=True)
    block(hashtag_id=hashtags["cafe"].pk, why="x", by=admin)
    campaign = make_campaign(*["bar"] * 12, *[None] * 10)
    Prediction.objects.filter(hashtag=None).update(candidates=[["cafe", 0.5], ["sport", 0.2]])
    Campaign.objects.update(gold_share=0.2, control_share=0.5, silence_share=0.1)
    campaign.refresh_from_db()
    make_questions(campaign=campaign)
    many = {"suggestion": 12, "control": 6, "silence": 2, "gold": 1}

    def asked_about() -> tuple[dict[str, int], set[str]]:
        rows = campaign.questions.offered()
        names = set(campaign.questions.exclude(kind="suggestion").values_list("hashtag__name", flat=True))
        return dict(Counter(rows.values_list("kind", flat=True))), names - {"bar"}  # wrong where silent

    assert asked_about() == (many, {"sport"})
    block(hashtag_id=hashtags["sport"].pk, why="x", by=admin)
    unblock(hashtag_id=hashtags["cafe"].pk, by=admin)
    assert asked(campaign, user_for("validator")) == {"bar"}
    assert not assignment._has_gold(campaign)
    assert {one.hashtag.name for one in gold.unanswered(campaign)} == {"bar"}
    make_questions(campaign=campaign)  # as many again, because nobody is asked about the others
    assert asked_about() == (many, {"sport", "cafe"})


def test_shares_are_of_what_is_still_asked(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag], admin: User
) -> None:
    campaign = make_campaign(*["bar"] * 4, *["cafe"] * 4, *[None] * 4)
    Prediction.objects.filter(hashtag=None).update(candidates=[["sport", 0.2]])
    block(hashtag_id=hashtags["cafe"].pk, why="x", by=admin)
    assert {hashtag for (hashtag, _), _ in worth_asking(campaign)} == {hashtags["bar"].pk}
    assert lists.progress_of([campaign])[campaign.pk].total == 4
    Campaign.objects.update(control_share=0.5, silence_share=0.5)
    campaign.refresh_from_db()
    make_questions(campaign=campaign)
    assert (campaign.questions.controls().count(), campaign.questions.silent().count()) == (2, 2)


def test_rules_offer_no_blocked_hashtag_but_keep_a_chosen_one(
    campaign: Campaign, hashtags: dict[str, Hashtag], admin: User
) -> None:
    campaign.hashtags.add(hashtags["cafe"])
    for name in ("cafe", "bar"):
        block(hashtag_id=hashtags[name].pk, why="x", by=admin)
    choices: Any = RulesForm(instance=campaign).fields["hashtags"]
    assert [str(label) for _, label in choices.choices] == ["#cafe (blocked)", "#sport"]
    new: Any = RulesForm().fields["hashtags"]
    assert [str(label) for _, label in new.choices] == ["#sport"]


def test_corrections_offer_no_blocked_hashtag_and_are_not_trained_on(
    campaign: Campaign, hashtags: dict[str, Hashtag], admin: User, client_for: ClientFor
) -> None:
    client, (first, second, *_) = client_for("admin"), campaign.photos.order_by("pk")
    pub = SceneClass.objects.create(key="p/pub", name="pub")
    row = Correction.objects.create(photo=first, hashtag=hashtags["cafe"], scene_class=pub)
    block(hashtag_id=hashtags["cafe"].pk, why="x", by=admin)
    assert not corrections.trainable().exists()
    page = client.get(f"/validation/photos/{second.pk}/")
    assert list(page.context["hashtags"]) == ["bar", "sport"]
    refused = client.post(f"/validation/photos/{second.pk}/correct/", {"hashtag": "cafe"}, follow=True)
    assert b"Choose from the lists" in refused.content
    kept = client.get(f"/validation/photos/{first.pk}/")
    assert "cafe" in kept.context["hashtags"]  # saving the page again changes nothing
    form = {"hashtag": "cafe", "seen": kept.context["seen"]}
    assert (
        b"Saved: #cafe" in client.post(f"/validation/photos/{first.pk}/correct/", form, follow=True).content
    )
    Correction.objects.filter(pk=row.pk).update(scene_class=pub)
    unblock(hashtag_id=hashtags["cafe"].pk, by=admin)
    assert corrections.trainable().get() == row


def test_what_is_needed_next_and_what_to_fix_leave_it_out_and_figures_stay(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag], admin: User, vote_as: MakeVote
) -> None:
    campaign = make_campaign("cafe", "bar", "cafe", is_public=True)
    for number in (0, 1):
        vote = vote_as(campaign, number, "does_not_fit")
        votes.say_more(
            campaign=campaign, person=vote.person, request_id=vote.request_id, reason="too_general"
        )
    pub = SceneClass.objects.create(key="p/pub", name="pub")
    Prediction.objects.update(scene_class=pub)
    vote = vote_as(campaign, 0, "does_not_fit", "ann")
    votes.say_more(campaign=campaign, person=vote.person, request_id=vote.request_id, reason="too_general")
    assert scenes(campaign)[0].mapping == 3
    assert Voters().find_doubts()["p/pub"].people == 2
    third = campaign.photos.order_by("pk")[2]
    campaign.questions.exclude(photo=third).update(stream="audit")
    campaign.questions.filter(photo=third).update(rank=0.0)
    before, public = results.summarise(campaign), f"/validation/public/{public_token(campaign)}/"
    assert {row.hashtag for row in before.missing} == {"cafe", "bar"}
    assert "#cafe" in Client().get(public).content.decode()
    block(hashtag_id=hashtags["cafe"].pk, why="x", by=admin)
    after = results.summarise(campaign)
    assert {row.hashtag for row in (*after.needed, *after.missing)} == {"bar"}
    assert (after.overall, after.votes) == (before.overall, before.votes)
    assert (before.audit, after.audit and after.audit.n) == (None, 1)  # #cafe waits no more
    assert blame(campaign).total == 1
    (row,) = scenes(campaign)
    assert (row.not_fitting, row.mapping) == (1, 1)
    assert Voters().find_doubts() == {}  # one person is left, who blames #bar
    assert "#cafe" not in figure_svg(after, title="x")
    assert "#cafe" not in Client().get(public).content.decode()
