"""Campaigns that ask whether the hashtags of authors fit: what is asked, and which votes count where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from jobs import work
from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, taken_in
from trainer.models import TrainedModel
from validation import for_trainer
from validation.agreement import exports, posted, results
from validation.campaigns import acts, checker, predicting
from validation.campaigns.checker import Said
from validation.campaigns.questions import ask_known_answers, make_questions
from validation.models import AuthorHashtag, Campaign, GoldAnswer, Photo, PostedHashtag, Question, Vote
from validation.voting import assignment
from validation.voting.votes import record_vote, undo_vote

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
UserFor = Callable[..., User]
ALL, DOUBTED, AUDIT = Campaign.Asks


class FakeChecker:
    """Understands a hashtag only as it is written, and doubts what it is told to."""

    verdicts: dict[str, str] = {}

    def understand(self, words: Any, vocabulary: Sequence[str]) -> dict[str, str]:
        return {word: word for word in words if word in vocabulary}

    def check(self, photos: Any, model: TrainedModel) -> list[dict[str, Said]]:
        return [
            {name: Said(self.verdicts.get(name, "fits"), 0.5) for name in hashtags} for _, hashtags in photos
        ]


@pytest.fixture
def fake_checker() -> Iterator[FakeChecker]:
    real = checker.checker()
    fake = FakeChecker()
    checker.register(fake)
    yield fake
    checker.register(real)


Make = Callable[..., Campaign]


@pytest.fixture
def make_authors(hashtags: dict[str, Hashtag], fake_checker: FakeChecker) -> Make:
    """Photos with these hashtags of their authors; the job has run. Without known answers."""

    def make(*tags: str, name: str = "Authors", model: TrainedModel | None = None, **more: Any) -> Campaign:
        photos = [taken_in(number, author=f"author {number % 2}") for number in range(len(tags))]
        written = {photo.pk: words.split() for photo, words in zip(photos, tags, strict=True)}
        campaign = acts.create_authors_campaign(
            name=name, model=model, photos=photos, hashtags=written, by=None, **{"gold_share": 0.0} | more
        )
        run(campaign)
        return campaign

    return make


def run(campaign: Campaign) -> None:
    campaign.refresh_from_db()
    assert campaign.job
    assert work.do_here(job=campaign.job)


def asked(campaign: Campaign) -> list[str]:
    rows = campaign.questions.filter(kind="author").order_by("photo", "hashtag__name")
    return list(rows.values_list("hashtag__name", flat=True))


def answer(question: Question, person: User, word: str) -> Vote:
    return record_vote(
        campaign=question.campaign,
        photo=question.photo_id,
        hashtag=question.hashtag_id,
        person=person,
        answer=word,
        request_id=uuid4(),
    )


# --- what is asked ----------------------------------------------------------------------------


def test_without_a_model_all_known_hashtags_are_asked(make_authors: Make) -> None:
    campaign = make_authors("cafe love bar", "#Cafe", "sunset")
    assert asked(campaign) == ["bar", "cafe", "cafe"]
    assert set(campaign.posted.values_list("verdict", "chance", "is_drawn")) == {("", 1.0, True)}
    assert make_questions(campaign=campaign) == 0
    assert posted.count_unasked(campaign) == 2


def test_words_beyond_the_vocabulary_are_asked_if_wanted_but_no_blocked_ones(
    make_authors: Make, hashtags: dict[str, Hashtag]
) -> None:
    Hashtag.objects.filter(name="bar").update(blocked=True)
    campaign = make_authors("cafe love bar 2019", asks_words=True)
    assert asked(campaign) == ["cafe", "love"]
    assert not Hashtag.objects.filter(name="love").exists()
    again = make_authors("love", name="Again", asks_words=True)
    assert asked(again) == ["cafe", "love"]  # the photo carries both


def test_unblocking_a_hashtag_brings_it_in(make_authors: Make) -> None:
    Hashtag.objects.filter(name="bar").update(blocked=True)
    campaign = make_authors("cafe bar")
    assert asked(campaign) == ["cafe"]
    Hashtag.objects.filter(name="bar").update(blocked=False)
    predicting.predict_again(campaign=campaign, by=None)
    run(campaign)
    assert asked(campaign) == ["bar", "cafe"]


def test_the_check_chooses_and_the_chances_are_kept(
    make_authors: Make, fake_checker: FakeChecker, model: TrainedModel
) -> None:
    fake_checker.verdicts = {"bar": "doubtful", "sport": "does_not_fit"}
    doubted = make_authors("cafe bar sport", model=model, asks=DOUBTED, asked_share=0.0)
    assert asked(doubted) == ["bar", "sport"]
    rows = doubted.posted.order_by("hashtag__name").values_list("hashtag__name", "verdict", "chance")
    assert list(rows) == [("bar", "doubtful", 1.0), ("cafe", "fits", 0.0), ("sport", "does_not_fit", 1.0)]
    some = make_authors("cafe bar sport", name="Some", model=model, asks=AUDIT, asked_share=0.25)
    assert set(some.posted.values_list("chance", flat=True)) == {0.25}
    assert asked(some) == sorted(some.posted.filter(is_drawn=True).values_list("hashtag__name", flat=True))
    with pytest.raises(ValueError, match="Without a model"):
        make_authors("cafe", name="No model", asks=DOUBTED)


def test_verdicts_are_those_of_the_time_when_a_photo_joined(
    make_authors: Make, fake_checker: FakeChecker, model: TrainedModel, user_for: UserFor
) -> None:
    campaign = make_authors("cafe", model=model)
    fake_checker.verdicts = {"cafe": "does_not_fit"}
    answer(campaign.questions.get(), user_for("validator"), "fits")
    late = taken_in(7)
    AuthorHashtag.objects.create(photo=late, name="cafe")
    assert acts.add_photos(campaign=campaign, photos=[late], by=None) == 1
    run(campaign)
    rows = campaign.posted.order_by("pk").values_list("photo", "verdict")
    assert [verdict for _, verdict in rows] == ["fits", "does_not_fit"]
    assert list(campaign.questions.order_by("pk").values_list("band", flat=True)) == [0, 1]


def test_a_withdrawn_photo_takes_its_hashtags_along(make_authors: Make) -> None:
    campaign = make_authors("cafe", "bar")
    photo = Photo.objects.order_by("pk").first()
    assert photo
    acts.withdraw_photo(campaign=campaign, photo=photo)
    assert (asked(campaign), campaign.posted.count()) == (["bar"], 1)


# --- voting -----------------------------------------------------------------------------------


def test_nobody_is_asked_about_two_hashtags_of_a_photo(make_authors: Make, user_for: UserFor) -> None:
    campaign = make_authors("cafe bar", "sport", votes_per_photo=1, extra_votes=0)
    first = user_for("validator", "first")
    while questions := assignment.next_questions(campaign=campaign, person=first):
        answer(questions[0], first, "fits")
    assert Vote.objects.filter(person=first).count() == 2
    second = user_for("validator", "second")
    [question] = assignment.next_questions(campaign=campaign, person=second)
    answer(question, second, "does_not_fit")
    assert not campaign.questions.open_().exists()


def test_known_answers_are_mixed_in(
    make_authors: Make, hashtags: dict[str, Hashtag], campaign: Campaign
) -> None:
    photo = campaign.photos.order_by("-pk")[0]
    GoldAnswer.objects.create(photo=photo, hashtag=hashtags["bar"], fits=False)
    authors = make_authors("cafe", gold_share=0.5)
    assert authors.questions.gold().get().photo == photo


# --- which votes count where ------------------------------------------------------------------


def test_a_known_answer_that_was_asked_first_does_not_keep_a_campaign_unfinished(
    hashtags: dict[str, Hashtag], fake_checker: FakeChecker, make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Marked while the photos are not judged yet. It is what the campaign asks by itself, and is so once."""
    photo = taken_in(0)
    rules: dict[str, Any] = {"gold_share": 0.5, "votes_per_photo": 1}
    authors = acts.create_authors_campaign(
        name="Authors", model=None, photos=[photo], hashtags={photo.pk: ["cafe"]}, by=None, **rules
    )
    GoldAnswer.objects.create(photo=photo, hashtag=hashtags["cafe"], fits=True)
    assert ask_known_answers(campaign=authors) == 1
    run(authors)
    assert asked(authors) == ["cafe"]
    answer(authors.questions.get(), user_for("validator"), "fits")
    assert posted.find(authors).is_finished
    predicted = make_campaign("cafe", **rules)
    predicted.questions.update(kind="gold")
    make_questions(campaign=predicted)
    assert list(predicted.questions.values_list("kind", flat=True)) == ["suggestion"]


def test_votes_on_predictions_count_for_authors_and_not_the_other_way(
    make_campaign: MakeCampaign, make_authors: Make, user_for: UserFor
) -> None:
    predicted = make_campaign("cafe", "cafe")
    authors = make_authors("cafe", "cafe")
    first, second = predicted.questions.order_by("photo")
    own_first, own_second = authors.questions.order_by("photo")
    person = user_for("validator")
    answer(first, person, "fits")
    named = answer(own_second, person, "does_not_fit")
    assert (named.author_named, Vote.objects.get(photo=first.photo_id).author_named) == (True, False)
    for question in (first, second, own_first, own_second):
        question.refresh_from_db()
    assert [(one.fits, one.does_not_fit) for one in (first, second)] == [(1, 0), (0, 0)]
    assert [(one.fits, one.does_not_fit) for one in (own_first, own_second)] == [(1, 0), (0, 1)]
    assert (first.shared, own_first.shared) == (False, True)
    rate = results.summarise(None).overall
    assert rate
    assert (rate.n, rate.value) == (1, 1.0)
    # Counted anew, also when the authors' campaign is gone.
    acts.delete_campaign(campaign=authors, seen=acts.belongings(authors).digest, by=person)
    for question in (first, second):
        counts_of = (question.fits, question.does_not_fit, question.answered_at)
        acts_recount(question)
        question.refresh_from_db()
        assert (question.fits, question.does_not_fit, question.answered_at) == counts_of
    assert [row[5] for row in exports.votes(predicted)] == ["fits"]


def acts_recount(question: Question) -> None:
    from validation.campaigns.counts import recount

    recount([(question.photo_id, question.hashtag_id)])


def test_undoing_a_vote_changes_only_what_it_counted_for(
    make_campaign: MakeCampaign, make_authors: Make, user_for: UserFor
) -> None:
    predicted, authors, person = make_campaign("cafe"), make_authors("cafe"), user_for("validator")
    answer(predicted.questions.get(), user_for("validator", "other"), "fits")
    vote = answer(authors.questions.get(), person, "does_not_fit")
    undo_vote(campaign=authors, person=person, request_id=vote.request_id)
    counts = predicted.questions.get(), authors.questions.get()
    assert [(one.fits, one.does_not_fit) for one in counts] == [(1, 0), (1, 0)]


def test_the_dashboard_knows_nothing_of_authors_hashtags(
    make_campaign: MakeCampaign, make_authors: Make, model: TrainedModel, user_for: UserFor
) -> None:
    make_campaign("cafe", "bar")
    before = results.summarise(None)
    crowd = results.crowd_by_model()
    authors = make_authors("cafe", "bar", "sport", model=model)
    for question in authors.questions.all():
        answer(question, user_for("validator", "busy"), "fits")
    assert results.summarise(None) == before
    assert results.crowd_by_model() == crowd
    assert results.people(None) == 0
    asked_people = for_trainer.AskedPeople().last_asked(model.pk, 10)
    assert asked_people
    assert [photo.answers for photo in asked_people.photos] == [{}, {}]


def test_the_campaign_and_its_verdicts_outlive_the_model(
    make_authors: Make, fake_checker: FakeChecker, model: TrainedModel
) -> None:
    fake_checker.verdicts = {"bar": "does_not_fit"}
    campaign = make_authors("bar", model=model)
    source = for_trainer.JudgedModels()
    assert [thing.stays for thing in source.on([model.pk])] == [True]
    source.remove([model.pk])
    campaign.refresh_from_db()
    assert (campaign.model, campaign.posted.get().verdict) == (None, "does_not_fit")


# --- figures ----------------------------------------------------------------------------------


def test_figures_compare_the_check_with_people(
    make_authors: Make, fake_checker: FakeChecker, model: TrainedModel, user_for: UserFor
) -> None:
    fake_checker.verdicts = {"bar": "does_not_fit"}
    campaign = make_authors("cafe", "cafe", "bar", "bar", "sport", model=model)
    words = ["fits", "does_not_fit", "fits", "does_not_fit", "skip"]
    for question, word in zip(campaign.questions.order_by("photo"), words, strict=True):
        answer(question, user_for("validator"), word)
    found = posted.find(campaign)
    rates = (found.fits, found.falsely_accused, found.found, found.rightly_accused)
    assert all(rates)
    assert found.fits
    assert found.fits.value == pytest.approx((3 * 0.5 + 2 * 0.5) / 5)
    # Two "cafe" stand for "sport", too, about which people only skipped.
    assert found.falsely_accused
    assert found.falsely_accused.value == pytest.approx(1 / 2.5)
    assert (found.promise, found.people, found.votes, found.missing) == ("open", 1, 5, [])
    bar = next(row for row in found.hashtags if row.name == "bar")
    assert (bar.accused, bar.rightly, bar.wrongly) == (2, 1, 1)
    assert [(row.name, row.misfits, row.judged) for row in found.authors] == [
        ("author 1", 2, 2),
        ("author 0", 0, 2),
    ]
    assert {row.verdict for row in PostedHashtag.objects.all()} == {"fits", "does_not_fit"}
