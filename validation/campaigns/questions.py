"""Makes a campaign's questions from what its model suggests, or from what authors wrote.

Votes are the source of truth; questions can be made again at any time. `make_questions` runs after every
prediction and every change of rules: it keeps the questions that still apply and deletes the others.
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
from validation.campaigns.counts import CHUNK, count_votes, delete, in_parts, lock, update_needed
from validation.models import (
    AuthorHashtag,
    Campaign,
    GoldAnswer,
    Participation,
    Photo,
    PostedHashtag,
    PostedHashtagQuerySet,
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
    """Make the questions that the campaign's rules ask for, and no others; returns how many are new.

    They are about hashtags that are not blocked: suggestions of the chosen ones with enough confidence; wrong
    hashtags on purpose (controls) and silent suggestions, as many as the campaign's shares say; and known
    answers (gold). In an authors' campaign, they are about the hashtags that were drawn, and known answers.
    Votes already given in any campaign are counted. Repeating it changes nothing.
    """
    current = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=campaign.pk)
    _delete_unwanted(current)
    if current.is_authors:
        return _ask_authors(current) + ask_known_answers(campaign=current)
    count = _ask_suggestions(current)
    count += ask_known_answers(campaign=current)
    count += _ask_silence(current)
    count += _ask_controls(current)
    return count


def make_missing_questions() -> int:
    """Make questions for campaigns that were predicted before questions existed; returns the number of
    campaigns. Safe to repeat.
    """
    questions = Question.objects.filter(campaign_id=OuterRef("pk"))
    old_campaigns = Campaign.objects.predicted().filter(~Exists(questions), job__state=Job.State.SUCCEEDED)
    campaigns = [campaign for campaign in old_campaigns if wanted_suggestions(campaign).exists()]
    for campaign in campaigns:
        make_questions(campaign=campaign)
    return len(campaigns)


# --- suggestions ------------------------------------------------------------------------------


def wanted_suggestions(campaign: Campaign) -> PredictionQuerySet:
    """The model's suggestions that the campaign's rules ask about."""
    rows = Prediction.objects.of(campaign).suggested().filter(photo__withdrawn_at=None)
    if campaign.min_confidence:
        rows = rows.filter(confidence__gte=campaign.min_confidence)
    if hashtag_pks := list(campaign.hashtags.values_list("pk", flat=True)):
        rows = rows.filter(hashtag__in=hashtag_pks)
    return rows.order_by("pk")


def _delete_unwanted(campaign: Campaign) -> None:
    """Their votes stay, and count again when the question comes back."""
    questions = Question.objects.of_campaign(campaign)
    if not questions.exists():  # as in a new campaign
        return
    own = _drawn_hashtags(campaign) if campaign.is_authors else wanted_suggestions(campaign)
    same_pair = own.on_outer_pair().order_by()
    if not campaign.is_authors:
        # One about a blocked hashtag is kept: nobody is asked meanwhile, and unblocking brings it back.
        delete(questions.suggestions().offered().filter(~Exists(same_pair)))
    # A known answer may be asked before the photos are judged. What the campaign asks by itself is its own.
    delete(questions.gold().filter(Exists(same_pair)))
    condition = Q(photo__withdrawn_at__isnull=False)
    if not campaign.gold_share:
        condition |= Q(kind=Question.Kind.GOLD)
    if not campaign.silence_share:
        condition |= Q(kind=Question.Kind.SILENCE)
    elif hashtag_pks := list(campaign.hashtags.values_list("pk", flat=True)):
        condition |= Q(kind=Question.Kind.SILENCE) & ~Q(hashtag__in=hashtag_pks)
    delete(questions.filter(condition | (Q(kind=Question.Kind.GOLD) & ~has_gold_answer())))


def _ask_suggestions(campaign: Campaign) -> int:
    existing = Question.objects.of_campaign(campaign)
    rows = (
        wanted_suggestions(campaign)
        .filter(~Exists(existing.on_outer_pair()))
        .values_list("photo_id", "hashtag_id", "confidence")
    )
    new = list(rows)
    if not new:
        return 0
    first, edges = _bands(existing.suggestions(), [confidence for *_, confidence in new])
    # New questions may have ranks behind people's fronts: without a reset, people would come to them last.
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
    """The first band of these new questions, and the two confidences between the thirds.

    Once people have been asked, new questions get bands of their own: in a band of old and new ones, the
    answered questions would not be a random sample. Until then, old and new are divided again together.
    """
    top = existing.aggregate(top=Max("band"))["top"]
    first = 0 if top is None else top // BANDS * BANDS
    latest = existing.filter(band__gte=first)
    if latest.filter(~Q(stream="") | JUDGED).exists():
        first, latest = first + BANDS, existing.none()
    confidences = [one for one in (*new, *latest.values_list("confidence", flat=True)) if one is not None]
    edges = [float(edge) for edge in np.quantile(confidences, THIRDS)] if confidences else []
    if edges:
        low, high = (Q(confidence__gte=edge) for edge in edges)
        latest.update(band=Case(When(high, then=first + 2), When(low, then=first + 1), default=first))
    return first, edges


# --- authors' hashtags ------------------------------------------------------------------------


def _drawn_hashtags(campaign: Campaign) -> PostedHashtagQuerySet:
    drawn = PostedHashtag.objects.of_campaign(campaign).offered()
    return drawn.filter(is_drawn=True, photo__withdrawn_at=None)


def _ask_authors(campaign: Campaign) -> int:
    """Ask about the authors' hashtags that were drawn. Those that join after people have been asked get a
    band of their own: in a band of old and new ones, the answered questions would not be a random sample.
    """
    existing = Question.objects.of_campaign(campaign)
    drawn = _drawn_hashtags(campaign).filter(~Exists(existing.on_outer_pair()))
    new = list(drawn.order_by("pk").values_list("photo_id", "hashtag_id"))
    if not new:
        return 0
    asked = existing.filter(kind=Question.Kind.AUTHOR)
    band = asked.aggregate(top=Max("band"))["top"] or 0
    if asked.filter(~Q(stream="") | JUDGED, band=band).exists():
        band += 1
    Participation.objects.filter(campaign=campaign).update(front=0.0)
    kind, count = Question.Kind.AUTHOR, 0
    for some in in_parts(new, CHUNK):
        questions = [
            Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=kind, band=band)
            for photo, hashtag in some
        ]
        count += _create(campaign, questions)
    return count


# --- silence ----------------------------------------------------------------------------------


def _ask_silence(campaign: Campaign) -> int:
    """Draw photos on which the model kept silent, at random, and ask about the hashtag it ranked first. How
    often people find that it fits shows how often silence was wrong. Their number is a share of that of the
    suggestions.
    """
    if not campaign.silence_share:
        return 0
    existing = Question.objects.of_campaign(campaign)
    suggestions = existing.suggestions().offered().count()
    missing = math.ceil(suggestions * campaign.silence_share) - existing.silent().offered().count()
    if missing <= 0:
        return 0
    hashtags = campaign.hashtags.all() if campaign.hashtags.exists() else Hashtag.objects.all()
    names = dict(hashtags.unblocked().values_list("name", "pk"))
    same_photo = existing.filter(photo_id=OuterRef("photo_id"))
    silent = Prediction.objects.of(campaign).silent().filter(~Exists(same_photo), photo__withdrawn_at=None)
    predictions = list(silent.order_by("pk").values_list("pk", flat=True))
    _chance(campaign, "silence").shuffle(predictions)
    questions: list[Question] = []
    for some in in_parts(predictions, CHUNK):
        rows = silent.filter(pk__in=some).values_list("photo_id", "candidates")
        questions += [
            question
            for photo, candidates in rows
            if (question := _silent_suggestion(campaign, photo, candidates, names))
        ]
        if len(questions) >= missing:
            break
    return sum(_create(campaign, part) for part in in_parts(questions[:missing], CHUNK))


def _silent_suggestion(
    campaign: Campaign, photo: int, candidates: list[tuple[str, float]], names: dict[str, int]
) -> Question | None:
    """A question about the candidate that the model ranked first among these hashtags; None if it ranked
    none of them.
    """
    for name, confidence in candidates:
        if name in names:
            kind = Question.Kind.SILENCE
            return Question(
                campaign=campaign, photo_id=photo, hashtag_id=names[name], kind=kind, confidence=confidence
            )
    return None


# --- controls and gold ------------------------------------------------------------------------


def _ask_controls(campaign: Campaign) -> int:
    """Ask about wrong hashtags on photos drawn at random: hashtags that no model and no author thought of."""
    if not campaign.control_share:
        return 0
    existing = Question.objects.of_campaign(campaign)
    suggestions = existing.suggestions().offered().count()
    missing = math.ceil(suggestions * campaign.control_share) - existing.controls().offered().count()
    if missing <= 0:
        return 0
    mixed_in = (Question.Kind.CONTROL, Question.Kind.SILENCE)  # nobody is asked about a photo twice
    photos_in_use = existing.filter(kind__in=mixed_in).values("photo_id")
    free = Prediction.objects.of(campaign).filter(photo__withdrawn_at=None).exclude(photo__in=photos_in_use)
    chance = _chance(campaign, "controls")
    photos = chance.sample(sorted(free.values_list("photo_id", flat=True)), min(missing, free.count()))
    names = dict(Hashtag.objects.unblocked().values_list("name", "pk"))
    count = 0
    for some in in_parts(photos, CHUNK // 4):
        possible_names = _possible_hashtags(some)
        questions = []
        for photo in some:
            wrong_names = sorted(names.keys() - possible_names[photo])
            if wrong_names:
                kind, hashtag = Question.Kind.CONTROL, names[chance.choice(wrong_names)]
                questions.append(Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=kind))
        count += _create(campaign, questions)
    return count


def _possible_hashtags(photos: Iterable[int]) -> dict[int, set[str]]:
    """Photo → the hashtags that may fit it: candidates of any model, the author's own, known answers."""
    names: dict[int, set[str]] = {photo: set() for photo in photos}
    predictions = Prediction.objects.filter(photo__in=names).values_list(
        "photo_id", "hashtag__name", "candidates"
    )
    for photo, name, candidates in predictions:
        names[photo] |= {str(candidate[0]) for candidate in candidates} | ({name} if name else set())
    for photo, name in AuthorHashtag.objects.filter(photo__in=names).values_list("photo_id", "name"):
        names[photo].add(name)
    for photo, name in GoldAnswer.objects.filter(photo__in=names).values_list("photo_id", "hashtag__name"):
        names[photo].add(name)
    return names


def ask_known_answers(*, campaign: Campaign) -> int:
    """Ask about the known answers of all campaigns. What this campaign itself suggests stays a suggestion,
    and counts in its rates.
    """
    if not campaign.gold_share or campaign.is_made_up:
        return 0
    existing = Question.objects.of_campaign(campaign).on_outer_pair()
    new = GoldAnswer.objects.shown().offered().filter(~Exists(existing))
    questions = [
        Question(campaign=campaign, photo_id=photo, hashtag_id=hashtag, kind=Question.Kind.GOLD)
        for photo, hashtag in new.values_list("photo_id", "hashtag_id")
    ]
    return sum(_create(campaign, some) for some in in_parts(questions, CHUNK))


# --- rows -------------------------------------------------------------------------------------


def _chance(campaign: Campaign, about: str) -> random.Random:
    """Real draws cannot be foreseen. Those of the made-up campaign are the same each time."""
    return random.Random(about) if campaign.is_made_up else CHANCE  # noqa: S311


def _create(campaign: Campaign, questions: list[Question]) -> int:
    count_votes(questions)
    chance = _chance(campaign, questions[0].kind if questions else "")
    for question in questions:
        question.rank = chance.random()
        question.needed = campaign.votes_per_photo
        update_needed(question, campaign)
    # A question of another kind may have the same photo and hashtag: it is kept.
    before = Question.objects.of_campaign(campaign).count()
    Question.objects.bulk_create(questions, ignore_conflicts=True, batch_size=500)
    _mark_shared({question.photo_id for question in questions})
    return Question.objects.of_campaign(campaign).count() - before


def _mark_shared(photos: set[int]) -> None:
    """Votes given in an authors' campaign count in no other kind, so it shares none with them."""
    twins = Question.objects.on_outer_pair().exclude(pk=OuterRef("pk"))
    predicted = twins.filter(campaign__kind=Campaign.Kind.PREDICTED)
    counted = Q(Exists(predicted)) | Q(Exists(twins), campaign__kind=Campaign.Kind.AUTHORS)
    rows = Question.objects.filter(counted, photo_id__in=photos, shared=False)
    Question.objects.filter(pk__in=lock(rows)).update(shared=True)


def drop_photo(*, photo: Photo, campaign: Campaign | None = None) -> None:
    """Delete the questions about a photo, in one campaign or in all, and what was drawn of its author's
    hashtags; its votes are kept.
    """
    questions, posted = Question.objects.filter(photo=photo), PostedHashtag.objects.filter(photo=photo)
    delete(questions.of_campaign(campaign) if campaign else questions)
    (posted.of_campaign(campaign) if campaign else posted).delete()
