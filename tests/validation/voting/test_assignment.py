"""Who is asked what: by rank, once each, never more people than a question needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from mapping.models import Hashtag
from tests.conftest import wait_for
from tests.validation.conftest import MakeCampaign, MakeVote, taken_in
from trainer.models import TrainedModel
from validation.agreement.lists import progress_of
from validation.campaigns.questions import make_questions
from validation.models import Campaign, GoldAnswer, Participation, Prediction, Question, QuestionLease, Vote
from validation.people import crowd
from validation.voting import assignment, teaching, votes
from validation.voting.assignment import next_questions, progress
from validation.voting.teaching import worth_asking

pytestmark = pytest.mark.postgres
UserFor = Callable[..., User]


@pytest.fixture(autouse=True)
def clear_cache() -> None:
    teaching._cache.clear()


def answer(campaign: Campaign, question: Question, person: User, verdict: str = "fits") -> Vote:
    return votes.record_vote(
        campaign=campaign,
        photo=question.photo,
        hashtag=question.hashtag,
        person=person,
        answer=verdict,
        request_id=uuid4(),
    )


def in_turn(campaign: Campaign, person: User, verdict: str = "fits") -> list[int]:
    order = []
    while questions := next_questions(campaign=campaign, person=person):
        order.append(questions[0].photo_id)
        answer(campaign, questions[0], person, verdict)
    return order


@pytest.mark.parametrize("audit_share", [0.0, 0.5, 1.0])
def test_everybody_sees_every_photo_once(
    make_campaign: MakeCampaign, user_for: UserFor, audit_share: float
) -> None:
    campaign = make_campaign(*["cafe", "bar"] * 4, votes_per_photo=2, audit_share=audit_share)
    for name in "ab":
        order = in_turn(campaign, user_for("validator", name))
        assert len(order) == len(set(order)) == 8
    assert next_questions(campaign=campaign, person=user_for("validator", "c")) == []
    assert set(Question.objects.values_list("is_done", "fits")) == {(True, 2)}


def test_vote_that_arrives_in_between_is_not_counted_and_asked_for_again(
    make_campaign: MakeCampaign, user_for: UserFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is left sends its vote while the next one is made."""
    campaign, person = make_campaign("cafe", "bar", "sport"), user_for("validator", "a")
    [first] = next_questions(campaign=campaign, person=person)
    voted: list[Vote] = []

    def then_vote(step: Callable[..., object]) -> Callable[..., object]:
        def run(**arguments: object) -> object:
            result = step(**arguments)
            if not voted:
                voted.append(answer(campaign, first, person))
            return result

        return run

    for step in (assignment.next_questions, assignment.progress):
        monkeypatch.setattr(assignment, step.__name__, then_vote(step))
    batch = assignment.assign(campaign=campaign, person=person, most=3)
    assert voted
    assert batch.done + len(batch.questions) <= 3
    assert first.pk not in [one.pk for one in batch.questions]


def test_the_audit_stream_is_the_order_of_ranks(make_campaign: MakeCampaign, user_for: UserFor) -> None:
    campaign = make_campaign(*["cafe", "bar", "sport"] * 3, audit_share=1.0)
    by_rank = list(Question.objects.order_by("rank").values_list("photo_id", flat=True))
    assert in_turn(campaign, user_for("validator", "a")) == by_rank
    assert in_turn(campaign, user_for("validator", "b"), "skip") == by_rank
    assert set(Question.objects.values_list("stream", flat=True)) == {"audit"}


def test_the_active_stream_prefers_where_an_answer_teaches_most(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    """Twenty photos of one hashtag, ten answered: each of the two photos of the other weighs far more."""
    campaign = make_campaign(*["cafe"] * 20, *["bar"] * 2, votes_per_photo=1, audit_share=0.0)
    for number in range(10):
        vote_as(campaign, number, "fits")
    weights = {hashtag: weight for (hashtag, _), weight in worth_asking(campaign)}
    names = dict(Hashtag.objects.values_list("pk", "name"))
    by_name = {names[hashtag]: weight for hashtag, weight in weights.items()}
    assert by_name["bar"] > 20 * by_name["cafe"] > 0


def test_a_stratum_weighs_by_the_square_of_its_share_of_the_hashtag(make_campaign: MakeCampaign) -> None:
    campaign = make_campaign(*["cafe"] * 4)
    Question.objects.update(band=0)
    Question.objects.filter(pk=Question.objects.order_by("pk")[0].pk).update(band=1)
    weights = {band: weight for (_, band), weight in worth_asking(campaign)}
    # Nobody has answered: p is ½, so p (1 − p) is 0.25, and the divisor is 1 · 2.
    assert weights == {0: pytest.approx(0.75**2 * 0.25 / 2), 1: pytest.approx(0.25**2 * 0.25 / 2)}


def test_within_a_stratum_the_lowest_rank_comes_first(make_campaign: MakeCampaign, user_for: UserFor) -> None:
    campaign = make_campaign(*["cafe"] * 6, audit_share=0.0)
    by_rank = list(Question.objects.order_by("rank").values_list("photo_id", flat=True))
    assert in_turn(campaign, user_for("validator")) == by_rank
    assert set(Question.objects.values_list("stream", flat=True)) == {"active"}


def test_questions_that_nobody_holds_come_first(make_campaign: MakeCampaign, user_for: UserFor) -> None:
    campaign = make_campaign("cafe", "cafe", votes_per_photo=1)
    ann, bob = user_for("validator", "ann"), user_for("validator", "bob")
    (first,) = next_questions(campaign=campaign, person=ann)
    assert next_questions(campaign=campaign, person=ann) == [first]  # a reload dodges nothing
    (second,) = next_questions(campaign=campaign, person=bob, most=3)  # and nothing beyond the seats
    assert second != first


def test_question_held_by_somebody_idle_is_given_to_others(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Both answers count, also the one that comes after its lease, from a person who has looked."""
    campaign = make_campaign("cafe", votes_per_photo=1)
    ann, bob = user_for("validator", "ann"), user_for("validator", "bob")
    (question,) = next_questions(campaign=campaign, person=ann, most=3)
    assert next_questions(campaign=campaign, person=bob) == [question]
    assert progress(campaign=campaign, person=bob).left == 1
    answer(campaign, question, bob)
    assert next_questions(campaign=campaign, person=ann) == []  # nobody is asked for more than is needed
    QuestionLease.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    answer(campaign, question, ann)
    question.refresh_from_db()
    assert (question.fits, question.needed, question.is_done) == (2, 1, True)


def test_answer_beyond_the_quota_can_be_undone_and_given_again(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    campaign = make_campaign("cafe", votes_per_photo=1)
    ann, bob = user_for("validator", "ann"), user_for("validator", "bob")
    (question,) = next_questions(campaign=campaign, person=ann)
    assert next_questions(campaign=campaign, person=bob) == [question]
    answer(campaign, question, bob)
    vote = answer(campaign, question, ann)
    votes.undo_vote(campaign=campaign, person=ann, request_id=vote.request_id)
    again = assignment.assign(campaign=campaign, person=ann, photo=question.photo_id)
    assert again.question == question
    answer(campaign, question, ann, "does_not_fit")
    question.refresh_from_db()
    # A tie, which asks for another answer; whoever comes next gets it.
    assert (question.fits, question.does_not_fit, question.needed) == (1, 1, 3)
    assert next_questions(campaign=campaign, person=user_for("validator", "cem")) == [question]
    assert next_questions(campaign=campaign, person=bob) == []


def test_vote_without_a_lease_is_kept_if_an_answer_is_free(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """A vote from a page that was offline for longer than the lease is kept if it is still needed."""
    campaign = make_campaign("cafe", votes_per_photo=2)
    (question,) = Question.objects.all()
    for name in "ab":
        answer(campaign, question, user_for("validator", name))
    with pytest.raises(votes.VoteRefused):
        answer(campaign, question, user_for("validator", "c"))
    answer(campaign, question, user_for("validator", "c"), "skip")  # asks for nothing
    question.refresh_from_db()
    assert (question.fits, question.skips, question.is_done) == (2, 1, True)


def test_nobody_is_asked_about_their_own_photo_or_the_same_photo_twice(
    make_campaign: MakeCampaign, user_for: UserFor, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "cafe", control_share=1.0, audit_share=1.0)
    Question.objects.filter(kind="control").delete()
    mine, theirs = campaign.photos.order_by("pk")
    person = user_for("validator")
    mine.added_by = person
    mine.save()
    Question.objects.create(
        campaign=campaign, photo=theirs, hashtag=hashtags["bar"], kind="control", rank=0.5, needed=3
    )
    assert in_turn(campaign, person) == [theirs.pk]


@pytest.mark.parametrize(("only_unseen", "asked"), [(True, ["new"]), (False, ["again", "new"])])
def test_a_photo_seen_in_another_campaign_is_asked_about_again_only_if_the_rules_allow_it(
    make_campaign: MakeCampaign, user_for: UserFor, model: TrainedModel, only_unseen: bool, asked: list[str]
) -> None:
    """It is suggested by another model with another hashtag; nobody is asked twice about the same hashtag."""
    person = user_for("validator")
    in_turn(make_campaign("cafe", "bar", name="First"), person)
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", "sport", "cafe", name="Second", by_model=newer, only_unseen=only_unseen)
    names = dict(
        zip(second.photos.order_by("pk").values_list("pk", flat=True), ("same", "again", "new"), strict=True)
    )
    left = progress(campaign=second, person=person).left
    assert progress_of([second], person=person)[second.pk].left == left == len(asked)
    assert sorted(names[photo] for photo in in_turn(second, person)) == asked


def test_a_photo_answered_elsewhere_meanwhile_is_no_longer_handed_out(
    make_campaign: MakeCampaign, user_for: UserFor, model: TrainedModel
) -> None:
    """It was held in this campaign when the same person answered it in another, under another hashtag."""
    person = user_for("validator")
    first = make_campaign("cafe", name="First")
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("bar", name="Second", by_model=newer)
    (question,) = next_questions(campaign=first, person=person)
    answer(second, Question.objects.get(campaign=second), person)
    assert next_questions(campaign=first, person=person) == []
    Campaign.objects.update(only_unseen=False)
    first.refresh_from_db()
    assert next_questions(campaign=first, person=person) == [question]


def test_question_reopened_behind_a_persons_front_is_asked_last(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """People continue from their front, so that thousands of answers are not searched each time."""
    campaign = make_campaign(*["cafe"] * 6, votes_per_photo=1, audit_share=1.0)
    by_rank = list(Question.objects.order_by("rank"))
    ann, bob = user_for("validator", "ann"), user_for("validator", "bob")
    assert next_questions(campaign=campaign, person=ann) == [by_rank[0]]
    for number in (1, 2):
        (question,) = next_questions(campaign=campaign, person=bob)
        assert question == by_rank[number]
        answer(campaign, question, bob)
    (ahead,) = next_questions(campaign=campaign, person=bob)
    assert (ahead, front(campaign, bob)) == (by_rank[3], by_rank[3].rank)
    QuestionLease.objects.filter(person=ann).delete()
    assert progress(campaign=campaign, person=bob).left == 4
    answer(campaign, ahead, bob)
    assert in_turn(campaign, bob) == [by_rank[at].photo_id for at in (4, 5, 0)]
    assert next_questions(campaign=campaign, person=bob) == []


def front(campaign: Campaign, person: User) -> float:
    return Participation.objects.get(campaign=campaign, person=person).front


def test_silent_suggestions_are_mixed_in_like_controls(
    make_campaign: MakeCampaign, user_for: UserFor, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "cafe", None, None, votes_per_photo=1, silence_share=0.5)
    Prediction.objects.filter(hashtag=None).update(candidates=[["bar", 0.4], ["other", 0.3]])
    make_questions(campaign=campaign)
    (silent,) = Question.objects.filter(kind="silence")
    person = user_for("validator")
    assert progress(campaign=campaign, person=person).left == 3
    assert silent.photo_id in in_turn(campaign, person, "does_not_fit")
    assert Question.objects.get(pk=silent.pk).is_done


def test_closed_and_ended_campaigns_ask_nothing(make_campaign: MakeCampaign, user_for: UserFor) -> None:
    campaign = make_campaign("cafe")
    campaign.closes_at = timezone.now() - timedelta(seconds=1)
    campaign.save()
    assert next_questions(campaign=campaign, person=user_for("validator")) == []
    with pytest.raises(votes.CampaignClosed):
        answer(campaign, Question.objects.get(), user_for("validator"))


def test_known_answers_are_mixed_in_and_never_asked_alone(
    make_campaign: MakeCampaign, user_for: UserFor, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", votes_per_photo=1, gold_share=1.0)
    gold = [taken_in(60 + number) for number in range(3)]
    for photo in gold:
        GoldAnswer.objects.create(photo=photo, hashtag=hashtags["sport"], fits=True)
    make_questions(campaign=campaign)
    ann = user_for("validator", "ann")
    before = progress(campaign=campaign, person=ann)
    question = next_questions(campaign=campaign, person=ann)[0]
    assert question.kind == "gold"
    answer(campaign, question, ann)
    after = progress(campaign=campaign, person=ann)
    assert (before.total, after.total, after.done) == (2, 2, 1)  # the numbers do not tell
    answer(campaign, Question.objects.get(kind="suggestion"), ann)
    QuestionLease.objects.all().delete()
    assert next_questions(campaign=campaign, person=user_for("validator", "bob")) == []


def test_what_is_left_is_counted_for_each_person(
    make_campaign: MakeCampaign, vote_as: MakeVote, user_for: UserFor
) -> None:
    campaign = make_campaign("cafe", "bar", "sport", votes_per_photo=1)
    ann = user_for("validator", "ann")
    vote_as(campaign, 0, "fits", "bob")
    vote_as(campaign, 1, "skip", "ann")
    next_questions(campaign=campaign, person=ann)
    assert progress(campaign=campaign, person=ann) == assignment.Progress(done=1, left=1, total=2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_twelve_simultaneous_voters_answer_everything(make_campaign: MakeCampaign, user_for: UserFor) -> None:
    """At the end they are asked about questions that others hold: some get more answers than needed."""
    campaign = make_campaign(*["cafe", "bar"] * 5, votes_per_photo=2, extra_votes=1)
    people = [user_for("validator", f"p{number}") for number in range(12)]

    def vote(person: User) -> int:
        try:
            return len(in_turn(campaign, person, "fits" if person.pk % 2 else "does_not_fit"))
        finally:
            connection.close()

    with ThreadPoolExecutor(len(people)) as threads:
        count = sum(threads.map(vote, people))
    # After a tie, somebody who has left may be needed again.
    count += sum(vote(person) for person in people)
    questions = list(Question.objects.all())
    assert count == Vote.objects.count() == sum(one.answers for one in questions)
    assert {one.answers >= one.needed and one.is_done for one in questions} == {True}
    assert max(one.needed for one in questions) <= 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_simultaneous_copies_of_a_vote_are_all_answered_as_kept(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """The sender of a waiting copy must not be told that others have answered: it was their own vote."""
    campaign = make_campaign(*["cafe"] * 5, votes_per_photo=1)
    person = user_for("validator")

    def send(question: Question, request_id: UUID) -> Vote:
        try:
            return votes.record_vote(
                campaign=campaign,
                photo=question.photo_id,
                hashtag=question.hashtag_id,
                person=person,
                answer="fits",
                request_id=request_id,
            )
        finally:
            connection.close()

    for question in Question.objects.all():
        with ThreadPoolExecutor(6) as threads:
            replies = list(threads.map(send, [question] * 6, [uuid4()] * 6))
        assert len(set(replies)) == 1
    assert Vote.objects.count() == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_vote_given_while_its_person_is_set_aside_does_not_count(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Neither waits for the other for ever, and no vote slips in between."""
    campaign = make_campaign(*["cafe"] * 12, votes_per_photo=9)
    admin = user_for("admin")
    for name in "abcd":
        _vote_and_be_set_aside(campaign, user_for("validator", name), admin)
    assert Vote.objects.filter(set_aside=True).count() >= 4
    assert not Vote.objects.filter(set_aside=False).exists()
    assert {one.answers for one in Question.objects.all()} == {0}


def _vote_and_be_set_aside(campaign: Campaign, careless: User, admin: User) -> None:
    start = Event()

    def vote() -> None:
        try:
            while questions := next_questions(campaign=campaign, person=careless):
                answer(campaign, questions[0], careless)
                start.set()
        except votes.PersonPaused:
            pass
        finally:
            start.set()
            connection.close()

    def set_aside() -> None:
        try:
            start.wait()
            assert crowd.set_aside(person=careless, by=admin)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        for act in [threads.submit(vote), threads.submit(set_aside)]:
            act.result()


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_nobody_reads_all_done_because_somebody_is_about_to_skip(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """The last question is being answered while somebody else asks: they wait for it and get it."""
    campaign = make_campaign("cafe", votes_per_photo=1)
    (question,) = Question.objects.all()
    with asked_meanwhile(campaign, user_for("validator", "bob")) as next_for_bob:
        answer(campaign, question, user_for("validator", "ann"), "skip")
    assert next_for_bob() == [question]


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_question_being_answered_is_not_handed_to_the_same_person_again(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Their vote is not committed yet when the next question is drawn."""
    campaign = make_campaign("cafe")
    person = user_for("validator")
    with asked_meanwhile(campaign, person) as next_again:
        answer(campaign, Question.objects.get(), person)
    assert next_again() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_nobody_reads_all_done_because_the_first_seat_went_to_somebody_else(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Both questions are locked. The one waited for has no free seat any more, but the other one has."""
    campaign = make_campaign("cafe", "cafe", votes_per_photo=1, audit_share=1.0)
    first, free = Question.objects.order_by("rank")
    with asked_meanwhile(campaign, user_for("validator", "bob")) as next_for_bob:
        list(Question.objects.select_for_update())
        assignment.lease(question=first, person=user_for("validator", "ann"))
    assert next_for_bob() == [free]


@contextmanager
def asked_meanwhile(campaign: Campaign, person: User) -> Iterator[Callable[[], list[Question]]]:
    """Ask for a question while a transaction is open; on PostgreSQL the request waits for it."""

    def ask() -> list[Question]:
        try:
            return next_questions(campaign=campaign, person=person)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        answers: list[Future[list[Question]]] = []
        yield lambda: answers[0].result()
        answers.append(threads.submit(ask))
        if connection.vendor == "postgresql":
            wait_for(somebody_waits, 10, "nobody waits for the question")


def somebody_waits() -> bool:
    """Wait for a lock, on PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's transactions wait for each other")
def test_vote_locks_its_person_but_not_rows_that_refer_to_them(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """A lease does not wait meanwhile: waiting for each other's rows would be a deadlock."""
    campaign = make_campaign("cafe", "cafe")
    first, second = Question.objects.order_by("pk")
    person = user_for("validator")

    def meanwhile() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '5s'")
                assignment.lease(question=second, person=person)
            with transaction.atomic(), pytest.raises(OperationalError):
                User.objects.select_for_update(nowait=True, no_key=True).get(pk=person.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        answer(campaign, first, person)
        threads.submit(meanwhile).result()
