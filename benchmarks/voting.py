"""A voter over HTTP, and a very large campaign, for the benchmarks of voting."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections import Counter
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import OpenerDirector, Request
from uuid import uuid4

from benchmarks.site import Site

NEEDED = 12  # answers per photo
BATCH = 5000


class Voter:
    """A signed-in person, whose password equals the name."""

    def __init__(self, site: Site, campaign: int, name: str) -> None:
        self.opener: OpenerDirector = site.signed_in(name)
        self.base = f"{site.address}/validation/vote/{campaign}"
        self.address = site.address
        page = self.opener.open(f"{self.base}/").read().decode()
        match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert match, "no ballot"
        self.token = match[1]

    def next(self, count: int = 1) -> list[dict[str, Any]]:
        questions: list[dict[str, Any]] = json.load(self.opener.open(f"{self.base}/next/?n={count}"))[
            "questions"
        ]
        return questions

    def ballot(self, question: dict[str, Any], answer: str) -> dict[str, Any]:
        pair = {"photo": question["photo"], "hashtag": question["hashtag"]}
        return pair | {"answer": answer, "request_id": str(uuid4()), "seconds": 2.5}

    def send(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send a vote. Returns status and answer; 409 is a refusal with a reason."""
        headers = {"X-CSRFToken": self.token, "Referer": self.address}
        request = Request(f"{self.base}/votes/", urlencode(fields).encode(), headers)  # noqa: S310
        try:
            with self.opener.open(request, timeout=60) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            body = error.read()
            return error.code, json.loads(body) if body[:1] == b"{" else {}


def seed_campaign(photos: int, votes: int, people: int = 2000, heavy: int = 0) -> dict[str, Any]:
    """Create a half-finished campaign: the first photos by rank have all votes, the others none. A tenth of
    the hashtags has half of the photos. The person "heavy" alone answered the first `heavy` open questions.

    Returns the campaign's number and the seconds that it took to make its questions.
    """
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import Group

    from trainer.registry import serving
    from validation.campaigns.questions import make_questions
    from validation.models import Campaign, GoldAnswer, Question, Vote

    chance = random.Random(0)  # the same campaign every time
    model = serving.active_model()
    assert model
    campaign = Campaign.objects.create(
        name="Large", model=model, votes_per_photo=NEEDED, extra_votes=0, gold_share=0.05
    )
    bulk_predictions(model, bulk_photos(campaign, photos))
    began = time.perf_counter()
    make_questions(campaign=campaign)
    seconds = time.perf_counter() - began
    validators = Group.objects.get(name="validator")
    accounts = get_user_model().objects.bulk_create(
        get_user_model()(username=f"voter{number}", password=make_password(None)) for number in range(people)
    )
    heavy_voter = get_user_model().objects.create(username="heavy", password=make_password("heavy"))
    validators.user_set.add(*accounts, heavy_voter)
    pairs = list(
        Question.objects.filter(campaign=campaign, kind="suggestion")
        .order_by("rank")
        .values_list("photo_id", "hashtag_id")
    )
    full_pairs = votes // NEEDED
    fits = [chance.random() < 0.9 for _ in pairs]

    def make_votes() -> Any:
        for at, (photo, hashtag) in enumerate(pairs[:full_pairs]):
            for k in range(NEEDED):
                person = accounts[(at * 7 + k * 167) % people]
                says = fits[at] if chance.random() < 0.9 else not fits[at]
                yield photo, hashtag, person.pk, "fits" if says else "does_not_fit"
        for photo, hashtag in pairs[full_pairs : full_pairs + heavy]:
            yield photo, hashtag, heavy_voter.pk, "fits"

    Vote.objects.bulk_create(
        (
            Vote(photo_id=photo, hashtag_id=hashtag, person_id=person, answer=answer, campaign=campaign)
            for photo, hashtag, person, answer in make_votes()
        ),
        batch_size=BATCH,
    )
    count_along(campaign)
    for photo, hashtag in pairs[:100]:
        GoldAnswer.objects.create(photo_id=photo, hashtag_id=hashtag, fits=True)
    return {"campaign": campaign.pk, "make_questions_s": round(seconds, 1)}


def bulk_photos(campaign: Any, count: int) -> list[Any]:
    """Add rows of photos to a campaign, with the image files of the demo's sample photos."""
    from validation.models import Photo

    samples = list(Photo.objects.order_by("pk"))
    rows = (
        Photo(
            sha256=hashlib.sha256(f"{number}".encode()).hexdigest(),
            file=samples[number % len(samples)].file.name,
            name=f"{number}.jpg",
            width=640,
            height=480,
        )
        for number in range(count)
    )
    photos = Photo.objects.bulk_create(rows, batch_size=BATCH)
    through = campaign.photos.through
    through.objects.bulk_create(
        (through(campaign=campaign, photo=photo) for photo in photos), batch_size=BATCH
    )
    return photos


def bulk_predictions(model: Any, photos: list[Any]) -> None:
    """Add predictions. A tenth of the hashtags gets half of the photos."""
    from mapping.models import Hashtag
    from validation.models import Prediction

    chance = random.Random(0)  # the same every time
    hashtags = list(Hashtag.objects.order_by("pk"))
    weights = [1 / (number + 1) for number in range(len(hashtags))]
    Prediction.objects.bulk_create(
        (
            Prediction(
                photo=photo,
                model=model,
                hashtag=chance.choices(hashtags, weights)[0],
                confidence=round(chance.betavariate(5, 2), 3),
            )
            for photo in photos
        ),
        batch_size=BATCH,
    )


def count_along(campaign: Any) -> None:
    """Update the counts of questions and participations, which bulk-created votes bypass."""
    from django.db import transaction

    from validation.campaigns.counts import recount
    from validation.models import Participation, Vote

    votes = Vote.objects.filter(campaign=campaign).order_by()
    with transaction.atomic():
        recount(votes.values_list("photo_id", "hashtag_id").iterator())
    counts: Counter[tuple[int, str]] = Counter()
    for person, answer in votes.values_list("person_id", "answer").iterator():
        counts[person, answer] += 1
    Participation.objects.bulk_create(
        Participation(
            campaign=campaign,
            person_id=person,
            fits=counts[person, "fits"],
            does_not_fit=counts[person, "does_not_fit"],
        )
        for person in {person for person, _ in counts}
    )
