"""A made-up crowd: its votes show how the dashboard looks before anybody has voted.

It votes in a campaign of its own, on copies of the sample photos, by the functions that real votes take. The
mark is `Campaign.is_made_up`, and nothing else: the voters are guests of that campaign, and its photos are in
no other one. A vote is about a photo and a hashtag, so votes on the copies count in no real campaign
(decision 0044).

The crowd is drawn from fixed seeds, so that it votes alike wherever the model suggests alike.
"""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from formats.texts import Text
from jobs import queue as jobs
from jobs.lease import Lease
from jobs.models import Job
from notices.models import Notice
from people.deeds import record
from trainer.registry import serving
from validation.campaigns.counts import delete, recount
from validation.campaigns.predicting import predict
from validation.campaigns.questions import drop_photo
from validation.models import Campaign, Guest, Photo, Question, Vote
from validation.models.answers import Answer
from validation.photos.store import remove, take_in
from validation.sample import sample_files
from validation.voting.votes import record_vote, say_more

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import AbstractBaseUser

KIND = "validation.make_up_votes"
NAME = "Made-up votes on the sample photos"
RULES = {"votes_per_photo": 5, "gold_share": 0.0, "control_share": 0.2, "silence_share": 0.1}
MARK = b"made up"  # behind the bytes of a sample photo: the same picture, but another file
DAYS = 9  # over which the votes are spread
WOULD_POST = 0.2  # share of the votes after which the crowd says whether it would post the hashtag


@dataclass(frozen=True)
class Character:
    """How a made-up voter looks at photos."""

    people: int
    right: float  # share of answers that are what the photo shows; the others are “fits”
    seconds: tuple[float, float]  # an answer takes, from and to
    reasons: float  # share of disagreements for which they say why


CROWD = {
    "careful": Character(4, right=0.95, seconds=(1.8, 7.0), reasons=0.7),
    "hasty": Character(2, right=0.8, seconds=(0.4, 1.4), reasons=0.2),
    "careless": Character(2, right=0.35, seconds=(0.9, 3.0), reasons=0.0),
}
REASONS = (Vote.Reason.WRONG_SCENE, Vote.Reason.TOO_GENERAL, Vote.Reason.TOO_SPECIFIC)
# How often a hashtag fits, by the kind of question.
FITTING = {Question.Kind.SUGGESTION: 0.88, Question.Kind.SILENCE: 0.3}


class CannotMakeUp(Exception):
    """Why no made-up crowd votes; the message is for the person who asked."""


def campaign() -> Campaign | None:
    """The made-up campaign, finished or not."""
    return Campaign.objects.made_up().select_related("job").first()


@transaction.atomic
def make(*, by: AbstractBaseUser) -> tuple[Campaign, bool]:
    """Start the job that makes a crowd up and lets it vote. The campaign, and whether it is new: there is one
    at most. Raises CannotMakeUp.
    """
    if not settings.DEMO:
        raise CannotMakeUp(_("Made-up votes are for demonstrations: SCENETAG_DEMO is not set."))
    if earlier := campaign():
        return earlier, False
    model = serving.active_model()
    if model is None:
        raise CannotMakeUp(_("A made-up crowd needs suggestions to vote on: promote a model first."))
    new = Campaign(name=NAME, model=model, is_made_up=True, created_by_id=by.pk, **RULES)
    try:
        with transaction.atomic():
            new.save()
    except IntegrityError:
        if earlier := campaign():  # somebody else was faster
            return earlier, False
        raise CannotMakeUp(
            _("There is a campaign “%(name)s” already: rename it first.") % {"name": NAME}
        ) from None
    url = f"{reverse('validation:agreement')}?campaign={new.pk}"
    new.job = jobs.enqueue(kind=KIND, title=Text("Let a made-up crowd vote"), by=by, url=url)
    new.save(update_fields=["job"])
    record(by=by, what="make up votes", about=f"“{new}”")
    return new, True


@transaction.atomic
def remove_all(*, seen: int, by: AbstractBaseUser | None) -> bool:
    """Remove the made-up campaign `seen` on the page, with its voters, votes, photos, job and notices; also
    one that is half made. False if it is gone already. Nothing that is real goes.
    """
    job = Job.objects.filter(campaign=seen, campaign__is_made_up=True)
    list(job.select_for_update(of=("self",)))  # a step of the job is done, or not begun
    row = Campaign.objects.made_up().filter(pk=seen).first()
    if row is None:
        return False
    copies = list(Photo.objects.filter(campaigns=row).exclude(campaigns__in=Campaign.objects.real()))
    voters = list(User.objects.filter(guest__campaign=row).values_list("pk", flat=True))
    made_by = row.job
    record(by=by, what="remove made-up votes", about=f"“{row}”")
    delete(row.questions.all())
    row.delete()
    User.objects.filter(pk__in=voters).delete()
    Photo.objects.filter(pk__in=[copy.pk for copy in copies]).delete()
    if made_by:
        made_by.delete()
        Notice.objects.filter(url=made_by.url).delete()
    names = [name for copy in copies for name in _files(copy)]
    transaction.on_commit(lambda: remove(names))
    return True


def forget_copy_of(photo: Photo) -> None:
    """Delete the copy of a photo, which was withdrawn, and the votes on it."""
    row = campaign()
    if row is None:
        return
    raws = (path.read_bytes() for path, _ in sample_files())
    hashes = [_sha256(raw + MARK) for raw in raws if _sha256(raw) == photo.sha256]
    for copy in row.photos.filter(sha256__in=hashes):
        drop_photo(photo=copy)
        names = _files(copy)
        copy.delete()
        transaction.on_commit(partial(remove, names))


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _files(photo: Photo) -> list[str]:
    return [str(file.name) for file in (photo.file, photo.small) if file.name]


# --- the job ----------------------------------------------------------------------------------


def let_vote(lease: Lease) -> None:
    """The job: copy the sample photos, predict them, and let the crowd vote. It goes on where it stopped."""
    row = Campaign.objects.made_up().filter(job=lease.job).first()
    if row is None:
        return
    _copy_photos(row, lease)
    predict(lease)
    voters = _make_voters(row, lease)
    questions = row.questions.select_related("photo", "hashtag").order_by("photo__sha256", "hashtag__name")
    for number, question in enumerate(questions, start=1):
        with lease.fenced():
            _answer(row, question, voters)
        lease.beat(number, len(questions), Text("Voting"))
    with lease.fenced():
        _spread_over_days(row)
        Campaign.objects.filter(pk=row.pk).update(is_open=False)


def _copy_photos(row: Campaign, lease: Lease) -> None:
    files = sample_files()
    for number, (path, terms) in enumerate(files, start=1):
        raw = path.read_bytes()
        original = Photo.objects.filter(sha256=_sha256(raw)).first()
        if original and original.withdrawn_at:
            continue
        with lease.fenced():
            copy = take_in(file=io.BytesIO(raw + MARK), name=path.name, by=None, **terms)
            # Without a hash no real photo is its near duplicate.
            Photo.objects.filter(pk=copy.pk).update(phash=None)
            row.photos.add(copy)
        lease.beat(number, len(files), Text("Copying the sample photos"))


def _make_voters(row: Campaign, lease: Lease) -> list[tuple[User, Character]]:
    voters = []
    with lease.fenced():
        made = {guest.user.username: guest.user for guest in row.guests.select_related("user")}
        for kind, character in CROWD.items():
            for number in range(1, character.people + 1):
                name = f"made-up, {kind} {number}"  # no form takes such a name
                if name not in made:
                    made[name] = User.objects.create_user(username=name, password=None)
                    Guest.objects.create(user=made[name], campaign=row, link_version=row.link_version)
                voters.append((made[name], character))
    return voters


def _answer(row: Campaign, question: Question, voters: list[tuple[User, Character]]) -> None:
    """Let as many of the crowd answer as the question needs."""
    pair = f"{question.photo.sha256} {question.hashtag.name}"
    does_fit = random.Random(pair).random() < FITTING.get(Question.Kind(question.kind), 0.0)  # noqa: S311
    order = random.Random(f"order {pair}").sample(voters, len(voters))  # noqa: S311
    for voter, character in order:
        question.refresh_from_db(fields=["is_done"])
        if question.is_done:
            return
        _vote(row, question, voter, character, does_fit=does_fit)


def _vote(row: Campaign, question: Question, voter: User, character: Character, *, does_fit: bool) -> None:
    key = f"{voter.username} {question.photo.sha256} {question.hashtag.name}"
    chance = random.Random(key)  # noqa: S311
    is_right, is_skip = chance.random() < character.right, chance.random() < 0.03
    answer = Answer.FITS if does_fit or not is_right else Answer.DOES_NOT_FIT
    request_id = uuid5(NAMESPACE_URL, f"{row.pk} {key}")
    record_vote(
        campaign=row,
        photo=question.photo_id,
        hashtag=question.hashtag_id,
        person=voter,
        answer=Answer.SKIP if is_skip else answer,
        request_id=request_id,
        seconds=round(chance.uniform(*character.seconds), 2),
    )
    if is_skip:
        return
    if answer == Answer.DOES_NOT_FIT and chance.random() < character.reasons:
        reason = chance.choice(REASONS)
        say_more(campaign=row, person=voter, request_id=request_id, reason=reason)
    elif question.kind == Question.Kind.SUGGESTION and chance.random() < WOULD_POST:
        would_post = answer == Answer.FITS and chance.random() < 0.7
        say_more(campaign=row, person=voter, request_id=request_id, would_post=would_post)


def _spread_over_days(row: Campaign) -> None:
    """Date the votes back, in the order of the photos, so that the charts over time have days to show."""
    votes = list(row.votes.order_by("photo__sha256", "hashtag__name", "pk"))
    begin = timezone.now() - timedelta(days=DAYS)
    for number, vote in enumerate(votes):
        vote.created_at = begin + timedelta(days=DAYS) * (number / len(votes))
    Vote.objects.bulk_update(votes, ["created_at"], batch_size=500)
    recount(_pairs(votes))


def _pairs(votes: list[Vote]) -> Iterator[tuple[int, int]]:
    return ((vote.photo_id, vote.hashtag_id) for vote in votes)
