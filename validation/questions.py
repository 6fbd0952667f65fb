"""What a campaign asks, made of what its model suggests; how the votes on each question stand.

Votes are the truth, questions are made of them and may be made again: `make_questions` is run after every
prediction and change of rules, keeps what still holds and drops what does not.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
from django.db import transaction
from django.db.models import Case, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Least

from jobs.models import Job
from mapping.models import Hashtag
from validation.models import (
    AuthorHashtag,
    Campaign,
    GoldAnswer,
    Participation,
    Photo,
    Prediction,
    Question,
    Vote,
)

CHANCE = random.SystemRandom()
CHUNK = 2000  # rows at a time
THIRDS = (1 / 3, 2 / 3)
BANDS = 3
SLACK = timedelta(minutes=1)
LOCKED_BY = ("photo_id", "hashtag_id", "pk")
Pair = tuple[int, int]  # photo, hashtag
Row = TypeVar("Row")


@transaction.atomic
def make_questions(*, campaign: Campaign) -> int:
    """Ask about everything the campaign's rules want and nothing else; returns how many are new.

    Suggestions that are sure enough, of the hashtags chosen; wrong hashtags on purpose (controls) and what
    the model thought of on photos it kept silent about, as many as the campaign's shares want; known answers
    (gold). Votes given already, wherever, are counted in. Repeating it changes nothing.
    """
    locked = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    _drop_what_is_not_wanted(locked)
    made = _ask_suggestions(locked)
    made += ask_known_answers(campaign=locked)
    made += _ask_silence(locked)
    made += _ask_controls(locked)
    return made


def make_missing_questions() -> int:
    """For campaigns predicted before there were questions; returns for how many. Safe to repeat."""
    asked = Question.objects.filter(campaign_id=OuterRef("pk"))
    old = Campaign.objects.filter(~Exists(asked), job__state=Job.State.SUCCEEDED)
    found = [campaign for campaign in old if wanted(campaign).exists()]
    for campaign in found:
        make_questions(campaign=campaign)
    return len(found)


def needed(*, votes_per_photo: int, extra_votes: int, fits: int, does_not_fit: int) -> int:
    """Answers a question needs: the campaign's number, and one more at a time, up to `extra_votes`, as long
    as people disagree, that is on a tie or a margin of one against somebody.
    """
    split = min(fits, does_not_fit) > 0 and abs(fits - does_not_fit) <= 1
    if not split or fits + does_not_fit < votes_per_photo:
        return votes_per_photo
    return min(votes_per_photo + extra_votes, fits + does_not_fit + 1)


def settle(question: Question, campaign: Campaign) -> None:
    """Set needed and is_done by the question's counts; does not save. Gold has no end: it is asked of all."""
    if question.kind == Question.Kind.GOLD:
        return
    question.needed = needed(
        votes_per_photo=campaign.votes_per_photo,
        extra_votes=campaign.extra_votes if question.kind == Question.Kind.SUGGESTION else 0,
        fits=question.fits,
        does_not_fit=question.does_not_fit,
    )
    question.is_done = question.answers >= question.needed


def settle_all(campaign: Campaign) -> None:
    """As `settle`, for every question of the campaign at once, after a change of its rules; saves."""
    rows = Question.objects.filter(campaign=campaign).exclude(kind=Question.Kind.GOLD)
    votes, answers = campaign.votes_per_photo, F("fits") + F("does_not_fit")
    margin_of_one = Q(fits__lte=F("does_not_fit") + 1, does_not_fit__lte=F("fits") + 1)
    enough_to_see = Q(fits__gte=votes - F("does_not_fit"))
    split = margin_of_one & enough_to_see & Q(fits__gt=0, does_not_fit__gt=0)
    more = Least(Value(votes + campaign.extra_votes), answers + 1)
    extra = When(split & Q(kind=Question.Kind.SUGGESTION), then=more)
    chosen = lock(rows)
    for some in _parts(chosen, CHUNK):
        part = Question.objects.filter(pk__in=some)
        part.update(needed=Case(extra, default=Value(votes)))
        part.update(is_done=Case(When(needed__lte=answers, then=Value(True)), default=Value(False)))


def recount(pairs: Iterable[Pair]) -> int:
    """Count the votes on these photos and hashtags anew, in every campaign that asks about them.

    Returns how many questions were counted. To be called in a transaction; questions are locked in one order,
    across parts too, like everywhere, so that two who do this cannot wait for each other.
    """
    number = 0
    for some in _parts(sorted(set(pairs)), CHUNK // 4):
        asked = Question.objects.filter(photo_id__in={photo for photo, _ in some})
        wanted = set(some)
        questions = [
            one
            for one in asked.select_for_update(of=("self",)).order_by(*LOCKED_BY).select_related("campaign")
            if (one.photo_id, one.hashtag_id) in wanted
        ]
        _count_votes(questions)
        for one in questions:
            settle(one, one.campaign)
        fields = ("fits", "does_not_fit", "skips", "needed", "is_done", "answered_at")
        Question.objects.bulk_update(questions, fields, batch_size=500)
        number += len(questions)
    return number


@transaction.atomic
def count_votes_since(began: datetime) -> int:
    """Count anew what was voted on since then. Whoever voted while make_questions worked could not see its
    questions yet, and did not count along with them; to be called once they are committed.

    And a little before: a vote is dated when it is begun, by another machine's clock, and kept later.
    """
    votes = Vote.objects.filter(created_at__gte=began - SLACK).order_by()
    return recount(votes.values_list("photo_id", "hashtag_id").distinct())


# --- suggestions ------------------------------------------------------------------------------


def wanted(campaign: Campaign) -> QuerySet[Prediction]:
    """The model's suggestions that the rules ask about."""
    rows = Prediction.objects.of(campaign).suggested().filter(photo__withdrawn_at=None)
    if campaign.min_confidence:
        rows = rows.filter(confidence__gte=campaign.min_confidence)
    if chosen := list(campaign.hashtags.values_list("pk", flat=True)):
        rows = rows.filter(hashtag__in=chosen)
    return rows.order_by("pk")


def _drop_what_is_not_wanted(campaign: Campaign) -> None:
    """Their votes stay, and count again when the question comes back."""
    asked = Question.objects.filter(campaign=campaign)
    same = wanted(campaign).filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
    delete(asked.filter(~Exists(same.order_by()), kind=Question.Kind.SUGGESTION))
    gone = Q(photo__withdrawn_at__isnull=False)
    if not campaign.gold_share:
        gone |= Q(kind=Question.Kind.GOLD)
    if not campaign.silence_share:
        gone |= Q(kind=Question.Kind.SILENCE)
    elif chosen := list(campaign.hashtags.values_list("pk", flat=True)):
        gone |= Q(kind=Question.Kind.SILENCE) & ~Q(hashtag__in=chosen)
    known = GoldAnswer.objects.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
    delete(asked.filter(gone | (Q(kind=Question.Kind.GOLD) & ~Exists(known))))


def _ask_suggestions(campaign: Campaign) -> int:
    asked = Question.objects.filter(campaign=campaign)
    same = asked.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
    rows = wanted(campaign).filter(~Exists(same)).values_list("photo_id", "hashtag_id", "confidence")
    new = list(rows)
    if not new:
        return 0
    first, edges = _bands(asked.filter(kind=Question.Kind.SUGGESTION), [sure for *_, sure in new])
    # What joins late has ranks behind people's fronts, too: they begin anew, or would come to it last.
    Participation.objects.filter(campaign=campaign).update(front=0.0)
    made = 0
    for some in _parts(new, CHUNK):
        questions = [
            Question(
                campaign=campaign,
                photo_id=photo,
                hashtag_id=hashtag,
                kind=Question.Kind.SUGGESTION,
                confidence=confidence,
                band=first + sum((confidence or 0.0) >= edge for edge in edges),
            )
            for photo, hashtag, confidence in some
        ]
        made += _create(campaign, questions)
    return made


def _bands(asked: QuerySet[Question], new: list[float | None]) -> tuple[int, list[float]]:
    """The first band of these new questions, and the two confidences that part the thirds.

    Once people have been asked, what joins gets bands of its own: among old and new together those answered
    are no random part. Until then all are banded anew, together.
    """
    top = asked.aggregate(top=Max("band"))["top"]
    first = 0 if top is None else top // BANDS * BANDS
    latest = asked.filter(band__gte=first)
    if latest.filter(~Q(stream="") | Q(fits__gt=0) | Q(does_not_fit__gt=0)).exists():
        first, latest = first + BANDS, asked.none()
    sure = [one for one in (*new, *latest.values_list("confidence", flat=True)) if one is not None]
    edges = [float(edge) for edge in np.quantile(sure, THIRDS)] if sure else []
    if edges:
        low, high = (Q(confidence__gte=edge) for edge in edges)
        latest.update(band=Case(When(high, then=first + 2), When(low, then=first + 1), default=first))
    return first, edges


# --- silence ----------------------------------------------------------------------------------


def _ask_silence(campaign: Campaign) -> int:
    """Photos the model kept silent about, drawn at random, each with the hashtag it thought of first: whether
    people find that it fits says how rightly the model was silent. As many as the share of the suggestions.
    """
    asked = Question.objects.filter(campaign=campaign)
    suggestions = asked.filter(kind=Question.Kind.SUGGESTION).count()
    missing = (
        math.ceil(suggestions * campaign.silence_share) - asked.filter(kind=Question.Kind.SILENCE).count()
    )
    if missing <= 0:
        return 0
    chosen = campaign.hashtags.all() if campaign.hashtags.exists() else Hashtag.objects.all()
    names = dict(chosen.values_list("name", "pk"))
    same = asked.filter(photo_id=OuterRef("photo_id"))
    silent = Prediction.objects.of(campaign).filter(~Exists(same), hashtag=None, photo__withdrawn_at=None)
    drawn = list(silent.order_by().values_list("pk", flat=True))
    CHANCE.shuffle(drawn)
    questions: list[Question] = []
    for some in _parts(drawn, CHUNK):
        rows = silent.filter(pk__in=some).values_list("photo_id", "candidates")
        questions += [one for photo, said in rows if (one := _first_thought(campaign, photo, said, names))]
        if len(questions) >= missing:
            break
    return sum(_create(campaign, part) for part in _parts(questions[:missing], CHUNK))


def _first_thought(
    campaign: Campaign, photo: int, candidates: list[tuple[str, float]], names: dict[str, int]
) -> Question | None:
    """About the likeliest of the hashtags asked about; None where the model thought of none of them."""
    for name, confidence in candidates:
        if name in names:
            kind = Question.Kind.SILENCE
            return Question(
                campaign=campaign, photo_id=photo, hashtag_id=names[name], kind=kind, confidence=confidence
            )
    return None


# --- controls and gold ------------------------------------------------------------------------


def _ask_controls(campaign: Campaign) -> int:
    """Wrong hashtags, on photos drawn at random: none that the model or the photo's author thought of."""
    asked = Question.objects.filter(campaign=campaign)
    suggestions = asked.filter(kind=Question.Kind.SUGGESTION).count()
    controls = asked.filter(kind=Question.Kind.CONTROL)
    missing = math.ceil(suggestions * campaign.control_share) - controls.count()
    if missing <= 0:
        return 0
    mixed_in = (Question.Kind.CONTROL, Question.Kind.SILENCE)  # nobody is asked about a photo twice
    taken = asked.filter(kind__in=mixed_in).values("photo_id")
    free = Prediction.objects.of(campaign).filter(photo__withdrawn_at=None).exclude(photo__in=taken)
    photos = CHANCE.sample(list(free.values_list("photo_id", flat=True)), min(missing, free.count()))
    names = dict(Hashtag.objects.values_list("name", "pk"))
    made = 0
    for some in _parts(photos, CHUNK // 4):
        near = _thought_of(campaign, some)
        questions = []
        for photo in some:
            wrong = sorted(names.keys() - near[photo])
            if wrong:
                kind, hashtag = Question.Kind.CONTROL, names[CHANCE.choice(wrong)]
                questions.append(Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=kind))
        made += _create(campaign, questions)
    return made


def _thought_of(campaign: Campaign, photos: Iterable[int]) -> dict[int, set[str]]:
    """Photo → the hashtags that may fit it: candidates of any model, the author's own, known answers."""
    near: dict[int, set[str]] = {photo: set() for photo in photos}
    said = Prediction.objects.filter(photo__in=near).values_list("photo_id", "hashtag__name", "candidates")
    for photo, name, candidates in said:
        near[photo] |= {str(candidate[0]) for candidate in candidates} | ({name} if name else set())
    for photo, name in AuthorHashtag.objects.filter(photo__in=near).values_list("photo_id", "name"):
        near[photo].add(name)
    for photo, name in GoldAnswer.objects.filter(photo__in=near).values_list("photo_id", "hashtag__name"):
        near[photo].add(name)
    return near


def ask_known_answers(*, campaign: Campaign) -> int:
    """Known answers of any campaign. What this campaign suggests itself stays in its rates."""
    if not campaign.gold_share:
        return 0
    asked = Question.objects.filter(
        campaign=campaign, photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id")
    )
    known = GoldAnswer.objects.filter(~Exists(asked), photo__withdrawn_at=None)
    questions = [
        Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=Question.Kind.GOLD)
        for photo, hashtag in known.values_list("photo_id", "hashtag_id")
    ]
    return sum(_create(campaign, some) for some in _parts(questions, CHUNK))


# --- rows -------------------------------------------------------------------------------------


def _create(campaign: Campaign, questions: list[Question]) -> int:
    _count_votes(questions)
    for question in questions:
        question.rank = CHANCE.random()
        question.needed = campaign.votes_per_photo
        settle(question, campaign)
    # Another kind may ask the same of the photo already: it stands.
    before = Question.objects.filter(campaign=campaign).count()
    Question.objects.bulk_create(questions, ignore_conflicts=True, batch_size=500)
    _mark_shared({question.photo_id for question in questions})
    return Question.objects.filter(campaign=campaign).count() - before


def _mark_shared(photos: set[int]) -> None:
    twins = Question.objects.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
    rows = Question.objects.filter(
        Exists(twins.exclude(pk=OuterRef("pk"))), photo_id__in=photos, shared=False
    )
    Question.objects.filter(pk__in=lock(rows)).update(shared=True)


def lock(rows: QuerySet[Question]) -> list[int]:
    """Numbers of these questions, locked in the order in which everybody locks them (decision 0016)."""
    return list(rows.select_for_update(of=("self",)).order_by(*LOCKED_BY).values_list("pk", flat=True))


def delete(rows: QuerySet[Question]) -> None:
    """Questions and their leases, the questions locked first: whoever votes does so, too."""
    for some in _parts(lock(rows), CHUNK):
        Question.objects.filter(pk__in=some).delete()


def _count_votes(questions: list[Question]) -> None:
    photos = {question.photo_id for question in questions}
    votes = Vote.objects.counting().filter(photo_id__in=photos).order_by()
    counts: Counter[tuple[int, int, str]] = Counter()
    first: dict[Pair, datetime] = {}
    for photo, hashtag, answer, n, at in votes.values_list("photo_id", "hashtag_id", "answer").annotate(
        n=Count("pk"), at=Min("created_at")
    ):
        counts[photo, hashtag, answer] = n
        if answer != Vote.Answer.SKIP:
            first[photo, hashtag] = min(at, first.get((photo, hashtag), at))
    for question in questions:
        pair = question.photo_id, question.hashtag_id
        question.fits = counts[*pair, Vote.Answer.FITS]
        question.does_not_fit = counts[*pair, Vote.Answer.DOES_NOT_FIT]
        question.skips = counts[*pair, Vote.Answer.SKIP]
        question.answered_at = first.get(pair)


def drop_photo(*, photo: Photo, campaign: Campaign | None = None) -> None:
    """Nobody is asked about the photo any more, in one campaign or in any; votes given are kept."""
    questions = Question.objects.filter(photo=photo)
    delete(questions.filter(campaign=campaign) if campaign else questions)


def _parts(rows: list[Row], size: int) -> Iterator[list[Row]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]
