"""What a campaign asks, made of what its model suggests; how the votes on each question stand.

Votes are the truth, questions are made of them and may be made again: `make_questions` is run after every
prediction and change of rules, keeps what still holds and drops what does not.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import numpy as np
from django.db import transaction
from django.db.models import Case, Exists, Max, OuterRef, Q, When

from jobs.models import Job
from mapping.models import Hashtag
from validation.campaigns.counts import CHUNK, count_votes, delete, in_parts, lock, settle
from validation.models import (
    AuthorHashtag,
    Campaign,
    GoldAnswer,
    Participation,
    Photo,
    Prediction,
    PredictionQuerySet,
    Question,
    QuestionQuerySet,
)
from validation.models.answers import JUDGED
from validation.models.questions import has_gold_answer

CHANCE = random.SystemRandom()
THIRDS = (1 / 3, 2 / 3)
BANDS = 3


@transaction.atomic
def make_questions(*, campaign: Campaign) -> int:
    """Ask about everything the campaign's rules want and nothing else; returns how many are new.

    Suggestions that are sure enough, of the hashtags chosen; wrong hashtags on purpose (controls) and what
    the model thought of on photos it kept silent about, as many as the campaign's shares want; known answers
    (gold). Votes given already, wherever, are counted in. Repeating it changes nothing.
    """
    locked = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    _drop_what_is_not_wanted(locked)
    count = _ask_suggestions(locked)
    count += ask_known_answers(campaign=locked)
    count += _ask_silence(locked)
    count += _ask_controls(locked)
    return count


def make_missing_questions() -> int:
    """For campaigns predicted before there were questions; returns for how many. Safe to repeat."""
    questions = Question.objects.filter(campaign_id=OuterRef("pk"))
    old = Campaign.objects.filter(~Exists(questions), job__state=Job.State.SUCCEEDED)
    campaigns = [campaign for campaign in old if wanted(campaign).exists()]
    for campaign in campaigns:
        make_questions(campaign=campaign)
    return len(campaigns)


# --- suggestions ------------------------------------------------------------------------------


def wanted(campaign: Campaign) -> PredictionQuerySet:
    """The model's suggestions that the rules ask about."""
    rows = Prediction.objects.of(campaign).suggested().filter(photo__withdrawn_at=None)
    if campaign.min_confidence:
        rows = rows.filter(confidence__gte=campaign.min_confidence)
    if chosen := list(campaign.hashtags.values_list("pk", flat=True)):
        rows = rows.filter(hashtag__in=chosen)
    return rows.order_by("pk")


def _drop_what_is_not_wanted(campaign: Campaign) -> None:
    """Their votes stay, and count again when the question comes back."""
    questions = Question.objects.of_campaign(campaign)
    same = wanted(campaign).on_outer_pair().order_by()
    delete(questions.suggestions().filter(~Exists(same)))
    unwanted = Q(photo__withdrawn_at__isnull=False)
    if not campaign.gold_share:
        unwanted |= Q(kind=Question.Kind.GOLD)
    if not campaign.silence_share:
        unwanted |= Q(kind=Question.Kind.SILENCE)
    elif chosen := list(campaign.hashtags.values_list("pk", flat=True)):
        unwanted |= Q(kind=Question.Kind.SILENCE) & ~Q(hashtag__in=chosen)
    delete(questions.filter(unwanted | (Q(kind=Question.Kind.GOLD) & ~has_gold_answer())))


def _ask_suggestions(campaign: Campaign) -> int:
    existing = Question.objects.of_campaign(campaign)
    rows = (
        wanted(campaign)
        .filter(~Exists(existing.on_outer_pair()))
        .values_list("photo_id", "hashtag_id", "confidence")
    )
    new = list(rows)
    if not new:
        return 0
    first, edges = _bands(existing.suggestions(), [sure for *_, sure in new])
    # What joins late has ranks behind people's fronts, too: they begin anew, or would come to it last.
    Participation.objects.filter(campaign=campaign).update(front=0.0)
    count = 0
    for some in in_parts(new, CHUNK):
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
        count += _create(campaign, questions)
    return count


def _bands(existing: QuestionQuerySet, new: list[float | None]) -> tuple[int, list[float]]:
    """The first band of these new questions, and the two confidences that part the thirds.

    Once people have been asked, what joins gets bands of its own: among old and new together those answered
    are no random part. Until then all are banded anew, together.
    """
    top = existing.aggregate(top=Max("band"))["top"]
    first = 0 if top is None else top // BANDS * BANDS
    latest = existing.filter(band__gte=first)
    if latest.filter(~Q(stream="") | JUDGED).exists():
        first, latest = first + BANDS, existing.none()
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
    existing = Question.objects.of_campaign(campaign)
    suggestions = existing.suggestions().count()
    missing = math.ceil(suggestions * campaign.silence_share) - existing.silent().count()
    if missing <= 0:
        return 0
    hashtags = campaign.hashtags.all() if campaign.hashtags.exists() else Hashtag.objects.all()
    names = dict(hashtags.values_list("name", "pk"))
    same = existing.filter(photo_id=OuterRef("photo_id"))
    silent = Prediction.objects.of(campaign).filter(~Exists(same), hashtag=None, photo__withdrawn_at=None)
    predictions = list(silent.order_by().values_list("pk", flat=True))
    CHANCE.shuffle(predictions)
    questions: list[Question] = []
    for some in in_parts(predictions, CHUNK):
        rows = silent.filter(pk__in=some).values_list("photo_id", "candidates")
        questions += [one for photo, said in rows if (one := _first_thought(campaign, photo, said, names))]
        if len(questions) >= missing:
            break
    return sum(_create(campaign, part) for part in in_parts(questions[:missing], CHUNK))


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
    existing = Question.objects.of_campaign(campaign)
    suggestions = existing.suggestions().count()
    missing = math.ceil(suggestions * campaign.control_share) - existing.controls().count()
    if missing <= 0:
        return 0
    mixed_in = (Question.Kind.CONTROL, Question.Kind.SILENCE)  # nobody is asked about a photo twice
    busy = existing.filter(kind__in=mixed_in).values("photo_id")
    free = Prediction.objects.of(campaign).filter(photo__withdrawn_at=None).exclude(photo__in=busy)
    photos = CHANCE.sample(list(free.values_list("photo_id", flat=True)), min(missing, free.count()))
    names = dict(Hashtag.objects.values_list("name", "pk"))
    count = 0
    for some in in_parts(photos, CHUNK // 4):
        near = _thought_of(campaign, some)
        questions = []
        for photo in some:
            wrong = sorted(names.keys() - near[photo])
            if wrong:
                kind, hashtag = Question.Kind.CONTROL, names[CHANCE.choice(wrong)]
                questions.append(Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=kind))
        count += _create(campaign, questions)
    return count


def _thought_of(campaign: Campaign, photos: Iterable[int]) -> dict[int, set[str]]:
    """Photo → the hashtags that may fit it: candidates of any model, the author's own, known answers."""
    near: dict[int, set[str]] = {photo: set() for photo in photos}
    predictions = Prediction.objects.filter(photo__in=near).values_list(
        "photo_id", "hashtag__name", "candidates"
    )
    for photo, name, candidates in predictions:
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
    existing = Question.objects.of_campaign(campaign).on_outer_pair()
    new = GoldAnswer.objects.shown().filter(~Exists(existing))
    questions = [
        Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=Question.Kind.GOLD)
        for photo, hashtag in new.values_list("photo_id", "hashtag_id")
    ]
    return sum(_create(campaign, some) for some in in_parts(questions, CHUNK))


# --- rows -------------------------------------------------------------------------------------


def _create(campaign: Campaign, questions: list[Question]) -> int:
    count_votes(questions)
    for question in questions:
        question.rank = CHANCE.random()
        question.needed = campaign.votes_per_photo
        settle(question, campaign)
    # Another kind may ask the same of the photo already: it stands.
    before = Question.objects.of_campaign(campaign).count()
    Question.objects.bulk_create(questions, ignore_conflicts=True, batch_size=500)
    _mark_shared({question.photo_id for question in questions})
    return Question.objects.of_campaign(campaign).count() - before


def _mark_shared(photos: set[int]) -> None:
    twins = Question.objects.on_outer_pair().exclude(pk=OuterRef("pk"))
    rows = Question.objects.filter(Exists(twins), photo_id__in=photos, shared=False)
    Question.objects.filter(pk__in=lock(rows)).update(shared=True)


def drop_photo(*, photo: Photo, campaign: Campaign | None = None) -> None:
    """Nobody is asked about the photo any more, in one campaign or in any; votes given are kept."""
    questions = Question.objects.filter(photo=photo)
    delete(questions.of_campaign(campaign) if campaign else questions)
