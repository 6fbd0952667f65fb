"""Rules in the browser, the link for guests, people, known answers: who may, repeated clicks, stale pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote
from trainer.models import TrainedModel
from validation.models import Campaign, GoldAnswer, Guest, Question, Vote
from validation.people import crowd, guests
from validation.voting.votes import record_vote

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def base(campaign: Campaign) -> str:
    return f"/validation/campaigns/{campaign.pk}"


# --- rules ------------------------------------------------------------------------------------


def fields(campaign: Campaign, client: Client, **changes: Any) -> dict[str, Any]:
    version = client.get(f"{base(campaign)}/rules/").context["seen"]
    plain = {"name": campaign.name, "votes_per_photo": 3, "extra_votes": 2, "audience": "members"}
    shares = {"gold_share": 0, "control_share": 0, "audit_share": 50, "would_post_share": 10}
    more = {"silence_share": 0, "only_unseen": "on"}
    return plain | shares | more | {"seen": version, "min_confidence": 0} | changes


def test_rules_are_changed_and_a_stale_page_is_refused(
    campaign: Campaign, model: TrainedModel, client_for: ClientFor
) -> None:
    client = client_for("admin")
    form = fields(campaign, client, votes_per_photo=5, gold_share=8, audience="link", language="ru")
    page = client.post(f"{base(campaign)}/rules/", form, follow=True)
    assert b"The rules were changed" in page.content
    campaign.refresh_from_db()
    assert (campaign.votes_per_photo, campaign.gold_share, campaign.language) == (5, 0.08, "ru")
    assert set(Question.objects.values_list("needed", flat=True)) == {5}
    again = client.post(f"{base(campaign)}/rules/", form)
    assert again.status_code == 422
    assert b"Somebody else changed the rules" in again.content
    same = fields(campaign, client, votes_per_photo=5, gold_share=8, audience="link", language="ru")
    assert b"Nothing was changed" in client.post(f"{base(campaign)}/rules/", same, follow=True).content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gold_share": 120}, b"less than or equal to 100"),
        ({"gold_share": 40, "control_share": 20}, b"more than half"),
        ({"votes_per_photo": 0}, b"greater than or equal to 1"),
        ({"language": "xx"}, b"not one of the available choices"),
        ({"closes_at": "tomorrow"}, b"Enter a valid date"),
        ({"name": "Taken"}, b"already exists"),
    ],
)
def test_invalid_rules_are_refused_by_field(
    campaign: Campaign,
    make_campaign: MakeCampaign,
    client_for: ClientFor,
    change: dict[str, Any],
    words: bytes,
) -> None:
    make_campaign("cafe", name="Taken")
    client = client_for("admin")
    page = client.post(f"{base(campaign)}/rules/", fields(campaign, client, **change))
    assert (page.status_code, words in page.content) == (422, True)
    campaign.refresh_from_db()
    assert (campaign.name, campaign.votes_per_photo) == ("Test", 3)


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("nobody", 403), ("viewer", 403), ("validator", 403)]
)
def test_only_admins_change_rules_and_decide_about_people(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor, role: str, status: int
) -> None:
    vote = vote_as(campaign, 0, "fits", "ann")
    client = client_for(role)
    for path in ("rules/", "people/", "known/"):
        assert client.get(f"{base(campaign)}/{path}").status_code == status, path
    writes = ["rules/", "revoke/", "known/"]
    writes += [f"people/{vote.person_id}/{what}/" for what in ("pause", "unpause", "set-aside", "bring-back")]
    for path in writes:
        assert client.post(f"{base(campaign)}/{path}").status_code == status, path
    assert not crowd.is_paused(vote.person)
    assert Campaign.objects.get(pk=campaign.pk).link_version == 1


# --- guests -----------------------------------------------------------------------------------


@pytest.fixture
def clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def link_campaign(campaign: Campaign) -> Campaign:
    campaign.audience = Campaign.Audience.LINK
    campaign.save()
    return campaign


def join(campaign: Campaign) -> str:
    return f"/validation/join/{guests.token(campaign)}/"


def test_guests_who_never_voted_are_deleted_after_their_session(
    link_campaign: Campaign, settings: Any
) -> None:
    idle, voter, new = (guests.make_guest(campaign=link_campaign) for _ in range(3))
    record_vote(
        campaign=link_campaign,
        photo=link_campaign.photos.order_by("pk")[0],
        hashtag=Hashtag.objects.get(name="cafe"),
        person=voter,
        answer="skip",
        request_id=uuid4(),
    )
    long_ago = timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE + 1)
    Guest.objects.exclude(user=new).update(created_at=long_ago)
    newest = guests.make_guest(campaign=link_campaign)
    assert set(User.objects.filter(guest__isnull=False)) == {voter, new, newest}
    assert not User.objects.filter(pk=idle.pk).exists()


@pytest.mark.usefixtures("clean_cache")
def test_a_guest_votes_and_sees_nothing_else(
    link_campaign: Campaign, make_campaign: MakeCampaign, client_for: ClientFor
) -> None:
    other = make_campaign("sport", name="Other", audience="link")
    given_away = client_for("admin").get(f"{base(link_campaign)}/").content.decode()
    assert join(link_campaign) in given_away
    assert 'src="data:image/svg+xml' in given_away
    assert "data:image" not in client_for("viewer").get(f"{base(link_campaign)}/").content.decode()
    guest = Client()
    page = guest.get(join(link_campaign))
    assert (page.status_code, Guest.objects.count()) == (
        200,
        0,
    )  # a robot that opens the link does not become a guest
    assert guest.post(join(link_campaign))["Location"] == f"/validation/vote/{link_campaign.pk}/"
    assert guest.get(join(link_campaign)).status_code == 302
    ballot = guest.get(f"/validation/vote/{link_campaign.pk}/")
    question = ballot.context["assignment"].question
    form = {"photo": question.photo_id, "hashtag": question.hashtag_id, "answer": "fits", "seconds": 2}
    form["request_id"] = "7d9c2e9e-2a51-4a0c-b5c0-0f7a7c3d2e11"
    assert guest.post(f"/validation/vote/{link_campaign.pk}/votes/", form).json()["kept"]
    assert Vote.objects.get().person.guest.campaign == link_campaign
    assert guest.get(f"/validation/photos/{question.photo_id}.jpg").status_code == 200
    theirs = other.photos.exclude(pk__in=link_campaign.photos.all()).first()
    other_pages = ["/validation/campaigns/", "/mapping/", "/jobs/", f"/validation/vote/{other.pk}/"]
    other_pages += [f"/validation/photos/{theirs.pk}.jpg"] if theirs else []
    assert {guest.get(path).status_code for path in other_pages} == {403}
    assert not Vote.objects.get().person.has_usable_password()


@pytest.mark.usefixtures("clean_cache")
def test_revoked_links_no_longer_work(link_campaign: Campaign, client_for: ClientFor) -> None:
    guest, admin, old = Client(), client_for("admin"), join(link_campaign)
    guest.post(old)
    for words in (b"Here is a new one", b"renewed already"):
        page = admin.post(f"{base(link_campaign)}/revoke/", {"version": 1}, follow=True)
        assert words in page.content
    assert guest.get(f"/validation/vote/{link_campaign.pk}/").status_code == 403
    assert Client().get(old).status_code == Client().post(old).status_code == 404
    link_campaign.refresh_from_db()
    assert link_campaign.link_version == 2
    assert Client().get(join(link_campaign)).status_code == 200
    Campaign.objects.update(audience="members")
    assert Client().get(join(link_campaign)).status_code == 404
    assert Client().get("/validation/join/made-up/").status_code == 404
    assert Guest.objects.count() == 1


@pytest.mark.usefixtures("clean_cache")
def test_a_closed_campaign_makes_no_guests(link_campaign: Campaign) -> None:
    Campaign.objects.update(is_open=False)
    page = Client().post(join(link_campaign))
    assert (page.status_code, Guest.objects.count()) == (200, 0)
    assert b"This campaign is closed" in page.content


@pytest.mark.usefixtures("clean_cache")
def test_guests_are_limited_by_address_and_their_votes_by_person(
    link_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests.NewGuests, "rate", "2/hour", raising=False)
    monkeypatch.setattr(guests.GuestVotes, "rate", "1/minute", raising=False)
    people = [Client() for _ in range(3)]
    assert [one.post(join(link_campaign)).status_code for one in people] == [302, 302, 429]
    assert Guest.objects.count() == 2
    url = f"/validation/vote/{link_campaign.pk}/votes/"
    first, second = people[0].post(url), people[0].post(url)
    assert (first.status_code, second.status_code, int(second["Retry-After"]) > 0) == (400, 429, True)


@pytest.mark.usefixtures("clean_cache")
def test_guests_are_limited_by_every_way_to_vote(
    link_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages without script, too."""
    guest, path = Client(), f"/validation/vote/{link_campaign.pk}/"
    guest.post(join(link_campaign))
    questions = guest.get(path).context["assignment"].questions
    monkeypatch.setattr(guests.GuestVotes, "rate", "1/minute", raising=False)
    forms = [
        {"photo": one.photo_id, "hashtag": one.hashtag_id, "answer": "fits", "request_id": uuid4()}
        for one in questions
    ]
    assert b"Too many answers at once" not in guest.post(path, forms[0], follow=True).content
    assert b"Too many answers at once" in guest.post(path, forms[1], follow=True).content
    back = {"request_id": forms[0]["request_id"]}
    assert b"Too many answers at once" in guest.post(f"{path}undo/", back, follow=True).content
    for name, fields in (("take-back", back), ("more", back | {"reason": "unclear"})):
        response = guest.post(f"{path}{name}/", fields)
        assert (response.status_code, int(response["Retry-After"]) > 0) == (429, True)
    assert Vote.objects.count() == 1


@pytest.mark.usefixtures("clean_cache")
def test_guests_see_photos_only_while_they_may_vote(link_campaign: Campaign) -> None:
    guest = Client()
    guest.post(join(link_campaign))
    path = f"/validation/photos/{link_campaign.photos.order_by('pk')[0].pk}.jpg"
    for change, undone in (
        ({"link_version": 2}, {"link_version": 1}),
        ({"audience": "members"}, {"audience": "link"}),
        ({"is_open": False}, {"is_open": True}),
        ({"closes_at": timezone.now()}, {"closes_at": None}),
    ):
        assert guest.get(path).status_code == 200
        Campaign.objects.update(**change)
        assert guest.get(path).status_code == 403, change
        Campaign.objects.update(**undone)


@pytest.mark.usefixtures("clean_cache")
def test_members_without_permission_to_vote_do_not_become_guests(
    link_campaign: Campaign, client_for: ClientFor
) -> None:
    admin = client_for("admin")
    for answer in (admin.get(join(link_campaign)), admin.post(join(link_campaign))):
        assert (answer.status_code, b"You cannot vote with this account" in answer.content) == (403, True)
    assert admin.get(f"{base(link_campaign)}/").status_code == 200
    assert not Guest.objects.exists()
    guest = Client()  # a guest by an older link becomes one by the new link
    guest.post(join(link_campaign))
    Campaign.objects.update(link_version=2)
    link_campaign.refresh_from_db()
    assert guest.post(join(link_campaign))["Location"] == f"/validation/vote/{link_campaign.pk}/"
    assert Guest.objects.count() == 2


# --- numbers of any length --------------------------------------------------------------------


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30, "9" * 5000])
def test_numbers_too_large_for_a_database_are_answered(
    campaign: Campaign, client_for: ClientFor, number: str
) -> None:
    client, admin = client_for("validator"), client_for("admin")
    path = f"/validation/vote/{campaign.pk}/"
    assert client.get(f"/validation/photos/{number}.jpg").status_code == 404
    assert client.get(path, {"photo": number}).status_code == 200
    assert client.get(f"{path}next/", {"n": number}).status_code == 200
    form = {"photo": number, "hashtag": number, "answer": "fits", "request_id": uuid4()}
    assert client.post(f"{path}votes/", form).status_code == 400
    page = admin.post(f"{base(campaign)}/revoke/", {"version": number}, follow=True)
    assert b"renewed already" in page.content
    page = admin.post(f"{base(campaign)}/known/", form, follow=True)
    assert b"out of date" in page.content


# --- people -----------------------------------------------------------------------------------


def test_admin_pauses_sets_aside_and_restores_people_on_the_page(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    ann = vote_as(campaign, 0, "fits", "ann").person
    admin, path = client_for("admin"), f"{base(campaign)}/people/{ann.pk}"
    steps = [
        ("pause", b"is paused"),
        ("pause", b"was paused already"),
        ("unpause", b"may vote again"),
        ("set-aside", b"none of their votes count"),
        ("set-aside", b"was set aside already"),
        ("unpause", b"bring them back first"),
        ("bring-back", b"count again"),
        ("bring-back", b"had no votes set aside"),
    ]
    for decision, words in steps:
        assert words in admin.post(f"{path}/{decision}/", follow=True).content, decision
    page = admin.get(f"{base(campaign)}/people/").content.decode()
    assert page.count("<li>") == 4  # what was decided, each once
    stranger = user_for("validator", "elsewhere")
    assert admin.post(f"{base(campaign)}/people/{stranger.pk}/pause/").status_code == 404


def test_paused_person_sees_a_friendly_page(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    ann = vote_as(campaign, 0, "fits", "ann").person
    crowd.pause(person=ann, by=user_for("admin", "boss"))
    client = client_for("validator", "ann")
    page = client.get(f"/validation/vote/{campaign.pk}/")
    assert (page.status_code, b"Your voting is paused" in page.content) == (403, True)


# --- known answers ----------------------------------------------------------------------------


def test_unanimous_answer_is_marked_as_known_and_unmarked(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "bar", "sport", gold_share=0.1)
    other = make_campaign("sport", name="Other", gold_share=0.1)
    for name in "abc":
        vote_as(campaign, 0, "fits", name)
        vote_as(campaign, 1, "does_not_fit", name)
    vote_as(campaign, 2, "fits", "a")
    client, path = client_for("admin"), f"{base(campaign)}/known/"
    rows = list(client.get(path).context["page"])
    assert [one.hashtag.name for one in rows] == ["bar", "cafe"]
    form = {"photo": rows[0].photo_id, "hashtag": rows[0].hashtag_id, "answer": "does_not_fit"}
    for _ in range(2):
        assert b"Saved" in client.post(path, form, follow=True).content
    assert GoldAnswer.objects.get().fits is False
    assert Question.objects.filter(campaign=other, kind="gold").count() == 1
    assert len(client.get(path).context["page"]) == 1
    for words in (b"Saved", b"out of date"):
        assert words in client.post(path, form | {"answer": "unknown"}, follow=True).content
    assert not Question.objects.filter(kind="gold").exists()
    assert b"out of date" in client.post(path, form | {"photo": 99999}, follow=True).content


def test_a_known_answer_may_come_before_the_crowd(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "bar", "sport", gold_share=0.1)
    vote_as(campaign, 0, "fits")
    client, path = client_for("admin"), f"{base(campaign)}/known/?show=unanswered"
    rows = list(client.get(path).context["page"])
    assert {one.hashtag.name for one in rows} == {"bar", "sport"}
    form = {"photo": rows[0].photo_id, "hashtag": rows[0].hashtag_id, "answer": "does_not_fit"}
    back = client.post(path, form)
    assert back["Location"] == path
    assert GoldAnswer.objects.get().fits is False
    assert [one.pk for one in client.get(path).context["page"]] == [rows[1].pk]
