"""A voter over HTTP, and a campaign large enough to hurt, for the benchmarks of voting."""

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

NEEDED = 12  # answers a photo
BATCH = 5000


class Voter:
    """Signed in as a person whose password is their name; counts what was acknowledged."""

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
        asked = {"photo": question["photo"], "hashtag": question["hashtag"]}
        return asked | {"answer": answer, "request_id": str(uuid4()), "seconds": 2.5}

    def send(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """(status, answer); 409 is a refusal in words."""
        headers = {"X-CSRFToken": self.token, "Referer": self.address}
        request = Request(f"{self.base}/votes/", urlencode(fields).encode(), headers)  # noqa: S310
        try:
            with self.opener.open(request, timeout=60) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            said = error.read()
            return error.code, json.loads(said) if said[:1] == b"{" else {}


def seed_campaign(photos: int, votes: int, people: int = 2000, heavy: int = 0) -> dict[str, Any]:
    """A campaign in its middle: the first photos by rank have all their votes, the rest none; a tenth of the
    hashtags carry half the photos. "heavy" answered the first `heavy` of the open questions alone.

    Returns the campaign's number and the seconds that making its questions took.
    """
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import Group

    from trainer.registry import serving
    from validation.campaigns.questions import make_questions
    from validation.models import Campaign, GoldAnswer, Question, Vote

    chance = random.Random(0)  # the same campaign each time
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
    one = get_user_model().objects.create(username="heavy", password=make_password("heavy"))
    validators.user_set.add(*accounts, one)
    asked = list(
        Question.objects.filter(campaign=campaign, kind="suggestion")
        .order_by("rank")
        .values_list("photo_id", "hashtag_id")
    )
    full = votes // NEEDED
    fits = [chance.random() < 0.9 for _ in asked]

    def given() -> Any:
        for at, (photo, hashtag) in enumerate(asked[:full]):
            for k in range(NEEDED):
                person = accounts[(at * 7 + k * 167) % people]
                says = fits[at] if chance.random() < 0.9 else not fits[at]
                yield photo, hashtag, person.pk, "fits" if says else "does_not_fit"
        for photo, hashtag in asked[full : full + heavy]:
            yield photo, hashtag, one.pk, "fits"

    Vote.objects.bulk_create(
        (
            Vote(photo_id=photo, hashtag_id=hashtag, person_id=person, answer=answer, campaign=campaign)
            for photo, hashtag, person, answer in given()
        ),
        batch_size=BATCH,
    )
    count_along(campaign)
    for photo, hashtag in asked[:100]:
        GoldAnswer.objects.create(photo_id=photo, hashtag_id=hashtag, fits=True)
    return {"campaign": campaign.pk, "make_questions_s": round(seconds, 1)}


def bulk_photos(campaign: Any, count: int) -> list[Any]:
    """Rows of photos in a campaign, with the pixels of the demo's sample photos."""
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
    made = Photo.objects.bulk_create(rows, batch_size=BATCH)
    through = campaign.photos.through
    through.objects.bulk_create((through(campaign=campaign, photo=photo) for photo in made), batch_size=BATCH)
    return made


def bulk_predictions(model: Any, photos: list[Any]) -> None:
    """A tenth of the hashtags carry half of the photos."""
    from mapping.models import Hashtag
    from validation.models import Prediction

    chance = random.Random(0)  # the same each time
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
    """What votes written straight into the table have not counted: questions and participations."""
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
